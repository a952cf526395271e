import { assertEquals, assertThrows } from "@std/assert";
import { clippingOf, samplerOf } from "../../pipeline/scheduler.ts";
import { makePlan, specOf } from "../../pipeline/plan.ts";
import type { SchedulerConfig } from "../../schedules/mod.ts";

const of = (name: string, config: SchedulerConfig = {}) =>
  samplerOf({ _class_name: `${name}Scheduler`, ...config });

Deno.test("samplerOf() knows the sampler of every class", async () => {
  const samplers = {
    DDIM: "ddim",
    DDIMParallel: "ddim",
    DDPM: "ddpm",
    DDPMParallel: "ddpm",
    DEISMultistep: "deis",
    DPMSolverMultistep: "dpmpp_2m",
    DPMSolverSDE: "dpmpp_sde",
    DPMSolverSinglestep: "dpmpp_singlestep,lower_order_final=false",
    EDMDPMSolverMultistep: "dpmpp_2m",
    EDMEuler: "euler",
    EulerAncestralDiscrete: "euler_ancestral",
    EulerDiscrete: "euler",
    FlowMatchEulerDiscrete: "euler",
    FlowMatchHeunDiscrete: "heun",
    HeunDiscrete: "heun",
    KDPM2AncestralDiscrete: "dpm2_ancestral",
    KDPM2Discrete: "dpm2",
    LCM: "lcm,timestep_scaling=10",
    LMSDiscrete: "lms",
    PNDM: "pndm",
    ScoreSdeVe: "pc,snr=0.15,corrector_steps=1",
    TCD: "tcd",
    UnCLIP: "ddpm",
    UniPCMultistep: "unipc",
  };
  for (const [name, sampler] of Object.entries(samplers)) {
    assertEquals(of(name), sampler);
    const scheduler = { _class_name: `${name}Scheduler` };
    const plan = await makePlan({ scheduler, recommended: {} }, { steps: 4 });
    assertEquals(specOf(plan.sampler).split(",")[0], sampler.split(",")[0]);
    assertEquals(plan.levels.length, 5, name);
  }
  assertEquals([of("My"), samplerOf({})], ["ddim", "ddim"]);
});

Deno.test("samplerOf() takes the options of a configuration", () => {
  const dpm = (config: SchedulerConfig) => of("DPMSolverMultistep", config);
  assertEquals(dpm({ solver_order: 3 }), "dpmpp_2m,order=3");
  assertEquals(dpm({ algorithm_type: "sde-dpmsolver++" }), "dpmpp_2m_sde");
  assertEquals(
    dpm({ algorithm_type: "dpmsolver", final_sigmas_type: "sigma_min" }),
    "dpmpp_2m,algorithm=dpmsolver",
  );
  assertEquals(dpm({ algorithm_type: "sde-dpmsolver" }), "dpmpp_2m_sde,algorithm=dpmsolver");
  assertEquals(dpm({ algorithm_type: "deis", solver_type: "logrho" }), "dpmpp_2m");
  assertEquals(
    dpm({ solver_type: "heun", lower_order_final: false, euler_at_final: true }),
    "dpmpp_2m,lower_order_final=false,solver=heun,euler_at_final=true",
  );
  const single = { lower_order_final: true, solver_type: "heun" };
  assertEquals(of("DPMSolverSinglestep", single), "dpmpp_singlestep,solver=heun");
  assertEquals(
    of("DPMSolverSinglestep", { ...single, algorithm_type: "dpmsolver" }),
    "dpmpp_2m,solver=heun,algorithm=dpmsolver",
  );
  assertEquals(of("DEISMultistep", { solver_order: 3 }), "deis,order=3");
  assertEquals(
    of("UniPCMultistep", { solver_type: "bh1", solver_order: 3, predict_x0: false }),
    "unipc,order=3,solver=bh1,algorithm=noise",
  );
  assertEquals(of("UniPCMultistep", { solver_type: "midpoint" }), "unipc");
  assertEquals(of("UniPCMultistep", { disable_corrector: [0, 1] }), "unipc,corrector_from=2");
  assertEquals(of("PNDM", { skip_prk_steps: true }), "plms");
  assertEquals(of("PNDM", { prediction_type: "v_prediction" }), "pndm,slopes=velocity");
  assertEquals(of("DDPM", { variance_type: "fixed_large" }), "ddpm,variance=large");
  assertEquals(of("DDPM", { variance_type: "fixed_large_log" }), "ddpm,variance=large");
  assertEquals(of("DDPM", { variance_type: "learned_range" }), "ddpm");
  assertEquals(of("LCM", { timestep_scaling: 5 }), "lcm,timestep_scaling=5");
  assertEquals(of("FlowMatchEulerDiscrete", { stochastic_sampling: true }), "lcm,sigma_data=0");
  assertEquals(of("ScoreSdeVe", { snr: 0.1, correct_steps: 2 }), "pc,snr=0.1,corrector_steps=2");
  assertThrows(
    () => of("DEISMultistep", { solver_order: null }),
    TypeError,
    "Cannot use a scheduler with solver_order=null: it must be a number",
  );
});

Deno.test("clippingOf() keeps the noise where diffusers' own step does", () => {
  const clip = (name: string, sampler: string, config: SchedulerConfig = {}) =>
    clippingOf({ _class_name: `${name}Scheduler`, ...config }, sampler);
  assertEquals(clip("DDIM", "ddim"), "clip,range=1,keep_eps=true");
  assertEquals(clip("DDIM", "heun"), "clip,range=1");
  assertEquals(clip("DDPM", "ddpm"), "clip,range=1");
  assertEquals(clip("DDPM", "ddim"), "clip,range=1");
  assertEquals(clip("My", "ddim", { clip_sample: true }), "clip,range=1");
  assertEquals(clip("TCD", "tcd", { clip_sample: true }), "clip,range=1,keep_eps=true");
  assertEquals(clip("HeunDiscrete", "heun"), undefined);
  assertEquals(clip("UnCLIP", "ddpm", { clip_sample_range: 5 }), "clip,range=5");
});

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { Engine } from "../../engines/engine.ts";
import { openEngine } from "../../engines/mod.ts";
import { loadDenoiser } from "../../pipeline/denoiser.ts";
import { drawBatches } from "../../pipeline/draw.ts";
import { type Model, openModel } from "../../pipeline/model.ts";
import { makePlan, specOf, type Wishes } from "../../pipeline/plan.ts";
import { check, readPngs, succeed } from "../commands/_main.ts";
import schedulers from "../fixtures/pipelines/cases.json" with { type: "json" };
import { readFixture } from "../_safetensors.ts";

const FIXTURES = fromFileUrl(new URL("../fixtures/", import.meta.url));
const [STEPS, COUNT, EDGE] = [10, 2, 16];

/** A model folder of diffusers: the scheduler of a pipeline and the network that it was run with. */
async function assemble(folder: string, pipeline: string): Promise<string> {
  const model = join(folder, pipeline);
  for (const part of ["unet", "scheduler"]) {
    await Deno.mkdir(join(model, part), { recursive: true });
  }
  for (const file of ["config.json", "diffusion_pytorch_model.safetensors"]) {
    await Deno.copyFile(join(FIXTURES, "unet2d-ddpm", file), join(model, "unet", file));
  }
  const file = "scheduler/scheduler_config.json";
  await Deno.copyFile(join(FIXTURES, pipeline, file), join(model, file));
  return model;
}

/** The images after each step of a run from seed 0, `[image, height, width, channel]`. */
async function trajectory(model: Model, engine: Engine, steps: number, wishes: Wishes = {}) {
  const plan = await makePlan(model, { steps, ...wishes });
  const states: Float32Array[] = [];
  const settings = {
    model: model.name,
    seed: 0,
    count: COUNT,
    classes: [],
    unconditional: false,
    steps,
    sampler: specOf(plan.sampler),
    guidance: plan.guidances.map(specOf),
    rng: "torch",
  } as const;
  const batches = drawBatches(loadDenoiser(model, engine), {
    plan,
    settings,
    first: 0,
    end: COUNT,
    batchSize: COUNT,
    onStep: ({ x }) => void states.push(Float32Array.from(x.dataSync())),
  });
  for await (const { indices } of batches) assertEquals(indices, [0, 1]);
  return { states, plan };
}

/** Calls with an engine. */
async function withEngine(use: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await openEngine("onnx");
  try {
    await use(engine);
  } finally {
    await engine.dispose();
  }
}

/** How far images NHWC are from those of the reference NCHW, as a share of its largest value. */
function apart(state: ArrayLike<number> | undefined, wanted: Float64Array): number {
  let [worst, largest] = [0, 1];
  wanted.forEach((value, i) => {
    const [channel, place] = [Math.floor(i / EDGE ** 2) % 3, i % EDGE ** 2];
    const image = Math.floor(i / EDGE ** 2 / 3);
    const ours = state?.[(image * EDGE ** 2 + place) * 3 + channel] ?? NaN;
    worst = Math.max(worst, Math.abs(ours - value));
    largest = Math.max(largest, Math.abs(value));
  });
  return worst / largest;
}

/** Compares every state of a run with the reference's. */
function assertSameStates(states: readonly Float32Array[], name: string, prefix = ""): void {
  const { data } = readFixture(`${name}/expected.safetensors`)(`${prefix}traj`);
  const size = COUNT * EDGE * EDGE * 3;
  assertEquals(states.length * size, data.length);
  for (const [step, state] of states.entries()) {
    const off = apart(state, data.subarray(step * size, (step + 1) * size));
    assert(off <= 1e-3, `${prefix}${name}: step ${step} is off by ${off}`);
  }
}

check(
  "makePlan() and drawBatches() give DDPMPipeline's images from the same seeds",
  async (folder) => {
    const model = openModel(await assemble(folder, "pipeline-ddpm"));
    await withEngine(async (engine) => {
      const { states, plan } = await trajectory(model, engine, STEPS);
      const guidance = plan.guidances.map(specOf);
      assertEquals(specOf(plan.sampler), "ddpm,variance=model");
      assertEquals(guidance, ["clip,range=1,keep_eps=false"]);
      assertSameStates(states, "pipeline-ddpm");
    });
  },
);

check(
  "makePlan() and drawBatches() give DDIMPipeline's images from the same seeds",
  async (folder) => {
    const model = openModel(await assemble(folder, "pipeline-ddim"));
    await withEngine(async (engine) => {
      const { states, plan } = await trajectory(model, engine, STEPS);
      const guidance = plan.guidances.map(specOf);
      assertEquals(specOf(plan.sampler), "ddim,eta=0");
      assertEquals(guidance, ["clip,range=1,keep_eps=true"]);
      assertSameStates(states, "pipeline-ddim", "eta0.");
      const noisy = await trajectory(model, engine, STEPS, { sampler: "ddim,eta=1" });
      assertSameStates(noisy.states, "pipeline-ddim", "eta1.");
    });
  },
);

check(
  "a scheduler's configuration alone gives diffusers' images from the same seeds",
  async (folder) => {
    const model = openModel(await assemble(folder, "pipeline-ddim"));
    const expected = readFixture("pipelines/expected.safetensors");
    await withEngine(async (engine) => {
      for (const [index, scheduler] of schedulers.entries()) {
        const { states } = await trajectory({ ...model, scheduler }, engine, 5);
        const off = apart(states.at(-1), expected(`${index}`).data);
        assert(off <= 1e-4, `${JSON.stringify(scheduler)} is off by ${off}`);
      }
    });
  },
);

for (
  const [pipeline, prefix, flags] of [
    ["pipeline-ddpm", "", []],
    ["pipeline-ddim", "eta0.", []],
    ["pipeline-ddim", "eta1.", ["--sampler", "ddim,eta=1"]],
  ] as const
) {
  check(`sample draws what ${pipeline} drew with ${prefix || "its scheduler"}`, async (folder) => {
    const model = await assemble(folder, pipeline);
    const out = join(folder, "out/");
    const fixed = ["--steps", `${STEPS}`, "-n", `${COUNT}`, "--seed", "0", "--rng", "torch"];
    await succeed("sample", model, ...fixed, ...flags, "-o", out);
    const { data } = readFixture(`${pipeline}/expected.safetensors`)(`${prefix}images`);
    for (let image = 0; image < COUNT; image++) {
      const [png] = readPngs(await Deno.readFile(join(out, `00000${image}.png`)));
      png?.pixels.forEach((byte, i) => {
        const wanted = 255 * (data[image * EDGE * EDGE * 3 + i] ?? NaN);
        assert(Math.abs(byte - wanted) <= 0.5 + 0.255, `byte ${i} is ${byte}, not ${wanted}`);
      });
    }
  });
}

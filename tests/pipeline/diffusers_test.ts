import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { openEngine } from "../../engines/mod.ts";
import { loadDenoiser } from "../../pipeline/denoiser.ts";
import { drawBatches } from "../../pipeline/draw.ts";
import { openModel } from "../../pipeline/model.ts";
import { makePlan, specOf, type Wishes } from "../../pipeline/plan.ts";
import { check, readPngs, succeed } from "../commands/_main.ts";
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

/** The images after each step of a run from seed 0, `[step, image, height, width, channel]`. */
async function trajectory(folder: string, wishes: Wishes) {
  const model = openModel(folder);
  const plan = await makePlan(model, { steps: STEPS, ...wishes });
  const engine = await openEngine("cpu");
  const states: Float32Array[] = [];
  try {
    const settings = {
      model: model.name,
      seed: 0,
      count: COUNT,
      classes: [],
      unconditional: false,
      steps: STEPS,
      sampler: specOf(plan.sampler),
      guidance: plan.guidances.map(specOf),
      rng: "torch",
    } as const;
    const run = { plan, settings, first: 0, end: COUNT, batchSize: COUNT };
    const batches = drawBatches(loadDenoiser(model, engine), {
      ...run,
      onStep: ({ x }) => void states.push(Float32Array.from(x.dataSync())),
    });
    for await (const { indices } of batches) assertEquals(indices, [0, 1]);
  } finally {
    await engine.dispose();
  }
  return { states, plan };
}

/** Compares images NHWC with a state of the reference NCHW, each to 1e-3 of its largest value. */
function assertSameStates(states: readonly Float32Array[], name: string, prefix = ""): void {
  const { data } = readFixture(`${name}/expected.safetensors`)(`${prefix}traj`);
  const size = COUNT * EDGE * EDGE * 3;
  assertEquals(states.length * size, data.length);
  for (const [step, state] of states.entries()) {
    const wanted = data.subarray(step * size, (step + 1) * size);
    const largest = Math.max(1, ...wanted.map(Math.abs));
    state.forEach((value, i) => {
      const [pixel, channel] = [Math.floor(i / 3), i % 3];
      const [image, place] = [Math.floor(pixel / EDGE ** 2), pixel % EDGE ** 2];
      const off = Math.abs(value - (wanted[(image * 3 + channel) * EDGE ** 2 + place] ?? NaN));
      assert(off <= 1e-3 * largest, `${prefix}${name}: step ${step}, value ${i} is off by ${off}`);
    });
  }
}

check(
  "makePlan() and drawBatches() give DDPMPipeline's images from the same seeds",
  async (folder) => {
    const { states, plan } = await trajectory(await assemble(folder, "pipeline-ddpm"), {});
    assertEquals([specOf(plan.sampler), plan.guidances.map(specOf)], [
      "ddpm,variance=model",
      ["clip,range=1,keep_eps=false"],
    ]);
    assertSameStates(states, "pipeline-ddpm");
  },
);

check(
  "makePlan() and drawBatches() give DDIMPipeline's images from the same seeds",
  async (folder) => {
    const model = await assemble(folder, "pipeline-ddim");
    const { states, plan } = await trajectory(model, {});
    assertEquals([specOf(plan.sampler), plan.guidances.map(specOf)], [
      "ddim,eta=0",
      ["clip,range=1,keep_eps=true"],
    ]);
    assertSameStates(states, "pipeline-ddim", "eta0.");
    const noisy = await trajectory(model, { sampler: "ddim,eta=1" });
    assertSameStates(noisy.states, "pipeline-ddim", "eta1.");
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
    await succeed("sample", model, ...fixed, ...flags, "--engine", "cpu", "-o", out);
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

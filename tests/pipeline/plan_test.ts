import { assert, assertEquals, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import { makePlan, namesCode, specOf, type Wishes } from "../../pipeline/plan.ts";
import type { Recommended } from "../../pipeline/model.ts";
import type { SchedulerConfig } from "../../schedules/mod.ts";

const DDPM = { _class_name: "DDPMScheduler" };
/** What rules have beside their own options, as plans write them. */
const [TIMES, ENDS] = ["extra=false,lambda_min=-100", "final=zero,start=auto"];
const DDIM = { _class_name: "DDIMScheduler" };

/** A plan as it would be typed. */
async function plan(
  scheduler: SchedulerConfig,
  wishes: Wishes = {},
  recommended: Recommended = {},
) {
  const { sampler, guidances, steps, spacing, levels } = await makePlan(
    { scheduler, recommended },
    wishes,
  );
  return {
    sampler: specOf(sampler),
    guidance: guidances.map(specOf),
    steps,
    spacing,
    levels: levels.map(({ t }) => t),
  };
}

Deno.test("makePlan() follows the scheduler where nobody says otherwise", async () => {
  const ddpm = await plan(DDPM);
  assertEquals([ddpm.sampler, ddpm.guidance], ["ddpm,variance=model", [
    "clip,range=1,keep_eps=false",
  ]]);
  assertEquals(ddpm.steps, 50);
  assertEquals(ddpm.spacing, `leading,offset=0,${TIMES},${ENDS}`);
  assertEquals([ddpm.levels.length, ddpm.levels[0], ddpm.levels.at(-2)], [51, 980, 0]);
  assertEquals((await plan(DDIM)).sampler, "ddim,eta=0");
  assertEquals((await plan({ _class_name: "MyScheduler" })).sampler, "ddim,eta=0");
  const trailing = await plan({ ...DDIM, timestep_spacing: "trailing" }, { steps: 2 });
  assertEquals(trailing.levels, [999, 499, -1]);
});

Deno.test("makePlan() takes what the model recommends, and what is asked for before it", async () => {
  const recommended = {
    sampler: "ddim,eta=0.5",
    steps: 2,
    guidance: ["cfg,scale=2"],
    spacing: "linspace",
  };
  const own = await plan(DDPM, {}, recommended);
  assertEquals(own, {
    sampler: "ddim,eta=0.5",
    guidance: ["cfg,scale=2", "clip,range=1,keep_eps=false"],
    steps: 2,
    spacing: `linspace,fractional=false,interpolation=linear,${TIMES},${ENDS}`,
    levels: [999, 0, -1],
  });
  const wishes = { sampler: "ddpm", steps: 1, guidance: ["clip,range=2"], spacing: "trailing" };
  assertEquals(await plan(DDPM, wishes, recommended), {
    sampler: "ddpm,variance=model",
    guidance: ["clip,range=2,keep_eps=false"],
    steps: 1,
    spacing: `trailing,lambda_min=-100,${ENDS}`,
    levels: [999, -1],
  });
});

Deno.test("makePlan() clips as the scheduler does, unless a guidance that clips is asked for", async () => {
  const guidance = async (scheduler: SchedulerConfig, asked?: string[]) =>
    (await plan(scheduler, { guidance: asked })).guidance;
  assertEquals(await guidance({ ...DDIM, clip_sample: false }), []);
  assertEquals(await guidance({ ...DDIM, clip_sample_range: 2 }), ["clip,range=2,keep_eps=true"]);
  assertEquals(await guidance({ _class_name: "PNDMScheduler" }), []);
  assertEquals(await guidance({ _class_name: "PNDMScheduler", clip_sample: true }), [
    "clip,range=1,keep_eps=false",
  ]);
  assertEquals(await guidance({ ...DDIM, thresholding: true }), [
    "threshold,percentile=0.995,max=1,keep_eps=true",
  ]);
  const imagen = { thresholding: true, dynamic_thresholding_ratio: 0.9, sample_max_value: 1.5 };
  assertEquals(await guidance({ ...DDIM, ...imagen }), [
    "threshold,percentile=0.9,max=1.5,keep_eps=true",
  ]);
  assertEquals(await guidance(DDIM, ["cfg"]), ["cfg,scale=3", "clip,range=1,keep_eps=true"]);
  assertEquals(await guidance(DDIM, ["clip,range=3", "cfg"]), [
    "clip,range=3,keep_eps=false",
    "cfg,scale=3",
  ]);
  assertEquals(await guidance(DDIM, ["threshold"]), [
    "threshold,percentile=0.995,max=100,keep_eps=false",
  ]);
  assertEquals(await guidance(DDIM, ["none"]), []);
  assertEquals(await guidance(DDIM, []), ["clip,range=1,keep_eps=true"]);
});

Deno.test("makePlan() gives what it was made of back as it is typed", async () => {
  const typed = { sampler: "ddim,eta=0.25", guidance: ["cfg,scale=2,from=0.25,until=0.5", "clip"] };
  const first = await plan(DDIM, typed);
  assertEquals(first.guidance, ["cfg,scale=2,from=0.25,until=0.5", "clip,range=1,keep_eps=false"]);
  assertEquals(await plan(DDIM, { sampler: first.sampler, guidance: first.guidance }), first);
});

Deno.test("makePlan() visits listed timesteps and sigmas, and OpenAI's respacing", async () => {
  const times = async (wishes: Wishes) => (await plan(DDIM, wishes)).levels;
  assertEquals(await times({ spacing: "ddim5" }), [800, 600, 400, 200, 0, -1]);
  assertEquals(await times({ spacing: "ddim5", steps: 5 }), [800, 600, 400, 200, 0, -1]);
  assertEquals((await plan(DDIM, { spacing: "10,10,5" })).steps, 25);
  assertEquals(await times({ timesteps: [900, 10.5] }), [900, 10.5, -1]);
  const listed = await makePlan({ scheduler: DDIM, recommended: { steps: 7 } }, {
    sigmas: [9, 1, 0],
  });
  assertEquals([listed.steps, listed.sigmas, listed.spacing], [2, [9, 1, 0], undefined]);
  const stretched = await makePlan({ scheduler: DDIM, recommended: {} }, {
    sigmas: [9, 1, 0],
    steps: 4,
  });
  const again = { sigmas: stretched.sigmas, steps: stretched.steps };
  const repeated = await makePlan({ scheduler: DDIM, recommended: {} }, again);
  assertEquals([repeated.levels, repeated.sigmas], [stretched.levels, stretched.sigmas]);
});

Deno.test("makePlan() takes the levels of a sampler that has its own", async () => {
  const text = `export default {
    name: "mine", summary: "a test", options: { again: { type: "number", default: 2, help: "" } },
    timeline: (path, { again }) => path.flatMap((level) => Array(again).fill(level)),
    async step({ x }) { return { x }; },
  };`;
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/mine.js`;
    await Deno.writeTextFile(file, text);
    const sampler = `${toFileUrl(file).href},again=3`;
    const own = await plan(DDIM, { sampler, steps: 2 });
    assertEquals([own.levels.length, own.sampler], [9, sampler]);
    assertEquals(await plan(DDIM, { sampler: own.sampler, steps: 2 }), own);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("makePlan() refuses what it does not know", async () => {
  const wrong: [Wishes, string][] = [
    [{ sampler: "ddmi" }, 'Cannot find sampler "ddmi": did you mean ddim?'],
    [{ guidance: ["cgf"] }, 'Cannot find guidance "cgf": did you mean cfg?'],
    [{ guidance: ["cfg", "none"] }, 'Cannot use guidance "none" together with others'],
    [{ sampler: "ddim,eta=2" }, "eta must be between 0 and 1"],
    [{ guidance: ["cfg,scale=-1"] }, "scale must be at least 0"],
    [{ spacing: "tailing" }, 'Cannot use spacing "tailing": did you mean trailing?'],
    [{ spacing: "trailing", sigmas: [1, 0] }, "Cannot use spacing and sigmas together"],
    [{ timesteps: [9, 3], sigmas: [1, 0] }, "Cannot use timesteps and sigmas together"],
    [{ timesteps: [9, 3], steps: 3 }, "Cannot make 3 steps of 2 timesteps"],
    [{ timesteps: [3, 9] }, "Cannot visit timestep 9 after 3: timesteps must fall"],
    [{ spacing: "ddim25", steps: 10 }, 'Cannot make 10 steps of the 25 that "ddim25" keeps'],
    [{ steps: 0 }, "Cannot make 0 steps"],
    [{ steps: 2.5, spacing: "karras" }, "Cannot make 2.5 steps: it must be a whole number from 1"],
    [{ steps: 1001 }, "steps must be between 1 and 1000"],
  ];
  for (const [wishes, message] of wrong) {
    await assertRejects(() => plan(DDIM, wishes), RangeError, message);
  }
  const spacing = { spacing: "quadratic" };
  await assertRejects(() => plan(DDIM, {}, spacing), RangeError, 'Cannot use spacing "quadratic"');
});

Deno.test("makePlan() runs no code that a model names", async () => {
  // Plain names, paths, addresses, and a comma to hide a path behind.
  for (const name of ["./mine.ts", "mine.js", "https://example.org/x.ts", "a,1/../../mine.ts"]) {
    assert(namesCode("sampler", name), name);
    const message = `Cannot use the sampler "${name}" that the model recommends`;
    await assertRejects(() => plan(DDIM, {}, { sampler: name }), TypeError, message);
    await assertRejects(() => plan(DDIM, {}, { guidance: ["cfg", name] }), TypeError, "guidance");
  }
  assert(!namesCode("sampler", "ddim,eta=0.5") && !namesCode("guidance", "clip"));
  assert(namesCode("sampler", "clip") && namesCode("sampler", "constructor"));
  const recommended = { sampler: "./mine.ts", guidance: ["./mine.ts"] };
  const own = await plan(DDIM, { sampler: "ddim", guidance: ["none"] }, recommended);
  assertEquals([own.sampler, own.guidance], ["ddim,eta=0", []]);
  assertEquals((await plan(DDIM, {}, { guidance: ["none"] })).guidance, []);
});

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import type { Guidance, Images, Level, Sampler } from "../../plugin.ts";
import { run, timelineOf } from "../../pipeline/run.ts";
import ddim from "../../samplers/ddim.ts";
import ddpm from "../../samplers/ddpm.ts";
import { choose, closedForm, distance, drawn, guide, linearPath, noiseOf } from "./_closed_form.ts";

const SHAPE = [1, 1, 2] as const;
const mixture = { weights: [1], means: [[0.5, -0.5]], deviations: [[0.3]] };

const sampler = (step: unknown, rest: Partial<Sampler> = {}): Sampler => ({
  name: "mine",
  summary: "a test",
  paper: "https://example.org",
  options: {},
  step: step as Sampler["step"], // also what the types forbid
  ...rest,
});

const guidance = (guide: unknown): Guidance => ({
  name: "push",
  summary: "a test",
  paper: "https://example.org",
  options: {},
  guide: guide as Guidance["guide"],
});

/** A run of three steps over two images. */
function start(
  plugin: Sampler,
  rest: Partial<Parameters<typeof run>[0]> = {},
): Promise<Images> {
  return run({
    sampler: choose(plugin),
    path: linearPath(3),
    predict: closedForm({ mixture }).predict,
    noise: noiseOf(2, SHAPE),
    ...rest,
  });
}

const one = (x: Images) => tf.tidy(() => tf.add(tf.zerosLike(x), 1) as Images);

/** Samplers that break the contract at their second step, and what is said of it. */
const broken: readonly [string, Sampler["step"] | unknown, string][] = [
  ["returns nothing", () => undefined, 'Sampler "mine" returned no tensor x at step 2'],
  ["returns null", () => null, 'Sampler "mine" returned no tensor x at step 2'],
  ["returns no x", () => ({ y: 1 }), 'Sampler "mine" returned no tensor x at step 2'],
  ["returns numbers", () => ({ x: [1] }), 'Sampler "mine" returned no tensor x at step 2'],
  [
    "drops an image",
    ({ x }: { x: Images }) => ({ x: tf.slice(x, 0, 1) }),
    'Sampler "mine" turned images of shape [2,1,1,2] into [1,1,1,2] at step 2',
  ],
  [
    "loses an axis",
    ({ x }: { x: Images }) => ({ x: tf.squeeze(x) }),
    'Sampler "mine" turned images of shape [2,1,1,2] into [2,2] at step 2',
  ],
  [
    "makes a NaN",
    ({ x }: { x: Images }) => ({ x: tf.mul(x, tf.tensor([1, NaN]).reshape([2, 1, 1, 1])) }),
    'Image 1 stopped being finite at step 2 of sampler "mine"',
  ],
  [
    "disposes what it returns",
    ({ x }: { x: Images }) => {
      const next = tf.clone(x);
      next.dispose();
      return { x: next };
    },
    'Sampler "mine" returned a tensor x that is disposed at step 2',
  ],
  [
    "throws",
    () => {
      throw new RangeError("no way");
    },
    'Sampler "mine" failed at step 2: no way',
  ],
  [
    "throws a text",
    () => Promise.reject("no way"),
    'Sampler "mine" failed at step 2: no way',
  ],
];

for (const [what, step, message] of broken) {
  Deno.test(`run() names a sampler that ${what}, and frees its tensors`, async () => {
    let steps = 0;
    const plugin = sampler((input: { x: Images }) =>
      ++steps === 1 ? { x: one(input.x), history: { old: one(input.x) } } : (step as Step)(input)
    );
    const before = tf.memory().numTensors;
    const error = await assertRejects(() => start(plugin), Error, message);
    assert(!error.message.includes("\n"), error.message);
    assertEquals(tf.memory().numTensors, before);
  });
}
type Step = (input: { x: Images }) => unknown;

Deno.test("run() leaves the errors of a model and of a caller as they are", async () => {
  const before = tf.memory().numTensors;
  const model = new TypeError("the network is broken");
  const caught = await assertRejects(() => start(ddim, { predict: () => Promise.reject(model) }));
  assert(caught === model);
  const disk = new Error("the disk is full");
  const onStep = () => Promise.reject(disk);
  assert(await assertRejects(() => start(ddim, { onStep })) === disk);
  assertEquals(tf.memory().numTensors, before);
});

/** Guidances that break the contract, and what is said of it. */
const misguided: readonly [string, Guidance["guide"] | unknown, string][] = [
  [
    "returns nothing",
    () => undefined,
    'Guidance "push" returned no x0: it must be a tensor of shape [2, 1, 1, 2]',
  ],
  [
    "returns half a prediction",
    ({ x0 }: { x0: Images }) => ({ x0 }),
    'Guidance "push" returned no eps: it must be a tensor of shape [2, 1, 1, 2]',
  ],
  [
    "changes the shape",
    ({ x0, eps }: { x0: Images; eps: Images }) => ({ x0: tf.sum(x0, 0), eps }),
    'Guidance "push" returned x0 of shape [1, 1, 2]: it must be a tensor of shape [2, 1, 1, 2]',
  ],
  [
    "makes a NaN",
    ({ x0, eps }: { x0: Images; eps: Images }) => ({ x0: tf.mul(x0, NaN), eps }),
    'Image 0 stopped being finite at step 1 of sampler "ddim"',
  ],
  [
    "throws",
    () => {
      throw new RangeError("strength is too large");
    },
    'Cannot use guidance "push": strength is too large',
  ],
  [
    "asks for the unconditional half without need",
    async (_: unknown, input: { unconditional: () => Promise<unknown> }) =>
      await input.unconditional(),
    'Cannot use guidance "push": it must list "unconditional" in needs',
  ],
  [
    "asks for the classifier without need",
    async (_: unknown, input: { classifierGradient: () => Promise<unknown> }) =>
      await input.classifierGradient(),
    'Cannot use guidance "push": it must list "classifier" in needs',
  ],
];

for (const [what, guided, message] of misguided) {
  Deno.test(`run() names a guidance that ${what}, and frees its tensors`, async () => {
    const before = tf.memory().numTensors;
    const { predict } = closedForm({ mixture, guidances: [guide(guidance(guided))] });
    await assertRejects(() => start(ddim, { predict }), Error, message);
    assertEquals(tf.memory().numTensors, before);
  });
}

Deno.test("timelineOf() takes the sampler's own levels, which need two", async () => {
  const path = linearPath(2);
  const twice = { timeline: (path: readonly Level[]) => path.flatMap((level) => [level, level]) };
  assertEquals(timelineOf(choose(ddim), path), path);
  assertEquals(timelineOf(choose({ ...ddim, ...twice }), path).length, 6);
  const message = 'Sampler "mine" made a timeline of fewer than two levels';
  for (const timeline of [() => [], (path: readonly Level[]) => path.slice(0, 1)]) {
    assertThrows(
      () => timelineOf(choose(sampler(() => {}, { timeline })), path),
      TypeError,
      message,
    );
  }
  const wrong = sampler(() => {}, { timeline: () => undefined as unknown as Level[] });
  assertThrows(
    () => timelineOf(choose(wrong), path),
    TypeError,
    'Sampler "mine" made a timeline that is no list of levels',
  );
  await assertRejects(
    () => start(ddim, { path: path.slice(0, 1) }),
    RangeError,
    "a path of fewer than two levels",
  );
});

Deno.test("run() visits the path as it is, and a timeline only where it was asked for one", async () => {
  let timelines = 0;
  const levels: Level[] = [];
  const plugin: Sampler = {
    ...sampler(({ x, from, to }: { x: Images; from: Level; to: Level }) => {
      levels.push(from, to);
      return { x };
    }),
    timeline(path) {
      timelines++;
      return path.flatMap((level) => [level, level]);
    },
  };
  const path = timelineOf(choose(plugin), linearPath(2));
  (await start(plugin, { path })).dispose();
  assertEquals([timelines, levels.length], [1, 10]);
  assertEquals(levels.filter((_, i) => i % 2 === 0), path.slice(0, -1));
  assertEquals(levels.filter((_, i) => i % 2 === 1), path.slice(1));
});

Deno.test("run() starts from noise as strong as the first level's", async () => {
  const noise = noiseOf(2, SHAPE).draw();
  const first = async (level: Level) => {
    const path = [level, { t: -1, alpha: 1, sigma: 0 }];
    return [
      ...await drawn({
        sampler: choose(sampler(({ x }: { x: Images }) => ({ x }))),
        path,
        predict: closedForm({ mixture }).predict,
        noise: noiseOf(2, SHAPE),
      }),
    ];
  };
  assertEquals(await first({ t: 999, alpha: 0.6, sigma: 0.8 }), [...noise]); // unit variance
  assertEquals(await first({ t: 80, alpha: 1, sigma: 80 }), [...noise.map((value) => 80 * value)]);
  assertEquals(await first({ t: 1000, alpha: 0, sigma: 1 }), [...noise]);
});

Deno.test("run() tells of each step", async () => {
  const path = linearPath(4);
  const seen: unknown[] = [];
  let last: number[] = [];
  const x = await start(ddpm, {
    path,
    onStep({ step, steps, level, x, x0 }) {
      seen.push([step, steps, level, x0?.shape]);
      last = [...x.dataSync()];
    },
  });
  assertEquals(seen, path.slice(1).map((level, i) => [i + 1, 4, level, [2, 1, 1, 2]]));
  assertEquals(last, [...x.dataSync()]);
  x.dispose();
});

Deno.test("run() hands a sampler its history, whose tensors live as long as they are in it", async () => {
  const before = tf.memory().numTensors;
  const lengths: number[] = [];
  const plugin = sampler(
    ({ x }: { x: Images }, history: { last: Images[]; count: number } | undefined) => {
      const last = history?.last ?? [];
      for (const tensor of last) tensor.dataSync(); // throws where it is freed
      lengths.push(last.length);
      return { x: one(x), history: { last: [one(x), ...last].slice(0, 2), count: lengths.length } };
    },
  );
  const path = linearPath(6);
  let most = 0;
  (await start(plugin, { path, onStep: () => void (most = tf.memory().numTensors) })).dispose();
  assertEquals(lengths, [0, 1, 2, 2, 2, 2]);
  assertEquals(tf.memory().numTensors, before);
  assert(most - before < 10, `${most - before} tensors are alive`);
});

Deno.test("run() keeps a tensor that is both the images and the history", async () => {
  const before = tf.memory().numTensors;
  const plugin = sampler(({ x }: { x: Images }, old: Images | undefined) => {
    old?.dataSync();
    return { x, history: x };
  });
  const x = await start(plugin);
  assertEquals(x.dataSync().length, 4);
  x.dispose();
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("run() stops between two steps where it is told to, and leaks nothing", async () => {
  for (const stop of [0, 2]) {
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const reason = new Error("enough");
    let steps = 0;
    if (stop === 0) controller.abort(reason);
    const plugin = sampler(({ x }: { x: Images }) => ({ x: one(x), history: [one(x)] }));
    const error = await assertRejects(() =>
      start(plugin, {
        path: linearPath(5),
        signal: controller.signal,
        onStep({ step }) {
          steps = step;
          if (step === stop) controller.abort(reason);
        },
      })
    );
    assert(error === reason);
    assertEquals(steps, stop);
    assertEquals(tf.memory().numTensors, before);
  }
});

Deno.test("run() holds as many tensors at its 100th step as at its second", async () => {
  for (const plugin of [ddpm, ddim] as Sampler[]) {
    const before = tf.memory();
    const counts: number[] = [];
    const x = await start(plugin, {
      path: linearPath(100),
      onStep: () => void counts.push(tf.memory().numTensors),
    });
    assertEquals(counts.length, 100);
    assertEquals(new Set(counts.slice(1, -1)).size, 1, plugin.name);
    x.dispose();
    const { numTensors, numDataBuffers } = tf.memory();
    assertEquals([numTensors, numDataBuffers], [before.numTensors, before.numDataBuffers]);
  }
});

Deno.test("run() draws an image alike in every batch", async () => {
  const images = async (count: number, seed: number) =>
    await drawn({
      sampler: choose(ddpm),
      path: linearPath(5),
      predict: closedForm({ mixture }).predict,
      noise: noiseOf(count, SHAPE, seed),
    });
  const together = await images(3, 7);
  const alone = [await images(1, 7), await images(1, 8), await images(1, 9)];
  assertEquals(distance(together, alone.flatMap((image) => [...image])), 0);
});

/**
 * The laws that every sampler and every guidance obeys, as tests. The test of a plugin calls
 * {@linkcode testSampler} or {@linkcode testGuidance} and adds what is special; a plugin outside the
 * project imports them as `denoise/laws`:
 *
 * ```ts ignore
 * import { testSampler } from "denoise/laws";
 * import mine from "./mine.ts";
 *
 * testSampler(mine, { settings: [{ strength: 2 }] });
 * ```
 *
 * The model is a mixture of two Gaussians on images of 4×4 pixels, one for each of two classes,
 * with the exact score, a null class, a classifier and a learned variance.
 *
 * @module
 */
import { assert, assertEquals, assertIsError, assertMatch } from "@std/assert";
import * as tf from "tfjs";
import { fromX0, type Guidance, type Images, type Level } from "../plugin.ts";
import type { Options, Prediction, Sampler, Values } from "../plugin.ts";
import type { Predict } from "../pipeline/denoiser.ts";
import { run, timelineOf } from "../pipeline/run.ts";
import { checkPlugin, type Chosen, type Plugins } from "../plugins/load.ts";
import { checkOptions, type Kind } from "../plugins/options.ts";
import ddim from "../samplers/ddim.ts";
import ddpm from "../samplers/ddpm.ts";
import { alphasCumprod, CLEAN, linear, path, rescaleZeroSnr, SPACINGS } from "../schedules/mod.ts";
import {
  choose,
  type ClosedForm,
  closedForm,
  distance,
  guide,
  NO_CLASS,
  noiseOf,
} from "./pipeline/_closed_form.ts";

/** Kinds of levels: variance-preserving, variance-exploding, flow matching. */
export type Family = "vp" | "ve" | "flow";

/** What the laws need to know of a plugin. */
export interface Laws<O extends Options> {
  /** Values of its options to test beside the defaults. */
  readonly settings?: readonly Partial<Values<O>>[];
  /** The levels that it is made for; all of them where absent. */
  readonly families?: readonly Family[];
  /** How far an image may be from the same image in a batch: 1e-6 where absent. */
  readonly tolerance?: number;
  /** False where a sampler's steps do not follow from sigma / alpha and x / alpha alone. */
  readonly scaleFree?: boolean;
}

/** What the laws need to know of a guidance. */
export interface GuidanceLaws<O extends Options> extends Laws<O> {
  /** Values at which it leaves every prediction as it is, where there are such. */
  readonly neutral?: Partial<Values<O>>;
}

const SHAPE = [4, 4, 1] as const;
const mixture = {
  weights: [0.5, 0.5],
  means: [[0.9, -0.9, 0.3, 0.7, -0.2], [-0.8, 0.4, 0.9]],
  deviations: [[0.3, 0.1, 0.5], [0.2, 0.4]],
};
const variance = [0.2, -0.6, 1];

/**
 * Registers the laws of a sampler as tests: its table of options is whole; the same seed gives the
 * same bytes; an image is the same in every batch; no tensor leaks; images stay finite for 1 to 5
 * steps on every path, and for all of a process; it goes by sigma / alpha alone; a path that climbs is
 * refused or climbed; and where the model knows the clean image, the run ends with it.
 */
export function testSampler<O extends Options, H>(
  sampler: Sampler<O, H>,
  laws: Laws<O> = {},
): void {
  const { name } = sampler;
  const { tolerance = 1e-6 } = laws;
  const plugin = () => checkPlugin("sampler", name, sampler);
  const settings = settingsOf(laws);
  const images = (
    setting: Setting,
    levels: readonly Level[],
    { count = 4, seed = 0, predict = modelOf(count, seed).predict } = {},
  ) => draw(choose(plugin(), setting), levels, predict, count, seed);

  testOptions("sampler", name, plugin, settings);

  each(
    `${name}() gives the same bytes for the same seed`,
    settings,
    laws,
    async (setting, levels) => {
      const first = await images(setting, levels);
      const other = await images(setting, levels, { seed: 100 });
      assertEquals(await images(setting, levels), first);
      assert(distance(first, other) > 0, "another seed gives the same images");
    },
  );

  each(`${name}() makes an image alike in every batch`, settings, laws, async (setting, levels) => {
    const together = await images(setting, levels, { seed: 5 });
    for (let i = 0; i < 4; i++) {
      const alone = await images(setting, levels, { count: 1, seed: 5 + i });
      const apart = distance(together.slice(16 * i, 16 * (i + 1)), alone);
      assert(apart <= tolerance, `image ${i} of a batch is off by ${apart}`);
    }
  });

  each(`${name}() leaks no tensor`, settings, laws, async (setting, levels) => {
    const before = tf.memory().numTensors;
    await images(setting, levels);
    assertEquals(tf.memory().numTensors, before);
  });

  finite(name, settings, laws, (setting, levels) => images(setting, levels, { count: 1 }));

  each(
    `${name}() refuses a path that climbs, or climbs it`,
    settings,
    laws,
    async (setting, down) => {
      const levels = [...down.slice(0, 3), down[1] ?? CLEAN, ...down.slice(2)];
      try {
        await images(setting, levels, { count: 1 }); // `run` itself refuses a NaN
        const levelled = sampler.climbs === true || sampler.timeline !== undefined;
        assert(levelled, "it does not say that it climbs");
      } catch (error) {
        assertIsError(error, RangeError, "climb");
      }
    },
  );

  Deno.test(`${name}() goes by sigma / alpha, whatever the scale of its levels`, async () => {
    if (laws.scaleFree === false || laws.families?.includes("ve") === false) return;
    const [, vp = []] = pathsOf("vp", 4).at(-1) ?? [];
    const ve = vp.map(({ t, alpha, sigma }) => ({ t, alpha: 1, sigma: sigma / alpha }));
    const x = tf.tensor4d(noiseOf(4, SHAPE, 50).draw(), [4, ...SHAPE]);
    const scaled = tf.mul(x, 1 / (vp[0]?.alpha ?? NaN)) as Images;
    for (const setting of settings) {
      const sampled = choose(plugin(), setting);
      const ours = await draw(sampled, vp, modelOf(4, 0).predict, 4, 0, x);
      const theirs = await draw(sampled, ve, modelOf(4, 0).predict, 4, 0, scaled);
      const apart = distance(ours, theirs);
      assert(apart < 1e-3, `With ${JSON.stringify(setting)}: it is off by ${apart}`);
    }
    tf.dispose([x, scaled]);
  });

  const title = `${name}() ends with the clean image where the model knows it`;
  each(title, settings, laws, async (setting, levels) => {
    const clean = noiseOf(1, SHAPE, 9).draw();
    const predict: Predict = (x, at) => {
      const [x0, mix] = [tf.tensor4d(clean, x.shape), tf.fill(x.shape, 0.3) as Images];
      return Promise.resolve(fromX0(x, at, x0, { mix }));
    };
    const apart = distance(await images(setting, levels, { count: 1, predict }), clean);
    assert(apart < 1e-3, `it is off by ${apart}`);
  });
}

/**
 * Registers the laws of a guidance as tests: its table of options is whole; the same seed gives the
 * same bytes; an image is the same in every batch; no tensor leaks; images stay finite for 1 to 5
 * steps on every path; `x = alpha * x0 + sigma * eps` holds after it; and its neutral setting
 * changes nothing. Each with a sampler that takes a shift (ddpm) and one that does not (ddim).
 */
export function testGuidance<O extends Options>(
  guidance: Guidance<O>,
  laws: GuidanceLaws<O> = {},
): void {
  const { name } = guidance;
  const { neutral, tolerance = 1e-6 } = laws;
  const plugin = () => checkPlugin("guidance", name, guidance);
  const settings = settingsOf(laws);
  const samplers: readonly Sampler[] = [ddpm, ddim];
  // A classifier steers the unconditional model, all else the conditional one.
  const free = guidance.needs?.includes("classifier") === true;
  const modelsOf = (setting: Setting | undefined, { count = 4, seed = 0 } = {}) =>
    samplers.map((sampler) => {
      const guidances = setting === undefined ? [] : [guide(plugin(), setting)];
      const takesShift = sampler.takesShift === true;
      return {
        sampler: choose(sampler),
        ...modelOf(count, seed, { guidances, takesShift, free }),
      };
    });
  const images = async (
    setting: Setting,
    levels: readonly Level[],
    { count = 4, seed = 0 } = {},
  ) => {
    const all: number[] = [];
    for (const { sampler, predict } of modelsOf(setting, { count, seed })) {
      all.push(...await draw(sampler, levels, predict, count, seed));
    }
    return all;
  };

  testOptions("guidance", name, plugin, settings);

  each(
    `${name}() gives the same bytes for the same seed`,
    settings,
    laws,
    async (setting, levels) => {
      assertEquals(await images(setting, levels), await images(setting, levels));
    },
  );

  each(`${name}() makes an image alike in every batch`, settings, laws, async (setting, levels) => {
    const together = await images(setting, levels, { seed: 5 });
    for (let i = 0; i < 4; i++) {
      const alone = await images(setting, levels, { count: 1, seed: 5 + i });
      const same = [0, 64].flatMap((start) => together.slice(start + 16 * i, start + 16 * (i + 1)));
      const apart = distance(same, alone);
      assert(apart <= tolerance, `image ${i} of a batch is off by ${apart}`);
    }
  });

  each(`${name}() leaks no tensor`, settings, laws, async (setting, levels) => {
    const before = tf.memory().numTensors;
    await images(setting, levels);
    assertEquals(tf.memory().numTensors, before);
  });

  finite(name, settings, laws, (setting, levels) => images(setting, levels, { count: 1 }));

  each(`${name}() keeps x = alpha x0 + sigma eps`, settings, laws, async (setting, levels) => {
    for (const { predict } of modelsOf(setting)) {
      await atEach(levels, async (x, at) => {
        const { x0, eps } = await predict(x, at, 0);
        const sum = tf.add(tf.mul(x0, at.alpha), tf.mul(eps, at.sigma));
        const apart = distance(sum.dataSync(), x.dataSync());
        const size = Math.max(1, ...tf.abs(x).dataSync(), ...tf.mul(x0, at.alpha).dataSync());
        assert(apart <= 1e-5 * size, `x is off by ${apart} at t = ${at.t}`);
      });
    }
  });

  if (neutral === undefined) return;
  const off: Setting = plain(neutral);
  each(`${name}() changes nothing where it is off`, [off], laws, async (_, levels) => {
    const [unguided] = modelsOf(undefined);
    for (const { predict } of modelsOf(off)) {
      await atEach(levels, async (x, at) => {
        assertSame(await predict(x, at, 0), await unguided?.predict(x, at, 0), at);
      });
    }
  });
}

/** Values of some options. */
type Setting = Readonly<Record<string, string | number | boolean>>;

const plain = (values: object): Setting => Object.fromEntries(Object.entries(values));

function settingsOf<O extends Options>({ settings = [] }: Laws<O>): Setting[] {
  return [{}, ...settings].map(plain);
}

/** Two predictions that are one. */
function assertSame(ours: Prediction, free: Prediction | undefined, { t }: Level): void {
  for (const part of ["x0", "eps", "mix", "shift"] as const) {
    const [is = [], was = []] = [ours, free].map((it) => it?.[part]?.dataSync() ?? []);
    const apart = distance(is, was);
    const allowed = 1e-5 * Math.max(1, ...Array.from(was, Math.abs)); // x0 and eps may be derived again
    assert(apart <= allowed, `${part} is off by ${apart} at t = ${t}`);
  }
}

/** The model for images of a run, whose classes take turns by seed. */
function modelOf(
  count: number,
  seed: number,
  { free = false, ...rest }: Partial<ClosedForm> & { readonly free?: boolean } = {},
): { readonly predict: Predict } {
  const labels = Int32Array.from({ length: count }, (_, i) => (seed + i) % 2);
  return closedForm({
    mixture,
    variance,
    ...rest,
    conditions: { network: free ? labels.map(() => NO_CLASS) : labels, classifier: labels },
  });
}

/** The values of the images of a run. */
async function draw(
  sampler: Chosen<Sampler>,
  levels: readonly Level[],
  predict: Predict,
  count: number,
  seed: number,
  start?: Images,
): Promise<Float32Array> {
  const noise = noiseOf(count, SHAPE, seed);
  const x = await run({ sampler, path: timelineOf(sampler, levels), predict, noise, start });
  const values = Float32Array.from(x.dataSync());
  x.dispose();
  return values;
}

/** Calls with noisy images at each level of a path that has noise. */
async function atEach(
  levels: readonly Level[],
  check: (x: Images, at: Level) => Promise<void>,
): Promise<void> {
  for (const at of levels.filter(({ sigma }) => sigma > 0)) {
    tf.engine().startScope();
    try {
      const noise = tf.tensor4d(noiseOf(4, SHAPE, 3).draw(), [4, ...SHAPE]);
      await check(tf.add(at.alpha * 0.3, tf.mul(noise, at.sigma)) as Images, at);
    } finally {
      tf.engine().endScope();
    }
  }
}

/** The paths of a family of levels, by name. */
function pathsOf(family: Family, steps: number): [string, Level[]][] {
  if (family === "flow") {
    const levels = Array.from({ length: steps + 1 }, (_, i) => {
      const sigma = 1 - i / steps;
      return { t: 1000 * sigma, alpha: 1 - sigma, sigma };
    });
    return [["flow", levels]];
  }
  if (family === "ve") {
    const sigmas = Array.from(
      { length: steps },
      (_, i) => 20 * (0.002 / 20) ** (i / Math.max(1, steps - 1)),
    );
    return [["ve", [...sigmas, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }))]];
  }
  const schedule = alphasCumprod(linear(1000));
  return SPACINGS.map((spacing) => [spacing, path({ alphasCumprod: schedule, spacing, steps })]);
}

/** One test of every setting on one path of each family. */
function each(
  name: string,
  settings: readonly Setting[],
  { families = ["vp", "ve", "flow"] }: Laws<Options>,
  check: (setting: Setting, levels: readonly Level[]) => Promise<void>,
): void {
  Deno.test(name, async () => {
    for (const setting of settings) {
      for (const family of families) {
        const [title, levels] = pathsOf(family, 4).at(-1) ?? ["", []];
        await within(`${JSON.stringify(setting)} on a ${title} path`, () => check(setting, levels));
      }
    }
  });
}

/** The law of 1 to 5 steps on every path, and of one that visits every timestep. */
function finite(
  name: string,
  settings: readonly Setting[],
  { families = ["vp", "ve", "flow"] }: Laws<Options>,
  images: (setting: Setting, levels: readonly Level[]) => Promise<ArrayLike<number>>,
): void {
  Deno.test(`${name}() stays finite for 1 to 5 steps on every path`, async () => {
    for (const setting of settings) {
      for (const steps of [1, 2, 3, 4, 5]) {
        const paths = families.flatMap((family) => pathsOf(family, steps));
        if (families.includes("vp")) {
          paths.push(["set_alpha_to_one: false", stillPath(steps)]);
          paths.push(["zero-terminal SNR", darkPath(steps)]);
        }
        const twice = steps === 1 ? [] : paths.map(([title, levels]): [string, Level[]] => {
          const middle = Math.floor(levels.length / 2);
          const same = levels.slice(middle, middle + 1);
          return [`${title} path with one level twice`, levels.toSpliced(middle, 0, ...same)];
        });
        for (const [title, levels] of [...paths, ...twice]) {
          await within(
            `${JSON.stringify(setting)} in ${steps} steps on a ${title} path`,
            async () => {
              const values = await images(setting, levels); // `run` itself refuses a NaN
              assert(Array.from(values).every((value) => Math.abs(value) < 1e3), "it is far off");
            },
          );
        }
      }
      if (!families.includes("vp")) continue;
      const all = path({
        alphasCumprod: alphasCumprod(linear(20, 0.005, 0.9)),
        spacing: "leading",
        steps: 20,
      });
      await within(`${JSON.stringify(setting)} in all timesteps`, async () => {
        await images(setting, all);
      });
    }
  });
}

/** A path of diffusers whose last two levels are the same, so that nothing is left to do. */
function stillPath(steps: number): Level[] {
  return path({
    alphasCumprod: alphasCumprod(linear(1000)),
    spacing: "leading",
    steps,
    setAlphaToOne: false,
  });
}

/** A path from a level where nothing of the image is left, so that sigma / alpha is infinite there. */
function darkPath(steps: number): Level[] {
  const schedule = alphasCumprod(rescaleZeroSnr(linear(1000)));
  return path({ alphasCumprod: schedule, spacing: "trailing", steps });
}

/** Names the case that an error comes from. */
async function within(title: string, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    cause.message = `With ${title}: ${cause.message}`;
    throw cause;
  }
}

/** The law of a plugin's data. */
function testOptions<K extends Kind>(
  kind: K,
  name: string,
  plugin: () => Plugins[K],
  settings: readonly Setting[],
): void {
  Deno.test(`${name}() has a whole table of options`, () => {
    const { summary, paper, options } = plugin();
    assertMatch(name, /^[a-z][a-z0-9_]*$/);
    assertMatch(summary, /^[^\n]{3,99}[^.\n]$/, "summary is not one line without a period");
    assert(URL.canParse(paper) && paper.startsWith("https://"), "paper is no https address");
    for (const [key, { help }] of Object.entries(options)) {
      assertMatch(help, /^[^\n]{3,99}[^.\n]$/, `the help of ${key} is not one line`);
    }
    for (const setting of settings) checkOptions(kind, name, options, setting);
  });
}

/**
 * Runs of guided-diffusion on a mixture of Gaussians, step by step.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import clip from "../../guidance/clip.ts";
import classifier from "../../guidance/classifier.ts";
import type { Level, Sampler } from "../../plugin.ts";
import { run } from "../../pipeline/run.ts";
import { alphasCumprod, linearOpenai, path, posterior } from "../../schedules/mod.ts";
import { readFixture } from "../_safetensors.ts";
import fixture from "../fixtures/samplers-openai/cases.json" with { type: "json" };
import { choose, closedForm, givenNoise, guide, type Noisy } from "../pipeline/_closed_form.ts";

/** The name of a run. */
export type Case = keyof typeof fixture.cases;

/** The names of the runs of one of its loops: `p`, `ddim`, or `reverse`, DDIM's inversion. */
export function casesOf(kind: "p" | "ddim" | "reverse"): Case[] {
  const names = Object.keys(fixture.cases) as Case[];
  return names.filter((name) => fixture.cases[name].kind === kind);
}

const expected = readFixture("samplers-openai/expected.safetensors");
const [BATCH, STEPS, SIZE] = [5, 25, 2];
const { w: weights, mu: means, s: deviations } = fixture.gmm;

/** The fixture's cond_fn: a gradient that is no model's, with the class in it. */
function slope({ x, size, at, labels }: Noisy): Float64Array {
  const { lam, c, b, decay } = fixture.cond_fn;
  return Float64Array.from(x, (value, i) => {
    const center = c[labels?.[Math.floor(i / size)] ?? -1]?.[i % size] ?? NaN;
    return (1 - decay * at.t / 1000) * (lam * (center - value) + (b[i % size] ?? NaN));
  });
}

/**
 * What guided-diffusion adds to its last mean where the variance is learned: the gradient times a
 * variance. That of the last step is 0, since nothing is left to draw; for the sake of its logarithm
 * they take that of the step before (`posterior_log_variance_clipped`), and so shift the finished
 * images by some 1e-4. `ddpm` does not.
 */
function lastShift(levels: readonly Level[], x: Float64Array, labels: Int32Array): Float64Array {
  const [before, at] = levels.slice(-3);
  if (before === undefined || at === undefined) throw new RangeError("The path is too short");
  const [low, high] = [posterior(before, at).variance, at.sigma ** 2];
  return slope({ x, size: SIZE, at, labels }).map((gradient, i) => {
    const mix = ((fixture.learned_range_variance_channels.value[i % SIZE] ?? NaN) + 1) / 2;
    return gradient * low ** (1 - mix) * high ** mix;
  });
}

/**
 * Runs a sampler as guided-diffusion ran its own and compares every state and every guess of the
 * clean images, each to the tolerance of the fixture.
 */
export async function assertSameRun(
  name: Case,
  sampler: Sampler,
  options: Readonly<Record<string, string | number>>,
): Promise<void> {
  const given = fixture.cases[name];
  const learned = given.var_type === "LEARNED_RANGE";
  const reverse = given.kind === "reverse";
  const down = path({
    alphasCumprod: alphasCumprod(linearOpenai(given.num_train_timesteps)),
    respacing: given.respacing,
    timeScale: given.rescale_timesteps ? 1000 / given.num_train_timesteps : 1,
  });
  // Their inversion takes a clean image for one of the least noisy level, and ends in noise alone.
  const levels = reverse
    ? [...down.slice(0, -1).toReversed(), { t: NaN, alpha: 0, sigma: 1 }]
    : down;
  const labels = Int32Array.from(expected("y").data);
  const noise = expected("noise").data;
  const model = closedForm({
    mixture: { weights, means, deviations },
    type: given.mean_type === "START_X" ? "sample" : "epsilon",
    ...(learned && { variance: fixture.learned_range_variance_channels.value }),
    conditions: { classifier: labels },
    // guided-diffusion clips before its classifier.
    guidances: [
      ...(given.clip_denoised ? [guide(clip)] : []),
      ...(given.cond_fn ? [guide(classifier, { scale: 1, limit: 1e6 })] : []),
    ],
    takesShift: sampler.takesShift === true,
    gradient: slope,
  });
  const states = [expected(reverse ? "x_0_for_reverse" : "x_T").data];
  const start = tf.tensor4d(Float32Array.from(states[0] ?? []), [BATCH, 1, SIZE, 1]);
  const guesses: Float64Array[] = [];
  const x = await run({
    sampler: choose(sampler, options),
    path: levels,
    predict: model.predict,
    start,
    noise: givenNoise(
      [BATCH, 1, SIZE, 1],
      Array.from(
        { length: STEPS },
        (_, k) => noise.subarray(k * BATCH * SIZE, (k + 1) * BATCH * SIZE),
      ),
    ),
    onStep({ x, x0 }) {
      states.push(Float64Array.from(x.dataSync()));
      guesses.push(Float64Array.from(x0?.dataSync() ?? []));
    },
  });
  tf.dispose([x, start]);
  assertEquals(model.calls.map(({ t }) => t[0]), [...expected(`${name}.model_t`).data]);
  if (given.kind === "p" && given.cond_fn && learned) {
    const shift = lastShift(levels, states[STEPS - 1] ?? new Float64Array(), labels);
    states[STEPS] = shift.map((value, i) => value + (states[STEPS]?.[i] ?? NaN));
  }
  assertClose(states, `${name}.traj`);
  assertClose(guesses, `${name}.pred_xstart`);
}

function assertClose(actual: readonly Float64Array[], name: string): void {
  const { data } = expected(name);
  const tolerances = expected(name.replace(/\.(\w+)$/, ".atol_$1")).data;
  assertEquals(actual.length, tolerances.length, name);
  const size = BATCH * SIZE;
  for (const [step, values] of actual.entries()) {
    const wanted = data.subarray(step * size, (step + 1) * size);
    const allowed = (tolerances[step] ?? 0) * Math.max(1, ...wanted.map(Math.abs));
    for (const [index, value] of wanted.entries()) {
      const difference = Math.abs((values[index] ?? NaN) - value);
      assert(
        difference <= allowed,
        `${name} is off by ${difference} in value ${index} of step ${step}, not by ${allowed}`,
      );
    }
  }
}

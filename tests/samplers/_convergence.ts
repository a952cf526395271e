/**
 * How fast a sampler comes to the exact flow of Gaussian data as steps become more.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { Level, Options, Sampler } from "../../plugin.ts";
import { checkPlugin } from "../../plugins/load.ts";
import { formatSpec } from "../../plugins/spec.ts";
import { choose, closedForm, distance, drawn, givenNoise } from "../pipeline/_closed_form.ts";
import { timelineOf } from "../../pipeline/run.ts";

/** Values that are independent of each other, each normal with a mean and a deviation of its own. */
const MEANS = [0.5, -0.3, 0.8, 0, -0.6];
const DEVIATIONS = [0.1, 0.25, 0.5, 0.75, 0.4];
const START = [-1.2, 0.3, 2, -0.7, 1.1];
/** Radians: alpha is a cosine, sigma a sine. */
const [FROM, TO] = [1.4, 0.2];

const at = (angle: number): Level => ({ t: angle, alpha: Math.cos(angle), sigma: Math.sin(angle) });

/** Values of a sampler's options. */
type Given = Readonly<Record<string, string | number | boolean>>;

/** The images of a run along levels at these angles, and the network's calls. */
async function runAlong<O extends Options, H>(
  sampler: Sampler<O, H>,
  given: Given,
  path: readonly Level[],
): Promise<{ readonly images: Float32Array; readonly calls: number }> {
  const chosen = choose(checkPlugin("sampler", sampler.name, sampler), given);
  const { predict, calls } = closedForm({
    mixture: { weights: [1], means: [MEANS], deviations: [DEVIATIONS] },
  });
  const draws = Array.from({ length: 999 }, (_, i) => i === 0 ? START : START.map(() => 0));
  const noise = givenNoise([1, 1, START.length, 1], draws);
  const levels = timelineOf(chosen, path, process);
  const images = await drawn({ sampler: chosen, path: levels, process, predict, noise });
  return { images, calls: calls.length };
}

const pathOf = (steps: number): Level[] =>
  Array.from({ length: steps + 1 }, (_, i) => at(FROM + (TO - FROM) * i / steps));
const process = { atTime: at, atRatio: (ratio: number) => at(Math.atan(ratio)) };

/** The error of a run in so many steps, and the network's calls. */
export async function errorOf<O extends Options, H>(
  sampler: Sampler<O, H>,
  given: Given,
  steps: number,
): Promise<{ readonly error: number; readonly calls: number }> {
  const { images, calls } = await runAlong(sampler, given, pathOf(steps));
  return { error: distance(images, START.map(exact)), calls };
}

/** Calls of the network in so many steps, then with one more, to the clean images. */
export async function callsOf<O extends Options, H>(
  sampler: Sampler<O, H>,
  given: Given,
  steps: number,
): Promise<{ readonly noisy: number; readonly clean: number }> {
  const path = pathOf(steps);
  const { calls: noisy } = await runAlong(sampler, given, path);
  const { calls: clean } = await runAlong(sampler, given, [...path, at(0)]);
  return { noisy, clean };
}

/** Registers as a test that halving the steps divides the error by 2 to the power of the order. */
export function testOrder<O extends Options, H>(
  sampler: Sampler<O, H>,
  order: number,
  given: Given = {},
): void {
  const title = Object.keys(given).length === 0 ? "" : ` with ${formatSpec("", given).slice(1)}`;
  Deno.test(`${sampler.name}() comes to the exact flow with order ${order}${title}`, async () => {
    const few = await errorOf(sampler, given, 32);
    const many = await errorOf(sampler, given, 96);
    const measured = Math.log(few.error / many.error) / Math.log(3);
    assert(Math.abs(measured - order) < 0.35, `the order is ${measured}`);
  });
}

/** The flow keeps a value at its number of standard deviations from the mean. */
function exact(x: number, index: number): number {
  const [mean = NaN, deviation = NaN] = [MEANS[index], DEVIATIONS[index]];
  const spread = ({ alpha, sigma }: Level) => Math.hypot(alpha * deviation, sigma);
  const [from, to] = [at(FROM), at(TO)];
  return to.alpha * mean + spread(to) * (x - from.alpha * mean) / spread(from);
}

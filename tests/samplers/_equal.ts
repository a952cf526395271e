/**
 * Samplers that are one map: equal images from the same noise.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { Level, Options, Sampler } from "../../plugin.ts";
import { checkPlugin } from "../../plugins/load.ts";
import { choose, closedForm, distance, drawn } from "../pipeline/_closed_form.ts";
import { givenNoise, linearPath, noiseOf } from "../pipeline/_closed_form.ts";

const mixture = {
  weights: [0.3, 0.7],
  means: [[0.8, -0.5], [-0.6, 0.2]],
  deviations: [[0.2, 0.4], [0.3, 0.1]],
};
const flow: Level[] = [1, 0.8, 0.5, 0.3, 0.1, 0].map((sigma) => ({
  t: 1000 * sigma,
  alpha: 1 - sigma,
  sigma,
}));
const exploding: Level[] = [20, 5, 1, 0.2, 0.02, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }));
const PATHS = [
  linearPath(10),
  linearPath(7, "linspace"),
  linearPath(20, "leading"),
  flow,
  exploding,
];

/** A sampler and values of its options. */
type Choice = readonly [
  sampler: { readonly name: string },
  given: Readonly<Record<string, string | number | boolean>>,
];

/** Runs both on paths of every family. */
export async function assertSame(
  first: Choice,
  second: Choice,
  { paths = PATHS }: { readonly paths?: readonly (readonly Level[])[] } = {},
): Promise<void> {
  for (const path of paths) {
    const images: Float32Array[] = [];
    for (const [sampler, given] of [first, second]) {
      const { predict } = closedForm({ mixture });
      const chosen = choose(checkPlugin("sampler", sampler.name, sampler), given);
      images.push(await drawn({ sampler: chosen, path, predict, noise: noiseOf(3, [1, 1, 2]) }));
    }
    const apart = distance(images[0] ?? [], images[1] ?? []);
    assert(apart < 1e-5, `off by ${apart} on a path from t = ${path[0]?.t}`);
  }
}

/** How often a sampler draws noise after the start, in so many steps. */
export async function draws<O extends Options, H>(
  sampler: Sampler<O, H>,
  given: Choice[1],
  steps: number,
): Promise<number> {
  const noise = givenNoise([1, 1, 1, 2], Array.from({ length: 4 * steps }, () => [0.3, -0.2]));
  const chosen = choose(checkPlugin("sampler", sampler.name, sampler), given);
  const { predict } = closedForm({ mixture });
  await drawn({ sampler: chosen, path: linearPath(steps), predict, noise });
  return noise.drawn() - 1;
}

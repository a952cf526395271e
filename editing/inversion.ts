/**
 * DDIM inversion: the noise that a picture comes from.
 *
 * @module
 */
import * as tf from "tfjs";
import type { ImageNoise } from "../noise/mod.ts";
import { combine, type Images, type Sampler } from "../plugin.ts";
import type { Predict } from "../pipeline/denoiser.ts";
import type { Plan } from "../pipeline/plan.ts";
import { type Run, run } from "../pipeline/run.ts";

/**
 * DDIM the other way (Song et al. 2021, section 4.3): from one level to a noisier one along the noise
 * that is predicted here. What DDIM will do on the way back is led by the noise predicted there;
 * `refine` times that one is asked for and the step made anew, a fixed-point iteration (Pan et al. 2023,
 * arXiv 2309.04907, equation 6).
 */
function inverse(refine: number): Sampler {
  return {
    name: "inversion",
    summary: "DDIM from the image to its noise",
    paper: "https://arxiv.org/abs/2010.02502",
    climbs: true,
    options: {},
    async step({ x, from, to, predict }) {
      const ratio = to.alpha / from.alpha;
      const climb = (eps: Images) => combine([ratio, x], [to.sigma - ratio * from.sigma, eps]);
      // A clean image has no noise to predict, but what it will have.
      let next = climb((await predict(x, from.sigma === 0 ? to : from)).eps);
      for (let i = 0; i < refine; i++) next = climb((await predict(next, to)).eps);
      return { x: next };
    },
  };
}

/** What an inversion takes beside the images. */
export interface Inversion extends Pick<Run, "signal" | "onStep"> {
  /** A run along which `ddim` leads back; its path falls to the images. */
  readonly plan: Pick<Plan, "levels" | "process">;
  readonly predict: Predict;
  /** Fixed-point iterations a step; 0 is DDIM inversion itself. */
  readonly refine: number;
}

/**
 * Inverts images.
 *
 * @param images In the model's units; they stay the caller's.
 * @returns x at the path's first level, shaped like the images; the caller disposes it.
 */
export function invert(
  images: Images,
  { plan: { levels, process }, predict, refine, ...rest }: Inversion,
): Promise<Images> {
  const path = levels.toReversed();
  return run({
    ...rest,
    sampler: { source: "inversion", plugin: inverse(refine), options: {}, from: 0, until: 1 },
    path,
    process,
    start: images,
    noise: noNoise(images.shape),
    // Guidances that act on a part of the path do so on the same levels both ways.
    predict: (x, at, _share, to, memory) =>
      predict(x, at, Math.max(0, levels.indexOf(at)) / (levels.length - 1), to, memory),
  });
}

/** Draws zeros: nothing here is random. */
function noNoise(shape: ImageNoise["shape"]): ImageNoise {
  return {
    shape,
    draw: () => new Float32Array(tf.util.sizeFromShape([...shape])),
    state: () => [],
  };
}

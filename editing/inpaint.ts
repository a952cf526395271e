/**
 * Inpainting: after every step of whatever sampler, the known part of the picture is put back at the
 * step's noise level.
 *
 * @module
 */
import * as tf from "tfjs";
import { combine, type Images, type Level, type Sampler } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import { checkOptions } from "../plugins/options.ts";
import { formatSpec, parseSpec } from "../plugins/spec.ts";
import { fallingPart, isNoisier, repaintOptions, withJumps } from "./repaint.ts";

/** How the known part is kept. */
export interface Inpainting {
  readonly name: "replace" | "repaint";
  /** As it is typed, with all options. */
  readonly spec: string;
  /** The levels that are visited, in place of a path. */
  timeline(path: readonly Level[]): readonly Level[];
}

/**
 * Reads `replace` or `repaint,jump=10,resample=10`.
 *
 * @throws {RangeError} If there is no such way, or an option is wrong.
 * @throws {SyntaxError} If the text cannot be read.
 */
export function chooseInpainting(text: string): Inpainting {
  const { name, options: given } = parseSpec(text);
  if (name === "replace") {
    checkOptions("inpaint", name, {}, given);
    return { name, spec: name, timeline: (path) => path };
  }
  if (name !== "repaint") {
    throw new RangeError(`Cannot use inpaint "${name}": it must be replace or repaint`);
  }
  const options = checkOptions("inpaint", name, repaintOptions, given);
  return { name, spec: formatSpec(name, options), timeline: (path) => withJumps(path, options) };
}

/** A picture of which a part is to be kept, in the model's own units. */
export interface Known {
  /** `[1, height, width, channel]`, or one of each image; made in each step, whose scope frees it. */
  readonly clean: () => Images;
  /** `[1, height, width, 1]`: 1 where it is drawn anew, 0 where it is kept. */
  readonly open: () => Images;
}

/** What is remembered between steps: the sampler's own history and the noise of the known part. */
interface History {
  readonly own?: unknown;
  readonly eps?: Images;
}

/**
 * A sampler that keeps the known part (Song et al. 2021, section 5 and appendix I.2). `replace` noises
 * it with the noise that is in x from the start, along which a deterministic sampler would lead the
 * known pixels too; `repaint` with new noise at each level (Lugmayr et al. 2022, Algorithm 1), and where
 * its path climbs it noises all of x.
 */
export function inpainting(
  chosen: Chosen<Sampler>,
  { name }: Pick<Inpainting, "name">,
  { clean, open }: Known,
): Chosen<Sampler> {
  const { plugin } = chosen;
  const blend = (drawn: Images, known: Images): Images => {
    const mask = tf.broadcastTo(open(), drawn.shape);
    return tf.where(tf.cast(mask, "bool"), drawn, known);
  };
  const step: Sampler["step"] = async (input, history) => {
    const { x, from, to, noise, path, index } = input;
    // Some paths end with a little noise left; what is kept ends without.
    const kept = index === path.length - 2 ? { alpha: 1, sigma: 0 } : to;
    const { own, eps: first } = (history ?? {}) as History; // only made below
    if (name === "repaint") {
      if (isNoisier(to, from)) return { x: renoise(x, from, to, noise) };
      const next = await plugin.step({ ...input, ...fallingPart(input.path, input.index) }, own);
      const known = combine([kept.alpha, tf.broadcastTo(clean(), x.shape)], [kept.sigma, noise]);
      return { x: blend(next.x, known), history: { own: next.history } };
    }
    const pixels: Images = tf.broadcastTo(clean(), x.shape);
    const eps = first ?? combine([1 / from.sigma, x], [-from.alpha / from.sigma, pixels]);
    const next = await plugin.step(input, own);
    const known = combine([kept.alpha, pixels], [kept.sigma, eps]);
    return { x: blend(next.x, known), history: { own: next.history, eps } };
  };
  return { ...chosen, plugin: { ...plugin, climbs: plugin.climbs || name === "repaint", step } };
}

/** x at a noisier level: a draw from q(x_to | x_from). */
function renoise(x: Images, from: Level, to: Level, noise: () => Images): Images {
  const ratio = to.alpha / from.alpha;
  const std = Math.sqrt(Math.max(0, to.sigma ** 2 - (ratio * from.sigma) ** 2));
  return combine([ratio, x], [std, noise]);
}

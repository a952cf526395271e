import {
  combine,
  type Images,
  type Level,
  type Options,
  type Step,
  type Values,
} from "../plugin.ts";
import { zphi } from "./_phi.ts";
import { quadrature } from "./_quadrature.ts";

/** An answer of the model and half the logarithm of the signal-to-noise ratio where it was. */
export interface Answer {
  readonly lambda: number;
  readonly images: Images;
}

/** log(alpha / sigma): -Infinity where no image is left, Infinity where no noise is. */
export function lambdaOf({ alpha, sigma }: Level): number {
  return Math.log(alpha) - Math.log(sigma);
}

/** The newest answer and those before it that a polynomial can be laid through. */
export function remember(
  history: readonly Answer[] | undefined,
  from: Level,
  images: Images,
  order: number,
): Answer[] {
  const lambda = lambdaOf(from);
  const usable = (history ?? []).filter((it) => it.lambda !== lambda && it.lambda !== -Infinity);
  return [{ lambda, images }, ...usable].slice(0, order);
}

/** Where answers were, in steps of h from the newest, which is at 0. */
export function nodesOf(answers: readonly Answer[], h: number): number[] {
  const [newest] = answers;
  return answers.map((it) => it === newest ? 0 : (it.lambda - (newest?.lambda ?? NaN)) / h);
}

/** Answers with their weights. */
export function weigh(answers: readonly Answer[], weights: readonly number[]): [number, Images][] {
  return answers.slice(0, weights.length).map(({ images }, i) => [weights[i] ?? NaN, images]);
}

/** The options of the multistep samplers of DPM-Solver. */
export const multistepOptions = {
  order: { type: "number", default: 2, min: 1, max: 3, integer: true, help: "answers it goes by" },
  algorithm: {
    type: "choice",
    choices: ["dpmsolver++", "dpmsolver"],
    default: "dpmsolver++",
    help: "dpmsolver++ goes by the clean images, dpmsolver by the noise",
  },
  solver: {
    type: "choice",
    choices: ["midpoint", "heun"],
    default: "midpoint",
    help: "how order 2 takes in the change of the answers",
  },
  lower_order_final: {
    type: "flag",
    default: true,
    help: "end with lower orders where there are fewer than 15 steps",
  },
  euler_at_final: { type: "flag", default: false, help: "end with order 1 in any case" },
} as const satisfies Options;

/** The order of a step: lower at the end of a run, where the options say so. */
export function orderAt(
  { path, index, options }: Pick<Step<Options>, "path" | "index"> & {
    readonly options:
      & Pick<Values<typeof multistepOptions>, "order" | "lower_order_final">
      & Partial<Pick<Values<typeof multistepOptions>, "euler_at_final">>;
  },
): number {
  const { order, lower_order_final, euler_at_final = false } = options;
  const [steps, left] = [path.length - 1, path.length - 1 - index];
  if (euler_at_final && left === 1) return 1;
  return lower_order_final && steps < 15 ? Math.min(order, left) : order;
}

/** How a step is made: its order after {@linkcode orderAt}. */
export interface Form
  extends Pick<Values<typeof multistepOptions>, "order" | "algorithm" | "solver"> {
  /** Noise of the reverse process: 0 is the flow, 1 the diffusion. */
  readonly eta: number;
  /** Standard deviation of that noise. */
  readonly s_noise: number;
}

/**
 * A step of DPM-Solver(++) by one to three answers, eta as in k-diffusion. Where lambda is infinite,
 * at alpha = 0 or sigma = 0, it is of order 1 and goes by x0; of order 1 it is, too, where it has
 * nothing to do.
 */
export async function multistep(
  { x, from, to, predict, noise }: Step<Options>,
  history: readonly Answer[] | undefined,
  { order, algorithm, solver, eta, s_noise }: Form,
): Promise<{ readonly x: Images; readonly history: readonly Answer[] }> {
  const { x0, eps } = await predict(x, from);
  const h = lambdaOf(to) - lambdaOf(from);
  const data = algorithm === "dpmsolver++" || h === Infinity;
  const answers = remember(history, from, data ? x0 : eps, 3);
  const used = answers.slice(0, h === 0 || h === Infinity ? 1 : order);
  const drift = eta === 0 ? 0 : eta * h; // 0 times infinity is 0 here
  const z = data ? -h - drift : h;
  const scale = data ? -to.alpha : -(1 + eta) * to.sigma;
  const slope = solver === "midpoint" && used.length === 2 ? zphi(1, z) / 2 : zphi(2, z);
  // The last is half of what the polynomial's integral has: DPM-Solver's own third order.
  const weights = quadrature(nodesOf(used, h), [zphi(1, z), slope, zphi(3, z)]);
  const kept = data ? to.sigma / from.sigma * Math.exp(-drift) : to.alpha / from.alpha;
  const std = to.sigma * Math.sqrt(data ? -Math.expm1(-2 * drift) : eta * Math.expm1(2 * h));
  const moves = weigh(used, weights.map((weight) => scale * weight));
  return { x: combine([kept, x], ...moves, [s_noise * std, noise]), history: answers };
}

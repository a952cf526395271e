import { combine, type Images, type Level, type Sampler } from "../plugin.ts";
import { type Answer, lambdaOf, multistepOptions, weigh } from "./_multistep.ts";
import { zphi } from "./_phi.ts";
import { quadrature } from "./_quadrature.ts";

const { order, solver, lower_order_final } = multistepOptions;
const options = {
  order: { ...order, help: "levels that a step goes over, with a call at each" },
  solver: { ...solver, help: "how a step takes in the change of the answers" },
  lower_order_final: { ...lower_order_final, help: "end with order 1 where a step would be whole" },
} as const;

/** Where the last step of order 1 began, and the answers from there on. */
interface Kept {
  readonly from: Level;
  readonly x: Images;
  readonly answers: readonly Answer[];
}

/**
 * Steps of order 1, 2, … in turn, each from the level that the first of them began at, by the answers
 * since; none is carried over to the next turn.
 */
const dpmppSinglestep: Sampler<typeof options, Kept> = {
  name: "dpmpp_singlestep",
  summary: "DPM-Solver++ in single steps of up to order 3, whose stages are levels of the path",
  paper: "https://arxiv.org/abs/2211.01095", // Algorithm 1 and appendix B
  order: 2,
  options,
  async step({ x, from, to, path, index, predict, options }, last) {
    const { x0 } = await predict(x, from);
    const whole = index % options.order + 1;
    const end = index === path.length - 2 && whole === options.order && options.lower_order_final;
    const first = whole === 1 || end || last === undefined || to.sigma === 0 ||
      last.from.alpha === 0 || lambdaOf(to) === lambdaOf(from);
    const start = first ? { from, x, answers: [] } : last;
    const answers = [...start.answers, { lambda: lambdaOf(from), images: x0 }];
    const h = lambdaOf(to) - lambdaOf(start.from);
    const nodes = answers.map(({ lambda }, i) => i === 0 ? 0 : (lambda - lambdaOf(start.from)) / h);
    const midpoint = options.solver === "midpoint";
    const used = midpoint && answers.length === 3 ? [0, 2] : answers.map((_, i) => i);
    const bend = midpoint && answers.length === 2 ? zphi(1, -h) / 2 : zphi(2, -h);
    const weights = quadrature(used.map((i) => nodes[i] ?? NaN), [
      zphi(1, -h),
      bend,
      2 * zphi(3, -h),
    ]);
    const moves = weigh(used.flatMap((i) => answers[i] ?? []), weights.map((it) => -to.alpha * it));
    const next = combine([to.sigma / start.from.sigma, start.x], ...moves);
    return { x: next, history: { ...start, answers } };
  },
};
export default dpmppSinglestep;

import { combine, type Images, type Level, type Sampler, type Values } from "../plugin.ts";
import { type Answer, lambdaOf, nodesOf, remember, weigh } from "./_multistep.ts";
import { zphi } from "./_phi.ts";
import { quadrature } from "./_quadrature.ts";

const options = {
  order: { type: "number", default: 2, min: 1, max: 3, integer: true, help: "answers it goes by" },
  solver: {
    type: "choice",
    choices: ["bh1", "bh2"],
    default: "bh2",
    help: "B(h) of the paper: h for bh1, e^h - 1 for bh2",
  },
  algorithm: {
    type: "choice",
    choices: ["data", "noise"],
    default: "data",
    help: "the answers that it goes by: clean images or noise",
  },
  lower_order_final: { type: "flag", default: true, help: "end with lower orders" },
  corrector_from: {
    type: "number",
    default: 0,
    min: 0,
    integer: true,
    help: "first step that is corrected, from 0: later for strong guidance",
  },
} as const;

/** What a step keeps, so that the next can make it again with one answer more. */
interface Kept {
  readonly from: Level;
  readonly x: Images;
  readonly answers: readonly Answer[];
  /** How many of the answers it went by. */
  readonly order: number;
}

/** Goes by a polynomial through answers, the newest of the past first (Algorithms 1 and 2). */
function move(
  { from, x }: Pick<Kept, "from" | "x">,
  to: Level,
  answers: readonly Answer[],
  { solver, algorithm }: Values<typeof options>,
): Images {
  const h = lambdaOf(to) - lambdaOf(from);
  const data = algorithm === "data" || h === Infinity;
  const z = data ? -h : h;
  const moments = [zphi(1, z), zphi(2, z), 2 * zphi(3, z), 6 * zphi(4, z)];
  if (answers.length === 2) moments[1] = (solver === "bh1" ? z : zphi(1, z)) / 2; // B(h) / 2
  const weights = quadrature(nodesOf(answers, h), moments);
  const kept = data ? to.sigma / from.sigma : to.alpha / from.alpha;
  const scale = data ? -to.alpha : -to.sigma;
  return combine([kept, x], ...weigh(answers, weights.map((weight) => scale * weight)));
}

/** Predicts the next images, and corrects them once the model's answer there is known. */
const unipc: Sampler<typeof options, Kept> = {
  name: "unipc",
  summary: "predictor and corrector of up to order 3 at one call a step",
  paper: "https://arxiv.org/abs/2302.04867", // Algorithms 1 and 2
  order: 2,
  options,
  async step({ x: predicted, from, to, path, index, predict, options }, last) {
    const { x0, eps } = await predict(predicted, from);
    // At infinite lambda only the form of x0 is finite.
    const infinite = from.alpha === 0 || to.sigma === 0;
    const images = options.algorithm === "data" || infinite ? x0 : eps;
    const moved = last && last.from.alpha > 0 && lambdaOf(last.from) < lambdaOf(from);
    const corrected = moved && index > options.corrector_from
      ? move(last, from, [
        ...last.answers.slice(0, last.order),
        { lambda: lambdaOf(from), images: options.algorithm === "data" ? x0 : eps },
      ], options)
      : predicted;
    const answers = remember(last?.answers, from, images, options.order);
    const left = options.lower_order_final ? path.length - 1 - index : options.order;
    const still = lambdaOf(from) === lambdaOf(to); // nothing is left to do
    const order = infinite || still ? 1 : Math.min(answers.length, left);
    const x = move({ from, x: corrected }, to, answers.slice(0, order), options);
    return { x, history: { from, x: corrected, answers, order } };
  },
};
export default unipc;

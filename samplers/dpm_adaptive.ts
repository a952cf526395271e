import { abs, div, max, maximum, mean, mul, pow, sqrt, sub } from "tfjs";
import { combine, type Images, type Level, type Sampler, type Values } from "../plugin.ts";
import { zphi } from "./_phi.ts";

const options = {
  order: { type: "number", default: 3, min: 2, max: 3, integer: true, help: "calls of a stage" },
  rtol: { type: "number", default: 0.05, min: 0, help: "error allowed, as a share of the values" },
  atol: { type: "number", default: 0.0078, min: 1e-9, help: "error allowed of small values" },
  h_init: { type: "number", default: 0.05, min: 1e-4, help: "first stage's change of logSNR / 2" },
  pcoeff: { type: "number", default: 0, help: "proportional term of the control of h" },
  icoeff: { type: "number", default: 1, help: "integral term of the control of h" },
  dcoeff: { type: "number", default: 0, help: "derivative term of the control of h" },
  accept_safety: { type: "number", default: 0.81, min: 0, max: 1, help: "less accepts more" },
} as const;

/**
 * A stage from ratio `high` to `low` of sigma / alpha by DPM-Solver-k and by the order below it, on
 * images over alpha (DPM-Solver, Algorithms 1 and 2, with r1 = 1/3 and r2 = 2/3 for order 3).
 */
async function stage(
  x: Images,
  [high, low]: readonly [number, number],
  order: number,
  epsAt: (x: Images, ratio: number) => Promise<Images>,
): Promise<{ readonly coarse: Images; readonly fine: Images }> {
  const h = Math.log(high / low);
  const at = (r: number) => high * Math.exp(-r * h);
  const eps = await epsAt(x, high);
  /** Goes a share r of the way along eps, of whose change later on `bend` is taken in. */
  const go = (r: number, bend = 0, later = eps) => {
    const [far, turn] = [at(r) * Math.expm1(r * h), at(r) * bend];
    return combine([1, x], [turn - far, eps], [-turn, later]);
  };
  const r1 = order === 2 ? 1 / 2 : 1 / 3;
  const middle = await epsAt(go(r1), at(r1));
  const second = go(1, Math.expm1(h) / (2 * r1), middle);
  if (order === 2) return { coarse: go(1), fine: second };
  const r2 = 2 / 3;
  const late = await epsAt(go(r2, r2 / r1 * zphi(2, r2 * h), middle), at(r2));
  return { coarse: second, fine: go(1, zphi(2, h) / r2, late) };
}

/** The error of a stage in units of what is allowed: that of the worst image. */
async function errorOf(
  { coarse, fine }: { readonly coarse: Images; readonly fine: Images },
  before: Images,
  { atol, rtol }: Values<typeof options>,
): Promise<number> {
  const allowed = maximum(atol, mul(rtol, maximum(abs(coarse), abs(before))));
  const squares = pow(div(sub(coarse, fine), allowed), 2);
  const [worst = NaN] = await max(sqrt(mean(squares, [1, 2, 3]))).data();
  if (Number.isFinite(worst)) return worst;
  throw new RangeError("its images stopped being finite");
}

/** The control of h by the errors of this stage and the last two that were accepted. */
function controller({ order, pcoeff, icoeff, dcoeff, accept_safety }: Values<typeof options>) {
  const powers = [pcoeff + icoeff + dcoeff, -pcoeff - 2 * dcoeff, dcoeff].map((it) => it / order);
  let [last, older] = [NaN, NaN];
  return (error: number): { readonly factor: number; readonly accept: boolean } => {
    const now = 1 / (error + 1e-8);
    if (Number.isNaN(last)) [last, older] = [now, now];
    const [first = 0, second = 0, third = 0] = powers;
    const factor = 1 + Math.atan(now ** first * last ** second * older ** third - 1);
    const accept = factor >= accept_safety;
    if (accept) [last, older] = [now, last];
    return { factor, accept };
  };
}

/** Chooses the levels between the path's first and last noisy ones by the error of each stage. */
const dpmAdaptive: Sampler<typeof options> = {
  name: "dpm_adaptive",
  summary: "DPM-Solver with error control: as many stages as the images need",
  paper: "https://arxiv.org/abs/2206.00927", // section 3.4, with the control of k-diffusion
  calls: Infinity,
  options,
  timeline(path) {
    const within = ({ alpha, sigma }: Level) => alpha > 0 && sigma > 0;
    const [first, last] = [path.findIndex(within), path.findLastIndex(within)];
    return path.filter((_, i) => i <= first || i >= last);
  },
  async step({ x: start, from, to, process, predict, options }) {
    if (from.alpha === 0 || to.sigma === 0) {
      const { x0, eps } = await predict(start, from);
      return { x: combine([to.alpha, x0], [to.sigma, eps]) };
    }
    const epsAt = async (x: Images, ratio: number) => {
      const at = process.atRatio(ratio);
      return (await predict(combine([at.alpha, x]), at)).eps;
    };
    let x = combine([1 / from.alpha, start]);
    let before = x;
    const control = controller(options);
    const end = to.sigma / to.alpha;
    for (let [high, h] = [from.sigma / from.alpha, options.h_init]; Math.log(high / end) > 1e-5;) {
      const low = Math.max(end, high * Math.exp(-h));
      const result = await stage(x, [high, low], options.order, epsAt);
      const { factor, accept } = control(await errorOf(result, before, options));
      h *= factor;
      if (!accept) continue;
      [before, x, high] = [result.coarse, result.fine, low];
    }
    return { x: combine([to.alpha, x]) };
  },
};
export default dpmAdaptive;

import { combine, fromX0, type Guidance } from "../plugin.ts";

const options = {
  class: { type: "text", default: "", value: "CLASS", help: "the class to stay away from" },
  scale: { type: "number", default: 1, min: 0, varies: true, help: "0 is off" },
} as const;

/** Negation of composed scores: away from another class. */
const negative: Guidance<typeof options> = {
  name: "negative",
  summary: "leads away from another class",
  paper: "https://arxiv.org/abs/2206.01714", // equation 13
  options,
  needs: ["unconditional", "class"],
  async guide(prediction, { x, at, unconditional, ofClass, options: { scale } }) {
    if (scale === 0) return prediction;
    const { x0, ...rest } = prediction;
    const [free, other] = [(await unconditional()).x0, (await ofClass()).x0];
    return fromX0(x, at, combine([1, x0], [-scale, other], [scale, free]), rest);
  },
};
export default negative;

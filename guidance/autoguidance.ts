import { combine, fromX0, type Guidance } from "../plugin.ts";

const options = {
  model: {
    type: "text",
    default: "",
    value: "MODEL",
    help: "a worse model of the same images, such as an early checkpoint",
  },
  scale: { type: "number", default: 2, min: 0, varies: true, help: "1 is off, 0 the worse model" },
} as const;

/** Autoguidance: away from what a worse version of the model sees, which makes the same errors. */
const autoguidance: Guidance<typeof options> = {
  name: "autoguidance",
  summary: "extrapolates from a worse model's prediction to this one's",
  paper: "https://arxiv.org/abs/2406.02507", // equation 3, with D0 the worse model
  options,
  needs: ["model"],
  async guide(prediction, { x, at, ofModel, options: { scale } }) {
    if (scale === 1) return prediction;
    const { x0, ...rest } = prediction;
    const worse = (await ofModel()).x0;
    return fromX0(x, at, combine([scale, x0], [1 - scale, worse]), rest);
  },
};
export default autoguidance;

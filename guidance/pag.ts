import { combine, fromX0, type Guidance } from "../plugin.ts";

const options = {
  scale: { type: "number", default: 3, min: 0, varies: true, help: "0 is off" },
  layers: {
    type: "text",
    default: "mid",
    value: "LAYERS",
    help: "whose self-attention is replaced: down, mid, up or names of layers, joined by +",
  },
} as const;

/**
 * Perturbed-attention guidance: away from what the network sees where each token of some layers of
 * self-attention looks at itself alone, which loses the structure of the image.
 */
const pag: Guidance<typeof options> = {
  name: "pag",
  summary: "extrapolates from a prediction whose self-attention is the identity",
  paper: "https://arxiv.org/abs/2403.17377", // equation 15
  options,
  needs: ["perturbed"],
  async guide(prediction, { x, at, unguided, perturbed, options: { scale } }) {
    if (scale === 0) return prediction;
    const { x0, ...rest } = prediction;
    const worse = (await perturbed()).x0;
    return fromX0(x, at, combine([1, x0], [scale, unguided.x0], [-scale, worse]), rest);
  },
};
export default pag;

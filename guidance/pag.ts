import { combine, fromX0, type Guidance } from "../plugin.ts";

const options = {
  scale: { type: "number", default: 2, min: 0, varies: true, help: "0 is off" },
  layers: {
    type: "text",
    default: "mid_block",
    value: "NAME+…",
    help: "where attention is switched off, such as mid_block+up_blocks.0; or all",
  },
} as const;

/** Perturbed-attention guidance: away from what the network sees where each place sees itself alone. */
const pag: Guidance<typeof options> = {
  name: "pag",
  summary: "leads away from the prediction without self-attention",
  paper: "https://arxiv.org/abs/2403.17377", // equation 15
  options,
  needs: ["perturbed"],
  async guide(prediction, { x, at, unguided, perturbed, options: { scale } }) {
    if (scale === 0) return prediction;
    const { x0, ...rest } = prediction;
    const blind = (await perturbed()).x0;
    return fromX0(x, at, combine([1, x0], [scale, unguided.x0], [-scale, blind]), rest);
  },
};
export default pag;

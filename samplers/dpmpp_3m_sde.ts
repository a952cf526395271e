import type { Sampler } from "../plugin.ts";
import { ancestralOptions } from "./_ancestral.ts";
import { type Answer, multistep, multistepOptions, orderAt } from "./_multistep.ts";

const { lower_order_final } = multistepOptions;
const options = {
  ...ancestralOptions,
  lower_order_final: { ...lower_order_final, default: false },
} as const;

/** The multistep of dpmpp_2m_sde through three answers. */
const dpmpp3mSde: Sampler<typeof options, readonly Answer[]> = {
  name: "dpmpp_3m_sde",
  summary: "DPM-Solver++ multistep of three answers with the noise of the diffusion",
  paper: "https://arxiv.org/abs/2211.01095", // SDE-DPM-Solver++, in k-diffusion with three answers
  options,
  step(input, history) {
    const options = { ...input.options, order: 3 };
    const form = { ...options, algorithm: "dpmsolver++", solver: "heun" } as const;
    return multistep(input, history, { ...form, order: orderAt({ ...input, options }) });
  },
};
export default dpmpp3mSde;

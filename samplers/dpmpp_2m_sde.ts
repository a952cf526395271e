import type { Sampler } from "../plugin.ts";
import { type Answer, multistep, multistepOptions, orderAt } from "./_multistep.ts";
import { ancestralOptions } from "./_ancestral.ts";

const options = { ...ancestralOptions, ...multistepOptions } as const;

/** The multistep of dpmpp_2m on the reverse diffusion; with eta 0 it is dpmpp_2m. */
const dpmpp2mSde: Sampler<typeof options, readonly Answer[]> = {
  name: "dpmpp_2m_sde",
  summary: "DPM-Solver++ multistep with the noise of the diffusion",
  paper: "https://arxiv.org/abs/2211.01095", // SDE-DPM-Solver++(2M)
  options,
  step(input, history) {
    return multistep(input, history, { ...input.options, order: orderAt(input) });
  },
};
export default dpmpp2mSde;

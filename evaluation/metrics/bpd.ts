import { bitsPerDimension } from "../bits_per_dimension.ts";
import { type Figure, given, type Metric } from "../metric.ts";

/** The variational bound of the reference's images under the model, and what it is made of. */
const bpd: Metric = {
  name: "bpd",
  summary: "the variational bound of the reference under the model, in bits per dimension",
  paper: "https://arxiv.org/abs/2102.09672", // section 3; terms as in DDPM, equation 5
  needs: ["denoiser", "data", "likelihood"],
  onRequest: true,
  async measure({ denoiser, data, likelihood }) {
    const made = await bitsPerDimension(given(denoiser), given(data), given(likelihood));
    const { images, total, prior, between, decoder, levels } = made;
    const { timesteps, terms, x0Errors, noiseErrors } = levels;
    const about = { better: "lower", digits: 4, count: images } as const;
    const steps = timesteps.length;
    const series = { timesteps, terms, xstart_mse: x0Errors, mse: noiseErrors };
    const figures: Figure[] = [
      { name: "bpd", label: `Bits/dim, ${steps} steps`, value: total.mean, error: total.error },
      { name: "bpd_prior", label: "  L_T", value: prior },
      { name: "bpd_between", label: `  L_1 to L_${steps - 1}`, value: between },
      { name: "bpd_decoder", label: "  L_0", value: decoder },
    ].map((figure) => ({ ...figure, ...about }));
    const [first, ...rest] = figures;
    return first === undefined ? [] : [{ ...first, series }, ...rest];
  },
};
export default bpd;

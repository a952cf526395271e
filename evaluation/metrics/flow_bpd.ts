import { flowBitsPerDimension } from "../bits_per_dimension.ts";
import { given, type Metric } from "../metric.ts";

/** Error that a step of the solver may make: far below the spread of the estimated divergence. */
const TOLERANCE = 1e-3;

/** The likelihood of the reference's images under the model's flow, where noise is drawn only once. */
const flowBpd: Metric = {
  name: "flow_bpd",
  summary: "the likelihood by the probability-flow ODE, in bits per dimension",
  paper: "https://arxiv.org/abs/2011.13456", // section 4.3, appendix D.2
  needs: ["denoiser", "data", "likelihood"],
  onRequest: true,
  async measure({ denoiser, data, likelihood }) {
    const options = { ...given(likelihood), tolerance: TOLERANCE };
    const { images, total } = await flowBitsPerDimension(given(denoiser), given(data), options);
    const about = { label: "Bits/dim of the flow", better: "lower", digits: 4 } as const;
    return [{ name: "flow_bpd", value: total.mean, error: total.error, count: images, ...about }];
  },
};
export default flowBpd;

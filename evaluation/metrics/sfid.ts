import { frechetDistance } from "../algebra/frechet.ts";
import { given, type Metric } from "../metric.ts";

/** FID on features that still know where things are: it sees structure that pooling hides. */
const sfid: Metric = {
  name: "sfid",
  summary: "Fréchet distance of the spatial features",
  paper: "https://arxiv.org/abs/2103.03841", // section 5.1
  needs: ["spatial"],
  resamples: true,
  measure({ samples, reference }) {
    const value = frechetDistance(
      given(samples.spatialGaussian)(),
      given(reference.spatialGaussian)(),
    );
    return [{ name: "sfid", label: "sFID", value, better: "lower", digits: 3 }];
  },
};
export default sfid;

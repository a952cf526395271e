import { frechetDistance } from "../algebra/frechet.ts";
import { given, type Metric } from "../metric.ts";

/** Fréchet inception distance, whatever the features are: they are named in the report. */
const fid: Metric = {
  name: "fid",
  summary: "Fréchet distance of the features, as Gaussians",
  paper: "https://arxiv.org/abs/1706.08500", // section 4
  needs: ["gaussians"],
  resamples: true,
  measure({ samples, reference }) {
    const value = frechetDistance(given(samples.gaussian)(), given(reference.gaussian)());
    return [{ name: "fid", label: "FID", value, better: "lower", digits: 3 }];
  },
};
export default fid;

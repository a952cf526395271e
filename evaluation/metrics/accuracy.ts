import { given, type Metric } from "../metric.ts";

/** The share of images that the features' classifier reads as the class that they should show. */
const accuracy: Metric = {
  name: "accuracy",
  summary: "share of images that are read as the class asked for",
  paper: "https://arxiv.org/abs/1905.10887", // classification accuracy score, the idea
  needs: ["logits", "labels"],
  resamples: true,
  measure({ samples }) {
    const { rows, columns, values } = given(samples.logits);
    const labels = given(samples.labels);
    const largest = labels.reduce((most, label) => Math.max(most, label), 0);
    if (largest >= columns) {
      throw new RangeError(
        `Cannot measure accuracy: the samples have a class ${largest}, the features name ${columns}`,
      );
    }
    let [right, asked] = [0, 0];
    for (let row = 0; row < rows; row++) {
      if (labels[row]! < 0) continue; // drawn without a class
      const logits = values.subarray(row * columns, (row + 1) * columns);
      if (logits.indexOf(Math.max(...logits)) === labels[row]) right++;
      asked++;
    }
    if (asked === 0) return [];
    const value = right / asked;
    const error = Math.sqrt(value * (1 - value) / asked);
    const about = { label: "Class accuracy", better: "higher", digits: 4 } as const;
    return [{ name: "accuracy", ...about, value, error }];
  },
};
export default accuracy;

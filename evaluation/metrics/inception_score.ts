import { philoxAt } from "../../noise/mod.ts";
import { type Features, rowsOf } from "../algebra/matrix.ts";
import { given, type Metric } from "../metric.ts";

/** Parts that are scored by themselves, and the images that one takes at least: few score too low. */
const [SPLITS, LEAST] = [10, 500] as const;

/**
 * The inception score: exp of the mean Kullback-Leibler divergence of p(class | image) from p(class),
 * so up to the number of classes, where each image is clear and all classes come alike.
 */
const inceptionScore: Metric = {
  name: "inception_score",
  summary: "how clear the classes of images are and how evenly they come",
  paper: "https://arxiv.org/abs/1606.03498", // section 4
  needs: ["logits"],
  resamples: true,
  measure({ samples }) {
    const logits = given(samples.logits);
    const shuffled = rowsOf(logits, philoxAt(0, 3).permutation(logits.rows));
    const splits = Math.max(1, Math.min(SPLITS, Math.floor(logits.rows / LEAST)));
    const { mean, error } = splitScores(shuffled, splits);
    const about = { label: "Inception score", better: "higher", digits: 3 } as const;
    return [{
      name: "inception_score",
      ...about,
      value: mean,
      error: splits > 1 ? error : undefined,
    }];
  },
};
export default inceptionScore;

/** Mean and standard error of the score over parts of the images in their order. */
export function splitScores(logits: Features, splits: number): { mean: number; error: number } {
  const { rows } = logits;
  const scores = Array.from({ length: splits }, (_, split) => {
    const [from, to] = [Math.floor(split * rows / splits), Math.floor((split + 1) * rows / splits)];
    return scoreOf(rowsOf(logits, Uint32Array.from({ length: to - from }, (_, i) => from + i)));
  });
  const mean = scores.reduce((sum, score) => sum + score, 0) / splits;
  const spread = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0);
  return { mean, error: Math.sqrt(spread / (splits * Math.max(1, splits - 1))) };
}

/** exp(E KL(p(y | x) ‖ p(y))) with softmax in double precision. */
function scoreOf({ rows, columns, values }: Features): number {
  const marginal = new Float64Array(columns);
  let negentropy = 0; // mean of Σ p log p
  for (let row = 0; row < rows; row++) {
    const logits = values.subarray(row * columns, (row + 1) * columns);
    const top = logits.reduce((most, value) => Math.max(most, value), -Infinity);
    const total = logits.reduce((sum, value) => sum + Math.exp(value - top), 0);
    for (let column = 0; column < columns; column++) {
      const log = logits[column]! - top - Math.log(total);
      const share = Math.exp(log);
      marginal[column]! += share / rows;
      if (share > 0) negentropy += share * log / rows;
    }
  }
  const cross = marginal.reduce((sum, share) => share > 0 ? sum + share * Math.log(share) : sum, 0);
  return Math.exp(negentropy - cross);
}

import type { Distances } from "../algebra/distances.ts";
import type { Features } from "../algebra/matrix.ts";
import { type Evidence, type Figure, given, type Metric } from "../metric.ts";

/** Neighbors of the balls: 3 in the paper of precision and recall, 5 in that of density. */
const [NEAR, FAR] = [3, 5] as const;

/**
 * Precision and recall (Kynkäänniemi et al. 2019, equation 1) with 3 neighbors, density and coverage
 * (Naeem et al. 2020, equations 3 and 4) with 5. Samples lie in the balls around reference images
 * (precision, density), reference images in those around samples (recall), or have a sample in their
 * own ball (coverage).
 */
const prdc: Metric = {
  name: "prdc",
  summary: "precision, recall, density and coverage of the features' neighborhoods",
  paper: "https://arxiv.org/abs/2002.09797",
  needs: ["features"],
  async measure({ samples, reference, distances }: Evidence): Promise<Figure[]> {
    const [fake, real] = [given(samples.features), given(reference.features)];
    const { precision, recall } = await manifolds(real, fake, distances, NEAR);
    const { density, coverage } = await manifolds(real, fake, distances, FAR);
    const figure = (name: string, label: string, value: number): Figure => {
      return { name, label, value, better: name === "density" ? "near 1" : "higher", digits: 4 };
    };
    return [
      figure("precision", "Precision", precision),
      figure("recall", "Recall", recall),
      figure("density", "Density", density),
      figure("coverage", "Coverage", coverage),
    ];
  },
};
export default prdc;

/** The four shares for balls that reach to the `neighbors`-th nearest image of the same set. */
export async function manifolds(
  real: Features,
  fake: Features,
  distances: Distances,
  neighbors: number,
): Promise<Record<"precision" | "recall" | "density" | "coverage", number>> {
  const realRadii = await radii(real, distances, neighbors);
  const fakeRadii = await radii(fake, distances, neighbors);
  const within = new Float64Array(fake.rows); // balls of reference images around each sample
  const reached = new Uint8Array(real.rows); // by the ball of some sample
  const covered = new Uint8Array(real.rows); // with some sample in its own ball
  await distances(real, fake, ({ row, rows, column, columns, squares }) => {
    for (let i = 0, at = 0; i < rows; i++) {
      const radius = realRadii[row + i]!;
      for (let j = 0; j < columns; j++, at++) {
        const square = squares[at]!;
        if (square < radius) {
          within[column + j]!++;
          covered[row + i] = 1;
        }
        if (square < fakeRadii[column + j]!) reached[row + i] = 1;
      }
    }
  });
  const share = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
  return {
    precision: within.reduce((sum, balls) => sum + Number(balls > 0), 0) / fake.rows,
    recall: share(reached),
    density: within.reduce((sum, balls) => sum + balls, 0) / (neighbors * fake.rows),
    coverage: share(covered),
  };
}

/** The squared distance of each image to its k-th nearest other one. */
export async function radii(x: Features, distances: Distances, k: number): Promise<Float32Array> {
  if (x.rows <= k) {
    throw new RangeError(`Cannot measure prdc on ${x.rows} images: it needs more than ${k}`);
  }
  const width = k + 1; // the nearest of all is the image itself
  const nearest = new Float32Array(x.rows * width).fill(Infinity); // ascending, row by row
  await distances(x, x, ({ row, rows, columns, squares }) => {
    for (let i = 0, at = 0; i < rows; i++) {
      const first = (row + i) * width;
      for (let j = 0; j < columns; j++, at++) {
        const square = squares[at]!;
        let place = first + k;
        if (square >= nearest[place]!) continue;
        for (; place > first && nearest[place - 1]! > square; place--) {
          nearest[place] = nearest[place - 1]!;
        }
        nearest[place] = square;
      }
    }
  });
  return Float32Array.from({ length: x.rows }, (_, row) => nearest[row * width + k]!);
}

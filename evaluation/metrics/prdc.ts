import type { Distances } from "../algebra/distances.ts";
import { philoxAt } from "../../noise/mod.ts";
import { type Features, rowsOf } from "../algebra/matrix.ts";
import { radii } from "../algebra/neighbors.ts";
import { type Evidence, type Figure, given, type Metric } from "../metric.ts";

/** Neighbors of the balls: 3 in the paper of precision and recall, 5 in that of density. */
const [NEAR, FAR] = [3, 5] as const;

/**
 * Precision and recall (Kynkäänniemi et al. 2019, equation 1) with 3 neighbors, density and coverage
 * (Naeem et al. 2020, equations 3 and 4) with 5. Samples lie in the balls around reference images
 * (precision, density), reference images in those around samples (recall), or have a sample in their
 * own ball (coverage). Of a larger reference, as many images are taken as there are samples.
 */
const prdc: Metric = {
  name: "prdc",
  summary: "precision, recall, density and coverage of the features' neighborhoods",
  paper: "https://arxiv.org/abs/2002.09797",
  needs: ["features"],
  async measure({ samples, reference, distances }: Evidence): Promise<Figure[]> {
    const fake = given(samples.features);
    const real = asMany(given(reference.features), fake.rows);
    const [near, far] = await manifolds(real, fake, distances, [NEAR, FAR]);
    const figure = (name: string, label: string, value: number | undefined): Figure => {
      const better = name === "density" ? "near 1" : "higher";
      return { name, label, value: given(value), better, digits: 4 };
    };
    return [
      figure("precision", "Precision", near?.precision),
      figure("recall", "Recall", near?.recall),
      figure("density", "Density", far?.density),
      figure("coverage", "Coverage", far?.coverage),
    ];
  },
};
export default prdc;

/** At most so many rows, dealt at random: shares of unequal numbers of images mean little. */
function asMany(x: Features, count: number): Features {
  return x.rows <= count ? x : rowsOf(x, philoxAt(0, 4).permutation(x.rows).subarray(0, count));
}

/** The four shares. */
export type Manifolds = Record<"precision" | "recall" | "density" | "coverage", number>;

/** What is counted for balls of one size. */
interface Count {
  readonly realRadii: Float32Array;
  readonly fakeRadii: Float32Array;
  /** Balls of reference images around each sample. */
  readonly within: Float64Array;
  /** Reference images that lie in the ball of some sample. */
  readonly reached: Uint8Array;
  /** Those that have some sample in their own ball. */
  readonly covered: Uint8Array;
}

/**
 * The four shares, once for each number of neighbors: a ball around an image reaches to its k-th
 * nearest one of the same set. All pairs are compared once.
 */
export async function manifolds(
  real: Features,
  fake: Features,
  distances: Distances,
  neighbors: readonly number[],
): Promise<Manifolds[]> {
  const realRadii = await radii(real, distances, neighbors);
  const fakeRadii = await radii(fake, distances, neighbors);
  const counts = neighbors.map((_, index): Count => ({
    realRadii: realRadii[index]!,
    fakeRadii: fakeRadii[index]!,
    within: new Float64Array(fake.rows),
    reached: new Uint8Array(real.rows),
    covered: new Uint8Array(real.rows),
  }));
  await distances(real, fake, ({ row, rows, column, columns, squares }) => {
    for (const { realRadii, fakeRadii, within, reached, covered } of counts) {
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
    }
  });
  const share = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
  return counts.map(({ within, reached, covered }, index) => ({
    precision: within.reduce((sum, balls) => sum + Number(balls > 0), 0) / fake.rows,
    recall: share(reached),
    density: within.reduce((sum, balls) => sum + balls, 0) / (neighbors[index]! * fake.rows),
    coverage: share(covered),
  }));
}

import type { Dataset } from "../training/data/mod.ts";
import type { Distances } from "./algebra/distances.ts";
import type { Features } from "./algebra/matrix.ts";
import { nearestOf } from "./algebra/neighbors.ts";
import { bitmapsAt } from "./images.ts";
import type { Likeness } from "./page.ts";

/** Samples on a page, and reference images beside each. */
const [SHOWN, BESIDE] = [8, 5] as const;

/** The samples nearest to the reference, and the reference images nearest to each. */
export async function findLikenesses(
  samples: { readonly data: Dataset; readonly features: Features },
  reference: { readonly data: Dataset; readonly features: Features },
  distances: Distances,
): Promise<Likeness[]> {
  const found = await nearestOf(samples.features, reference.features, distances);
  const order = found.map(({ distance }, row) => ({ row, distance }))
    .sort((a, b) => a.distance - b.distance).slice(0, SHOWN);
  const likenesses: Likeness[] = [];
  for (const { row } of order) {
    const nearest = nearestRows(samples.features, row, reference.features);
    const { bitmaps: [sample] } = await bitmapsAt(samples.data, [row]);
    const { bitmaps } = await bitmapsAt(reference.data, nearest.map(({ index }) => index));
    if (sample === undefined) continue;
    likenesses.push({
      sample,
      nearest: bitmaps.map((image, i) => ({ image, distance: nearest[i]!.distance })),
    });
  }
  return likenesses;
}

/** The rows of y nearest to one row of x, in double precision. */
function nearestRows(x: Features, row: number, y: Features) {
  const { columns } = x;
  const all = Array.from({ length: y.rows }, (_, index) => {
    let square = 0;
    for (let i = 0; i < columns; i++) {
      square += (x.values[row * columns + i]! - y.values[index * columns + i]!) ** 2;
    }
    return { index, distance: Math.sqrt(square) };
  });
  return all.sort((a, b) => a.distance - b.distance).slice(0, BESIDE);
}

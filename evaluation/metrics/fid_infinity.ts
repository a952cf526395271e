import { philoxAt } from "../../noise/mod.ts";
import { frechetDistance } from "../algebra/frechet.ts";
import { type Evidence, given, type Metric, part } from "../metric.ts";

/**
 * Counts of images that the line is laid through, from half of them to all: 15 as in the paper, fewer
 * where one FID takes a minute.
 */
const pointsFor = (dims: number) => dims > 512 ? 5 : 15;

/** Above this many images the bias of FID is small beside its value. */
export const ENOUGH = 10_000;

/**
 * FID of infinitely many samples: the bias of FID is close to linear in 1 / count, so a line through
 * FIDs of fewer images meets 1 / count = 0 there (Chong and Forsyth 2020, section 3). The reference's
 * own count is not extrapolated.
 */
const fidInfinity: Metric = {
  name: "fid_infinity",
  summary: "FID without the bias of a small number of samples, by extrapolation",
  paper: "https://arxiv.org/abs/1911.07023",
  needs: ["gaussians"],
  measure(evidence: Evidence) {
    const { samples } = evidence;
    if (samples.count >= ENOUGH || samples.count < 4) return [];
    const target = given(evidence.reference.gaussian)();
    const length = pointsFor(target.mean.length);
    const points = Array.from({ length }, (_, i): [number, number] => {
      const count = Math.round(samples.count * (1 + i / (length - 1)) / 2);
      const order = philoxAt(0, i).permutation(samples.count).subarray(0, count);
      const side = count === samples.count ? samples : part(samples, order);
      return [1 / count, frechetDistance(given(side.gaussian)(), target)];
    });
    return [{
      name: "fid_infinity",
      label: "FID∞",
      value: intercept(points),
      better: "lower",
      digits: 3,
    }];
  },
};
export default fidInfinity;

/** Where the line of least squares through the points meets x = 0. */
export function intercept(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (f: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + f(point), 0) / points.length;
  const [x, y] = [mean(([x]) => x), mean(([, y]) => y)];
  const slope = mean((point) => (point[0] - x) * (point[1] - y)) /
    mean((point) => (point[0] - x) ** 2);
  return y - slope * x;
}

/**
 * Measures samples against a reference by all metrics that can be.
 *
 * @module
 */
import { philoxAt } from "../noise/mod.ts";
import { nearest } from "../plugins/nearest.ts";
import { type Evidence, type Figure, lacks, type Metric, part } from "./metric.ts";
import { metrics } from "./metrics/mod.ts";

/** What was measured, and what could not be and why. */
export interface Measured {
  readonly figures: readonly Figure[];
  readonly skipped: readonly { readonly metric: string; readonly reason: string }[];
}

/** How it is measured. */
export interface MeasureOptions {
  /** Times that the samples are drawn anew with replacement, for intervals; 0 for none. */
  readonly bootstrap?: number;
  readonly signal?: AbortSignal | undefined;
  /** Before each metric. */
  onMetric?(metric: Metric): void;
}

/**
 * The metrics that were asked for by name; all but those on request where none was.
 *
 * @throws {RangeError} If there is no such metric.
 */
export function chooseMetrics(names?: readonly string[]): readonly Metric[] {
  if (names === undefined) return metrics.filter(({ onRequest }) => onRequest !== true);
  return names.map((name) => {
    const metric = metrics.find((metric) => metric.name === name);
    if (metric !== undefined) return metric;
    const known = metrics.map(({ name }) => name);
    const near = nearest(name, known);
    throw new RangeError(
      `Cannot find metric "${name}": ${
        near === undefined ? `there are ${known.join(", ")}` : `did you mean ${near}?`
      }`,
    );
  });
}

/**
 * Measures, one metric after another.
 *
 * @throws The signal's reason, between two metrics.
 */
export async function measure(
  evidence: Evidence,
  chosen: readonly Metric[],
  { bootstrap = 0, signal, onMetric }: MeasureOptions = {},
): Promise<Measured> {
  const figures: Figure[] = [];
  const skipped: { metric: string; reason: string }[] = [];
  for (const metric of chosen) {
    const reason = lacks(metric, evidence);
    if (reason !== undefined) {
      skipped.push({ metric: metric.name, reason });
      continue;
    }
    onMetric?.(metric);
    const found = await metric.measure(evidence);
    const intervals = metric.resamples === true && bootstrap > 0
      ? await resampled(evidence, metric, found, bootstrap, signal)
      : undefined;
    figures.push(...found.map((it) => ({ ...it, interval: intervals?.get(it.name) })));
    signal?.throwIfAborted();
  }
  return { figures, skipped };
}

const STREAM = 10; // of random numbers: others deal images to blocks and splits

/**
 * Basic bootstrap intervals of 95 %: the spread of resampled figures, turned around the figure, so
 * that the bias of a resampled FID (its images come more than once) is not counted as spread.
 */
async function resampled(
  evidence: Evidence,
  metric: Metric,
  figures: readonly Figure[],
  times: number,
  signal: AbortSignal | undefined,
): Promise<Map<string, readonly [number, number]>> {
  const { count } = evidence.samples;
  const draws = new Map(figures.map(({ name }) => [name, [] as number[]]));
  for (let i = 0; i < times; i++) {
    signal?.throwIfAborted();
    const samples = part(evidence.samples, philoxAt(0, STREAM, i).integers(count, count));
    for (const { name, value } of await metric.measure({ ...evidence, samples })) {
      draws.get(name)?.push(value);
    }
  }
  return new Map(figures.map(({ name, value }) => {
    const sorted = (draws.get(name) ?? []).sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? value;
    return [name, [2 * value - at(0.975), 2 * value - at(0.025)]];
  }));
}

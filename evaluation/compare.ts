/**
 * Samples against a reference: their report, and the page that shows it.
 *
 * @module
 */
import type { Denoiser } from "../pipeline/denoiser.ts";
import type { Dataset } from "../training/data/mod.ts";
import type { BoundOptions } from "./bits_per_dimension.ts";
import type { Distances } from "./algebra/distances.ts";
import { measure, type MeasureOptions } from "./evaluate.ts";
import type { Point } from "./history.ts";
import { bitmapsAt } from "./images.ts";
import { findLikenesses } from "./likenesses.ts";
import type { Metric, Side } from "./metric.ts";
import { pageHtml } from "./page.ts";
import { type Described, type Report, warningsOf } from "./report.ts";

/** One set of images and what was seen in it. */
export interface Seen {
  readonly described: Described;
  readonly side: Side;
  /** The images; absent where statistics were saved. */
  readonly data?: Dataset | undefined;
}

/** What is compared. */
export interface Comparison {
  readonly samples: Seen & { readonly data: Dataset };
  readonly reference: Seen;
  /** The model, where it is at hand. */
  readonly denoiser?: Denoiser | undefined;
  readonly likelihood?: BoundOptions | undefined;
  /** The features' name. */
  readonly features: string;
  readonly distances: Distances;
}

/** Measures and reports. */
export async function compare(
  { samples, reference, denoiser, likelihood, features, distances }: Comparison,
  metrics: readonly Metric[],
  options: MeasureOptions = {},
): Promise<Report> {
  const evidence = {
    samples: samples.side,
    reference: reference.side,
    distances,
    data: reference.data,
    denoiser,
    likelihood,
  };
  const measured = await measure(evidence, metrics, options);
  const about = {
    samples: samples.described,
    reference: reference.described,
    features,
    dims: samples.side.features?.columns ?? 0,
  };
  return { ...about, ...measured, warnings: warningsOf(about) };
}

/** Samples on a page's sheet. */
const SHOWN = 100;

/** The page of a report. */
export async function pageOf(
  { samples, reference, distances }: Comparison,
  report: Report,
  history: readonly Point[] = [],
): Promise<string> {
  const count = Math.min(SHOWN, samples.data.length);
  const { bitmaps } = await bitmapsAt(samples.data, Array.from({ length: count }, (_, i) => i));
  const [ours, theirs] = [samples.side.features, reference.side.features];
  const likenesses = ours === undefined || theirs === undefined || reference.data === undefined
    ? []
    : await findLikenesses(
      { data: samples.data, features: ours },
      { data: reference.data, features: theirs },
      distances,
    );
  return pageHtml({ report, samples: bitmaps, likenesses, history });
}

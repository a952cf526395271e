/**
 * The contract of a metric: what it is given and what it answers. One file a metric in `metrics/`,
 * one line in `metrics/mod.ts`.
 *
 * @module
 */
import type { Denoiser } from "../pipeline/denoiser.ts";
import type { Dataset } from "../training/data/dataset.ts";
import type { BoundOptions } from "./bits_per_dimension.ts";
import type { Distances } from "./algebra/distances.ts";
import { type Gaussian, gaussianOf } from "./algebra/gaussian.ts";
import { type Features, rowsOf } from "./algebra/matrix.ts";

/** What is known of one set of images. */
export interface Side {
  readonly count: number;
  /** `[count, dims]`; absent where only statistics were saved. */
  readonly features?: Features | undefined;
  /** `[count, dims]` with something of where things are; absent where an extractor has none. */
  readonly spatial?: Features | undefined;
  /** `[count, classes]`, not yet a softmax; absent where an extractor names no classes. */
  readonly logits?: Features | undefined;
  /** The class that each image has, or was asked to show; absent without classes. */
  readonly labels?: Int32Array | undefined;
  /** Mean and covariance of the features, computed once. */
  readonly gaussian?: (() => Gaussian) | undefined;
  readonly spatialGaussian?: (() => Gaussian) | undefined;
}

/** What metrics read. */
export interface Evidence {
  readonly samples: Side;
  readonly reference: Side;
  readonly distances: Distances;
  /** The images of the reference; absent where it is saved statistics. */
  readonly data?: Dataset | undefined;
  /** The model, where samples are drawn here. */
  readonly denoiser?: Denoiser | undefined;
  /** How a likelihood is measured, where there is a model. */
  readonly likelihood?: BoundOptions | undefined;
}

/** One number of a report. */
export interface Figure {
  /** Its name in JSON and logs, in snake case. */
  readonly name: string;
  /** Its name for people. */
  readonly label: string;
  readonly value: number;
  /** Its standard error, where the metric gives one. */
  readonly error?: number | undefined;
  /** 95 % of what resampled images give, where that was asked for. */
  readonly interval?: readonly [low: number, high: number] | undefined;
  /** Which way is better, or what a good value is. */
  readonly better: "lower" | "higher" | "near 1";
  /** Digits behind the point. */
  readonly digits: number;
  /** Images that it is of, where these are not the samples. */
  readonly count?: number | undefined;
  /** What it is made of, for JSON alone. */
  readonly series?: Readonly<Record<string, readonly number[]>> | undefined;
}

/** A part of the evidence that a metric may need. */
export type Need = keyof typeof needs;

/** Whether a need is met, and the reason where it is not. */
const needs = {
  gaussians: {
    met: ({ samples, reference }: Evidence) =>
      samples.gaussian !== undefined && reference.gaussian !== undefined,
    reason: "the reference has no statistics of these features",
  },
  spatial: {
    met: ({ samples, reference }: Evidence) =>
      samples.spatialGaussian !== undefined && reference.spatialGaussian !== undefined,
    reason: "these features have no spatial half, or the reference no statistics of it",
  },
  features: {
    met: ({ samples, reference }: Evidence) =>
      samples.features !== undefined && reference.features !== undefined,
    reason: "the reference is saved statistics without the features of single images",
  },
  logits: {
    met: ({ samples }: Evidence) => samples.logits !== undefined,
    reason: "these features name no classes",
  },
  labels: {
    met: ({ samples }: Evidence) => samples.labels !== undefined,
    reason: "the samples have no classes",
  },
  denoiser: {
    met: ({ denoiser }: Evidence) => denoiser !== undefined,
    reason: "the samples are files, not a model",
  },
  likelihood: {
    met: ({ likelihood }: Evidence) => likelihood !== undefined,
    reason: "the samples are files, not a model",
  },
  data: {
    met: ({ data }: Evidence) => data !== undefined,
    reason: "the reference is saved statistics, without images",
  },
} as const;

/** Measures one thing about samples. */
export interface Metric {
  /** The file's name without its ending; what --metrics takes. */
  readonly name: string;
  readonly summary: string;
  readonly paper: `https://${string}`;
  /** Without these it is left out of the report. */
  readonly needs: readonly Need[];
  /** True where resampling the images with replacement tells its spread (no pairs are compared). */
  readonly resamples?: boolean;
  /** True where it is left out unless it is named: it takes long. */
  readonly onRequest?: boolean;
  measure(evidence: Evidence): Figure[] | Promise<Figure[]>;
}

/** Whether a metric looks at no samples, only at the model and the reference. */
export function drawsNothing({ needs }: Metric): boolean {
  return needs.includes("likelihood");
}

/** Why a metric cannot be measured on this evidence; undefined where it can. */
export function lacks(metric: Metric, evidence: Evidence): string | undefined {
  const missing = metric.needs.find((need) => !needs[need].met(evidence));
  return missing && needs[missing].reason;
}

/** A set of images by its features. */
export function sideOf(parts: Omit<Side, "gaussian" | "spatialGaussian">): Side {
  const { features, spatial } = parts;
  return {
    ...parts,
    gaussian: features && once(() => gaussianOf(features)),
    spatialGaussian: spatial && once(() => gaussianOf(spatial)),
  };
}

/** Some images of a set; the same one may come twice. */
export function part({ features, spatial, logits, labels }: Side, indices: Uint32Array): Side {
  return sideOf({
    count: indices.length,
    features: features && rowsOf(features, indices),
    spatial: spatial && rowsOf(spatial, indices),
    logits: logits && rowsOf(logits, indices),
    labels: labels && Int32Array.from(indices, (index) => labels[index]!),
  });
}

function once<T>(compute: () => T): () => T {
  let kept: { readonly value: T } | undefined;
  return () => (kept ??= { value: compute() }).value;
}

/** A part of the evidence that `needs` has promised. */
export function given<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("Cannot measure: the metric lists too few needs");
  return value;
}

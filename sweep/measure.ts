/**
 * Fidelity and diversity of a cell: how its images are read, and how much of the reference they reach.
 *
 * @module
 */
import { join } from "@std/path";
import { type Distances, distancesOn } from "../evaluation/algebra/distances.ts";
import { chooseMetrics, measure, type Measured } from "../evaluation/evaluate.ts";
import { type ExtractOptions, extractSide } from "../evaluation/extract.ts";
import type { ChosenFeatures } from "../evaluation/features/mod.ts";
import { subset } from "../evaluation/images.ts";
import type { Side } from "../evaluation/metric.ts";
import { drawInto } from "../evaluation/sampled.ts";
import type { Engine } from "../engines/engine.ts";
import { philoxAt } from "../noise/mod.ts";
import type { Denoiser } from "../pipeline/denoiser.ts";
import type { Dataset } from "../training/data/mod.ts";
import { type Cell, type DrawOptions, keyOf } from "./cell.ts";

/** What is measured. */
const METRICS = ["accuracy", "prdc", "fid"] as const;

/** Images of the reference that cells are compared with at most, dealt at random. */
const MOST = 5000;

/** What cells are measured against. */
export interface Yardstick {
  /** Images that are drawn of each cell. */
  readonly count: number;
  readonly reference: Side;
  /** The images that the reference is. */
  readonly data: Dataset;
  readonly look: Pick<ExtractOptions, "extractor" | "preprocess" | "batchSize">;
  readonly distances: Distances;
}

/** Images of a reference, so many that a sweep need not wait for it. */
export function someOf(data: Dataset): Dataset {
  if (data.length <= MOST) return data;
  return subset(data, philoxAt(0, 6).permutation(data.length).subarray(0, MOST));
}

/** Opens the features and sees the reference with them; the extractor is the caller's to dispose. */
export async function yardstickOf(
  data: Dataset,
  { features, engine, ...rest }: {
    readonly features: ChosenFeatures;
    readonly engine: Engine;
    readonly count: number;
    readonly batchSize: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Yardstick> {
  const { batchSize, signal, count } = rest;
  const extractor = await features.open(engine);
  const look = { extractor, preprocess: "none", batchSize } as const;
  try {
    const reference = await extractSide(data, { ...look, signal });
    return { count, reference, data, look, distances: distancesOn(engine) };
  } catch (error) {
    await extractor.dispose();
    throw error;
  }
}

/** Draws the cell's images, or takes up those that were drawn, and measures them. */
export async function measureCell(
  cell: Cell,
  denoiser: Denoiser,
  { count, reference, data, look, distances }: Yardstick,
  { folder, batchSize, signal }: DrawOptions,
  onShare: (share: number) => void,
): Promise<Measured> {
  const images = await drawInto(
    join(folder, await keyOf(cell, denoiser, { batchSize })),
    denoiser,
    {
      plan: cell.plan,
      settings: { ...cell.settings, count },
      batchSize,
      signal,
      onStep: (done, total) => onShare(done / total),
    },
  );
  const samples = await extractSide(images, { ...look, signal });
  const evidence = { samples, reference, distances, data, denoiser };
  return await measure(evidence, chooseMetrics(METRICS), { signal });
}

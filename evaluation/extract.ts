import type { Dataset } from "../training/data/mod.ts";
import type { Features } from "./algebra/matrix.ts";
import type { Extracted, Extractor } from "./features/extractor.ts";
import { bitmapsAt, pixelsOf } from "./images.ts";
import { type Side, sideOf } from "./metric.ts";
import { type Preprocess, preprocess } from "./resize.ts";

/** How images are looked at. */
export interface ExtractOptions {
  readonly extractor: Extractor;
  readonly preprocess: Preprocess;
  /** Images at once. Features may differ in their last bits with it. */
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
  /** After each batch, with the images seen so far. */
  onBatch?(done: number): void;
}

/**
 * The features of all images of a data set.
 *
 * @throws The signal's reason.
 */
export async function extractSide(data: Dataset, options: ExtractOptions): Promise<Side> {
  const { extractor, batchSize, signal, onBatch } = options;
  const { length } = data;
  const labels = new Int32Array(length);
  const kept = new Map<keyof Extracted, Float32Array>();
  for (let start = 0; start < length; start += batchSize) {
    signal?.throwIfAborted();
    const count = Math.min(batchSize, length - start);
    const images = await bitmapsAt(data, Array.from({ length: count }, (_, i) => start + i));
    labels.set(images.labels, start);
    const pixels = preprocess(pixelsOf(images.bitmaps), options.preprocess);
    const seen = await extractor.extract(pixels);
    for (const name of ["features", "spatial", "logits"] as const) {
      const part = seen[name];
      if (part === undefined) continue;
      const all = kept.get(name) ?? new Float32Array(length * part.columns);
      all.set(part.values, start * part.columns);
      kept.set(name, all);
    }
    onBatch?.(start + count);
  }
  const matrix = (name: keyof Extracted): Features | undefined => {
    const values = kept.get(name);
    return values && { rows: length, columns: values.length / length, values };
  };
  const features = matrix("features");
  const bad = features?.values.findIndex((value) => !Number.isFinite(value)) ?? -1;
  if (features !== undefined && bad >= 0) {
    throw new RangeError(
      `Cannot measure: a feature of image ${Math.floor(bad / features.columns)} is not finite`,
    );
  }
  return sideOf({
    count: length,
    features,
    spatial: matrix("spatial"),
    logits: matrix("logits"),
    labels: data.labels.length > 0 ? labels : undefined,
  });
}

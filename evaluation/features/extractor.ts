/**
 * The contract of a feature extractor: images in, features out. One file each in this folder, one
 * line in `mod.ts`; a file of one's own is loaded by its path.
 *
 * @module
 */
import type { Engine } from "../../engines/engine.ts";
import type { Options, Plugin, Values } from "../../plugin.ts";
import type { Features } from "../algebra/matrix.ts";
import type { Pixels } from "../../images/resample.ts";
import type { Preprocess } from "../resize.ts";

/** What is seen in some images. */
export interface Extracted {
  /** `[count, dims]`. */
  readonly features: Features;
  /** `[count, dims]`: features that still know where things are, for sFID. */
  readonly spatial?: Features | undefined;
  /** `[count, classes]`, not yet a softmax. */
  readonly logits?: Features | undefined;
}

/** An extractor that is ready. */
export interface Extractor {
  /** @param pixels On the scale of bytes, which need not be whole numbers. */
  extract(pixels: Pixels): Promise<Extracted>;
  dispose(): Promise<void>;
}

/** What an extractor is opened with. */
export interface Opening<O extends Options> {
  /** What it was asked for by: its name, or the file or folder that it reads. */
  readonly source: string;
  readonly engine: Engine;
  /** What was done to the images, which tells a network's input range. */
  readonly preprocess: Preprocess;
  readonly options: Values<O>;
}

/** A kind of features as a plugin. */
export interface FeaturesPlugin<O extends Options = Options> extends Plugin<O> {
  open(opening: Opening<O>): Promise<Extractor>;
}

/** A matrix out of the values of a tensor, everything behind its first axis in one row. */
export function rowsFrom(count: number, values: Float32Array): Features {
  return { rows: count, columns: values.length / count, values };
}

/**
 * The two ways in which images are brought to Inception's 299 pixels. Figures of one cannot be set
 * beside those of the other (Parmar et al. 2022, "On aliased resizing").
 *
 * @module
 */
import { type Filter, pillowBicubic, type Pixels, resample } from "../images/resample.ts";

/** What is done to images before their features are taken. */
export type Preprocess = (typeof PREPROCESSES)[number];

/** `fid` as TensorFlow's graph of 2015 does, `clean-fid` as the library of that name. */
export const PREPROCESSES = ["none", "fid", "clean-fid"] as const;

const EDGE = 299;

/** Brings images to the size that Inception reads. */
export function preprocess(pixels: Pixels, kind: Preprocess): Pixels {
  if (kind === "none") return pixels;
  return kind === "fid"
    ? resample(pixels, EDGE, EDGE, tensorflowBilinear)
    : clamped(resample(pixels, EDGE, EDGE, pillowBicubic));
}

/**
 * TensorFlow's `ResizeBilinear` without aligned corners, as it was before half-pixel centers: pixel
 * i lies at i · from / to, and shrinking skips pixels instead of averaging them.
 */
export const tensorflowBilinear: Filter = (from, to) =>
  Array.from({ length: to }, (_, i) => {
    const place = Math.fround(i * Math.fround(from / to));
    const start = Math.min(from - 1, Math.floor(place));
    const share = place - start;
    return start === from - 1 ? { start, weights: [1] } : { start, weights: [1 - share, share] };
  });

/** A cubic overshoots at edges; clean-fid cuts that off. */
function clamped({ values, shape }: Pixels): Pixels {
  return { shape, values: values.map((value) => Math.min(255, Math.max(0, value))) };
}

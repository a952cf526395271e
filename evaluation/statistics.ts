/**
 * Statistics of a reference in a file: an npz with `mu` and `sigma`, as pytorch-fid and OpenAI's
 * evaluator have them (`mu_s`, `sigma_s` of spatial features), and of ours beside them the features
 * of single images, their count and what made them.
 *
 * @module
 */
import { writeAtomic } from "../images/atomic.ts";
import { encodeNpz, type NpyArray, readNpz } from "../training/data/npz.ts";
import type { Gaussian } from "./algebra/gaussian.ts";
import type { Features } from "./algebra/matrix.ts";
import type { Side } from "./metric.ts";

/** A reference that was saved. */
export interface Saved {
  readonly side: Side;
  /** What it was measured on and with; absent in files of other tools. */
  readonly about?: About | undefined;
}

/** Where saved statistics come from. */
export interface About {
  /** The data set as it was typed. */
  readonly data: string;
  /** The features' name. */
  readonly features: string;
  /** Such as `32x32 grey`. */
  readonly size: string;
  readonly count: number;
}

/** Writes a reference's statistics. */
export async function saveStatistics(path: string, side: Side, about: About): Promise<void> {
  const arrays: Record<string, NpyArray> = {
    about: bytes(JSON.stringify(about)),
    ...gaussianArrays("", side.gaussian?.()),
    ...gaussianArrays("_s", side.spatialGaussian?.()),
  };
  if (side.features !== undefined) {
    const { rows, columns, values } = side.features;
    arrays.features = { shape: [rows, columns], data: values };
  }
  await writeAtomic(path, encodeNpz(arrays));
}

function bytes(text: string): NpyArray {
  const data = new TextEncoder().encode(text);
  return { shape: [data.length], data };
}

function gaussianArrays(suffix: string, gaussian: Gaussian | undefined): Record<string, NpyArray> {
  if (gaussian === undefined) return {};
  const { mean, covariance: { rows, columns, values } } = gaussian;
  return {
    [`mu${suffix}`]: { shape: [mean.length], data: mean },
    [`sigma${suffix}`]: { shape: [rows, columns], data: values },
  };
}

/**
 * Reads statistics; undefined where an npz file holds images instead.
 *
 * @throws {SyntaxError} If the file is damaged or its arrays do not fit together.
 */
export async function loadStatistics(path: string): Promise<Saved | undefined> {
  const npz = await readNpz(path);
  if (!npz.names.includes("mu") || !npz.names.includes("sigma")) return undefined;
  const fail = (why: string) => new SyntaxError(`Cannot use the statistics in ${path}: ${why}`);
  const about = npz.names.includes("about") ? parseAbout(await npz.read("about")) : undefined;
  const gaussian = async (suffix: string): Promise<Gaussian> => {
    const [mu, sigma] = [await npz.read(`mu${suffix}`), await npz.read(`sigma${suffix}`)];
    const dims = mu.data.length;
    if (sigma.shape.length !== 2 || sigma.shape.some((side) => side !== dims)) {
      throw fail(`mu${suffix} has ${dims} numbers, sigma${suffix} the shape [${sigma.shape}]`);
    }
    const doubles = ({ data }: NpyArray) => Float64Array.from(data as ArrayLike<number>, Number);
    return {
      count: about?.count,
      mean: doubles(mu),
      covariance: { rows: dims, columns: dims, values: doubles(sigma) },
    };
  };
  const main = await gaussian("");
  const spatial = npz.names.includes("mu_s") ? await gaussian("_s") : undefined;
  let features: Features | undefined;
  if (npz.names.includes("features")) {
    const { shape: [rows = 0, columns = 0], data } = await npz.read("features");
    if (!(data instanceof Float32Array) || columns !== main.mean.length) {
      throw fail(`features must be float32 with ${main.mean.length} columns`);
    }
    features = { rows, columns, values: data };
  }
  return {
    about,
    side: {
      count: about?.count ?? features?.rows ?? 0,
      features,
      gaussian: () => main,
      spatialGaussian: spatial && (() => spatial),
    },
  };
}

function parseAbout({ data }: NpyArray): About | undefined {
  if (!(data instanceof Uint8Array)) return undefined;
  try {
    const { data: name, features, size, count } = JSON.parse(new TextDecoder().decode(data));
    return {
      data: String(name),
      features: String(features),
      size: String(size),
      count: Number(count),
    };
  } catch {
    return undefined; // another tool's
  }
}

/**
 * Runs that begin with a picture or with given noise, and keep parts of a picture.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Bitmap } from "../images/pixels.ts";
import { type ImageNoise, imageNoise, type NoiseKind, parseSeed } from "../noise/mod.ts";
import type { Images, Level, Sampler } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import type { Pixels } from "../pipeline/codec.ts";
import { type Canvas, type CanvasSize, keepPixels, layOut, modelPixels, openAt } from "./canvas.ts";
import { chooseInpainting, inpainting } from "./inpaint.ts";
import { type NoiseFile, readNoise } from "./noise_file.ts";
import type { EditSettings, Source } from "./settings.ts";
import { slerp } from "./slerp.ts";
import { readSource } from "./source.ts";

/** What a batch begins with. */
export interface Beginning {
  readonly noise: ImageNoise;
  readonly rng: NoiseKind;
  /** The numbers of its images in the whole run. */
  readonly indices: readonly number[];
  /** The first level, and the standard deviation of noise alone there. */
  readonly level: Level;
  readonly deviation: number;
  /** The picture as clean x of each image, where it is not its pixels. */
  readonly clean?: Float32Array | undefined;
}

/** How a run is edited: at its beginning, around every step, and at its end. */
export interface Edit {
  /** The picture that it begins with, in [-1, 1]. */
  readonly picture?: Pixels | undefined;
  /** Images at the first level; the caller disposes them. */
  begin(batch: Beginning): Images;
  /**
   * The sampler that keeps what is known.
   *
   * @param x What it moves: its shape, and the picture as clean x where that is not its pixels.
   */
  around?(
    sampler: Chosen<Sampler>,
    x: Pick<ImageNoise, "shape"> & Pick<Beginning, "clean">,
  ): Chosen<Sampler>;
  /** A drawn image with what is kept. */
  finish?(image: Bitmap): Bitmap;
}

/** Settings of which files need not be known by their content yet. */
export type EditWishes = Omit<EditSettings, "init" | "mask" | "noise"> & {
  readonly init?: Wished | undefined;
  readonly mask?: Wished | undefined;
  readonly noise?: Wished & { readonly index: number } | undefined;
};
type Wished = Pick<Source, "path"> & Partial<Source>;

/** The strength where only a picture is given, as in SDEdit's figures. */
const STRENGTH = 0.6;

/** The settings that follow from what is asked for; refuses what does not go together. */
export function settleEdit(wishes: EditWishes): EditWishes {
  const { init, mask, place, noise, strength, inpaint } = wishes;
  const lacks = (flag: string, what: string) =>
    new RangeError(`Cannot use --${flag} without --init, ${what}`);
  if (init === undefined) {
    if (mask !== undefined) throw lacks("mask", "whose black parts it keeps");
    if (place !== undefined) throw lacks("place", "which it places");
    if (strength !== undefined) throw lacks("strength", "which it noises");
  }
  if (init !== undefined && noise !== undefined) {
    throw new RangeError(
      "Cannot use --init and --noise together: each says what a run begins with",
    );
  }
  const keeps = mask !== undefined || place !== undefined;
  if (inpaint !== undefined && !keeps) {
    throw new RangeError("Cannot use --inpaint without --mask or --place, which say what is kept");
  }
  if (place !== undefined && strength !== undefined && strength < 1) {
    throw new RangeError(
      `Cannot use --strength ${strength} with --place: nothing lies under what is drawn, so it must be 1`,
    );
  }
  return {
    ...wishes,
    ...init && { strength: strength ?? (keeps ? 1 : STRENGTH) },
    ...keeps && { inpaint: chooseInpainting(inpaint ?? "replace").spec },
  };
}

/** Of what a sampler moves: pixels, or latents of any number of channels. */
type NoiseSize = Omit<CanvasSize, "channels"> & { readonly channels: number };

/** What an edit is opened for. */
export interface Target extends CanvasSize {
  /** True where the model's pixels are from 0 to 1. */
  readonly unit: boolean;
  /** What its sampler moves, where that is not pixels. */
  readonly x?: NoiseSize | undefined;
}

/**
 * Reads the files of an edit.
 *
 * @param wishes From {@linkcode settleEdit}.
 * @param say Told what is done to pictures so that they fit.
 * @returns The edit, and the settings that a PNG keeps.
 * @throws {RangeError} Where a file does not fit, or is missing.
 * @throws {SyntaxError} Where it cannot be read.
 */
export async function openEdit(
  wishes: EditWishes,
  target: Target,
  say?: (text: string) => void,
): Promise<{ readonly edit: Edit; readonly settings: EditSettings }> {
  const read = async (flag: "init" | "mask" | "noise") => {
    const wish = wishes[flag];
    return wish && await readSource(wish.path, flag, wish.sha256);
  };
  const [init, mask, noise] = [await read("init"), await read("mask"), await read("noise")];
  const named = (source: typeof init) => source && { name: source.path, bytes: source.bytes };
  const picture = named(init);
  const canvas = picture &&
    await layOut({ init: picture, mask: named(mask), place: wishes.place }, target, say);
  const file = noise && readNoise(noise.path);
  if (file !== undefined) checkNoise(file, noise?.path ?? "", target.x ?? target);
  const kept = (source: typeof init) => source && { path: source.path, sha256: source.sha256 };
  const settings = {
    ...wishes,
    init: kept(init),
    mask: kept(mask),
    noise: noise && { path: noise.path, sha256: noise.sha256, index: wishes.noise?.index ?? 0 },
  };
  return { settings, edit: makeEdit(settings, { canvas, file, unit: target.unit }) };
}

/** An edit of pictures and noise that have been read. */
export function makeEdit(
  { strength = 1, inpaint, noise, variations }: EditSettings,
  { canvas, file, unit }: {
    readonly canvas?: Canvas | undefined;
    readonly file?: NoiseFile | undefined;
    readonly unit: boolean;
  },
): Edit {
  const offset = noise?.index ?? 0;
  const clean = canvas && modelPixels(canvas.image, unit);
  const begin: Edit["begin"] = ({ noise: streams, rng, indices, level, deviation, ...given }) => {
    const { shape } = streams;
    const open = canvas && openAt(canvas, shape);
    const [, height, width, channels] = shape;
    const span = height * width * channels;
    const values = streams.draw(); // drawn first whatever begins: later draws stay the same
    const base = variations && file === undefined
      ? imageNoise(rng, [parseSeed(variations.base)], [height, width, channels]).draw()
      : undefined;
    const share = variations?.share ?? (file === undefined ? 1 : 0);
    for (const [i, index] of indices.entries()) {
      const own = values.subarray(i * span, (i + 1) * span);
      if (file !== undefined) { // what lies in it is x itself, noise of the first level's deviation
        const at = (offset + index) % file.shape[0] * span;
        const given = file.values.subarray(at, at + span);
        own.set(slerp(given, own.map((value) => deviation * value), share));
        continue;
      }
      if (base !== undefined) own.set(slerp(base, own, share));
      for (let k = 0; k < span; k++) {
        const pixel = given.clean?.[i * span + k] ?? clean?.[k];
        const bare = pixel === undefined ||
          strength === 1 && open?.[Math.floor(k / channels)] === 1;
        const eps = own[k] ?? NaN;
        own[k] = bare ? deviation * eps : level.alpha * pixel + level.sigma * eps;
      }
    }
    return tf.tensor4d(values, [...shape]);
  };
  const picture = canvas && {
    shape: [1, canvas.image.height, canvas.image.width, canvas.image.channels],
    data: modelPixels(canvas.image, false),
  };
  if (canvas?.open === undefined || clean === undefined) return { picture, begin };
  const way = chooseInpainting(inpaint ?? "replace");
  return {
    picture,
    begin,
    around(sampler, { shape, clean: latents }) {
      const [count, height, width, channels] = shape;
      const open = Float32Array.from(openAt(canvas, shape) ?? []);
      return inpainting(sampler, way, {
        clean: () => tf.tensor4d(latents ?? clean, [latents ? count : 1, height, width, channels]),
        open: () => tf.tensor4d(open, [1, height, width, 1]),
      });
    },
    finish: (image) => keepPixels(image, canvas),
  };
}

function checkNoise(
  { shape: [, height, width, channels] }: NoiseFile,
  path: string,
  target: NoiseSize,
): void {
  if (height === target.height && width === target.width && channels === target.channels) return;
  throw new RangeError(
    `Cannot use --noise ${path}: it is of ${width}x${height}x${channels}, the model draws ${target.width}x${target.height}x${target.channels}`,
  );
}

/** An edit that begins with x as it is given for each image of a run, NHWC at the first level. */
export function givenNoise(of: (index: number) => Float32Array): Edit {
  return {
    begin({ noise, indices }) {
      const values = noise.draw(); // drawn though not used: later draws stay those of its seed
      const span = values.length / indices.length;
      for (const [i, index] of indices.entries()) values.set(of(index), i * span);
      return tf.tensor4d(values, [...noise.shape]);
    },
  };
}

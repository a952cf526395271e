/**
 * What of a run's settings is about editing, as a PNG keeps it.
 *
 * @module
 */
import type { Seed } from "../noise/mod.ts";

/** A file that the images depend on. */
export interface Source {
  /** As it was typed. */
  readonly path: string;
  /** The SHA-256 of its bytes in hexadecimal, so that a repetition is of the same file. */
  readonly sha256: string;
}

/** How a run departs from drawing out of noise alone. */
export interface EditSettings {
  /** The picture that it begins with or keeps a part of. */
  readonly init?: Source | undefined;
  /** The share of the path that is drawn. */
  readonly strength?: number | undefined;
  readonly mask?: Source | undefined;
  /** How the kept part is kept, with all options. */
  readonly inpaint?: string | undefined;
  readonly place?: readonly [x: number, y: number] | undefined;
  /** A file of `invert`, and which of its noises the first image begins with. */
  readonly noise?: Source & { readonly index: number } | undefined;
  /** How far the noise of each image is from one that all share: that of a seed, or of the file. */
  readonly variations?: { readonly share: number; readonly base: string } | undefined;
}

/** What was read, or undefined where it is damaged. */
export function parseEdit(value: unknown): EditSettings | undefined {
  if (!isRecord(value)) return undefined;
  const { init, strength, mask, inpaint, place, noise, variations } = value;
  const isSource = (it: unknown) =>
    it === undefined ||
    isRecord(it) && typeof it.path === "string" && typeof it.sha256 === "string";
  const isShare = (it: unknown) => typeof it === "number" && it >= 0 && it <= 1;
  const whole = (it: unknown) => Number.isSafeInteger(it);
  const fits = [init, mask, noise].every(isSource) &&
    (strength === undefined || isShare(strength)) &&
    (inpaint === undefined || typeof inpaint === "string") &&
    (place === undefined || Array.isArray(place) && place.length === 2 && place.every(whole)) &&
    (noise === undefined || isRecord(noise) && whole(noise.index) && Number(noise.index) >= 0) &&
    (variations === undefined ||
      isRecord(variations) && isShare(variations.share) && /^\d{1,20}$/.test(`${variations.base}`));
  return fits ? value : undefined; // each field was checked
}

/** The settings that draw one image of an edited run by itself. */
export function editOfImage(edit: EditSettings, index: number): EditSettings {
  const { noise } = edit;
  return noise === undefined ? edit : { ...edit, noise: { ...noise, index: noise.index + index } };
}

/** The line of other tools. */
export function describeEdit(edit: EditSettings): string[] {
  const { init, strength, mask, inpaint, place, noise, variations } = edit;
  return [
    ...init ? [`Init: ${init.path}`] : [],
    ...strength === undefined ? [] : [`Denoising strength: ${strength}`],
    ...mask ? [`Mask: ${mask.path}`] : [],
    ...inpaint === undefined ? [] : [`Inpaint: ${inpaint}`],
    ...place ? [`Place: ${place.join(" ")}`] : [],
    ...noise ? [`Noise: ${noise.path}`] : [],
    ...variations
      ? [`Variation seed: ${variations.base}`, `Variation share: ${variations.share}`]
      : [],
  ];
}

/** The noise that variations vary, as settings keep it. */
export function variationsOf(share: number, base: Seed): EditSettings["variations"] {
  return { share, base: String(base) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Flags of editing, and what they and an earlier run's settings ask for. */
import type { EditWishes } from "../editing/edit.ts";
import { type EditSettings, variationsOf } from "../editing/settings.ts";
import type { Seed } from "../noise/mod.ts";
import { UsageError, type Values } from "./_command.ts";

const group = "Editing";

/** The flags of `sample` that edit. */
export const editFlags = {
  init: {
    type: "string",
    value: "IMAGE",
    complete: "file",
    help:
      "begin with this picture, noised, instead of noise alone (SDEdit); what an inpainting model fills",
    group,
  },
  strength: {
    type: "number",
    min: 0,
    max: 1,
    help: "share of the steps that it is noised for; 0.6 without it, 1 with --mask or --place",
    group,
  },
  mask: {
    type: "string",
    value: "IMAGE",
    complete: "file",
    help: "of --init: what is white is drawn anew, what is black keeps its pixels",
    group,
  },
  inpaint: {
    type: "string",
    value: "NAME",
    help: "how the kept part leads the rest: replace, or repaint,jump=10,resample=10",
    group,
  },
  place: {
    type: "string",
    value: "X,Y",
    help: "lay the upper left corner of --init there and draw what it leaves open (outpainting)",
    group,
  },
  noise: {
    type: "string",
    value: "FILE",
    complete: "file",
    help: "begin with the noise that invert wrote, and with its settings unless typed",
    group,
  },
  variations: {
    type: "number",
    min: 0,
    max: 1,
    value: "SHARE",
    help: "how far each image's noise is from that of the seed, or of --noise: 0 is it, 1 another",
    group,
  },
} as const;

type EditValues = Values<typeof editFlags>;

/** What is typed, else what is repeated; undefined where nothing is edited. */
export function editWishes(
  flags: EditValues,
  seed: Seed,
  repeated: EditSettings = {},
): EditWishes | undefined {
  const { init, strength, mask, inpaint, place, noise, variations } = flags;
  const typed = {
    ...init !== undefined && { init: { path: init } },
    ...strength !== undefined && { strength },
    ...mask !== undefined && { mask: { path: mask } },
    ...inpaint !== undefined && { inpaint },
    ...place !== undefined && { place: pointOf(place) },
    ...noise !== undefined && { noise: { path: noise, index: 0 } },
    ...variations !== undefined && { variations: variationsOf(variations, seed) },
  };
  const all = { ...repeated, ...typed };
  return Object.values(all).some((wish) => wish !== undefined) ? all : undefined;
}

/** `X,Y` in whole pixels, which may be negative. */
function pointOf(text: string): readonly [number, number] {
  const [, x, y] = text.match(/^\s*([+-]?\d{1,5})\s*,\s*([+-]?\d{1,5})\s*$/) ?? [];
  if (x !== undefined && y !== undefined) return [Number(x), Number(y)];
  throw new UsageError(`Cannot use --place ${text}: it must be X,Y in whole pixels, as in 8,0`);
}

/**
 * Whether a network is computed in bytes, or its weights are held in blocks, and why.
 *
 * @module
 */
import { exists } from "@std/fs";
import type { Engine } from "../engines/engine.ts";
import type { Model } from "../pipeline/model.ts";
import type { Bits } from "./blocks.ts";
import { readScales, type ScalesFile, scalesPath } from "./file.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { BITS, isBlocks, type PRECISIONS, type Reduced } from "./names.ts";
import type { TimestepGroup } from "./scales.ts";

/** What was asked for. */
export interface PrecisionWish {
  readonly precision: (typeof PRECISIONS)[number];
  /** A file of scales, or its folder; beside the weights where absent. */
  readonly scales?: string | undefined;
}

/** What is computed with; all is float32 where nothing is said. */
export interface Precision {
  /** Layers in bytes. */
  readonly scales?: readonly TimestepGroup[] | undefined;
  /** Bits of weights in blocks; absent where they stay as they are. */
  readonly bits?: Bits | undefined;
  /** Its name; absent for float32. */
  readonly precision?: Reduced | undefined;
  /** Why, for people who want to know. */
  readonly reason: string;
  /** What they should know in any case. */
  readonly warning?: string | undefined;
}

const SATURATES =
  "this processor has no instruction for sums of products of bytes (VNNI on x86), so they are slow and clipped";

/** How much is computed in bytes. */
function sizeOf(groups: readonly TimestepGroup[]): string {
  const layers = `${groups[0]?.scales.size ?? 0} layers in bytes`;
  return groups.length === 1 ? layers : `${layers}, in ${groups.length} groups of timesteps`;
}

/** Why scales are of no use for a model, or nothing. */
async function staleness(
  { name, unet }: Pick<Model, "name" | "unet">,
  path: string,
  { weights }: ScalesFile,
): Promise<string | undefined> {
  if (weights === await fingerprintOf(unet.weights)) return undefined;
  return `the scales in "${path}" are of other weights than those of ${name}; denoise quantize makes them anew`;
}

/**
 * The scales of a model.
 *
 * @param place Their file or its folder; beside the weights where absent
 * @throws {Deno.errors.NotFound} Where there are none.
 * @throws {SyntaxError} Where their file is damaged.
 * @throws {TypeError} Where they are of other weights.
 */
export async function openScales(
  model: Pick<Model, "name" | "unet">,
  place: string | undefined,
): Promise<readonly TimestepGroup[]> {
  const path = scalesPath(place ?? model.unet.folder);
  const fail = `Cannot compute ${model.name} in int8`;
  if (!await exists(path)) {
    throw new Deno.errors.NotFound(
      `${fail}: there are no scales at "${path}"; denoise quantize makes them`,
    );
  }
  const file = readScales(path);
  const stale = await staleness(model, path, file);
  if (stale !== undefined) throw new TypeError(`${fail}: ${stale}`);
  return file.groups;
}

/**
 * Settles whether a model's UNet is computed in bytes, or its weights are held in blocks. `auto`
 * computes in bytes where the model has scales and the processor multiplies them fast and exactly.
 *
 * @throws What {@linkcode openScales} throws, where scales are asked for; a TypeError where the
 * engine cannot use them.
 */
export async function choosePrecision(
  model: Pick<Model, "name" | "unet">,
  engine: Pick<Engine, "description" | "bytes">,
  { precision, scales: place }: PrecisionWish,
): Promise<Precision> {
  if (precision === "f32") return { reason: "float32, as asked for" };
  const { bytes, description } = engine;
  const unable = `${description} does not compute in bytes, ONNX Runtime on the CPU does`;
  if (isBlocks(precision)) {
    if (bytes === undefined) {
      throw new TypeError(
        `Cannot hold the weights of ${model.name} in ${precision}: ${description} does not, ONNX Runtime on the CPU does`,
      );
    }
    const bits = BITS[precision];
    const reason = `${precision}, as asked for: weights in blocks of ${bits} bits`;
    return { bits, precision, reason };
  }
  if (precision === "int8" || place !== undefined) {
    const scales = await openScales(model, place);
    if (bytes === undefined) {
      throw new TypeError(`Cannot compute ${model.name} in int8: ${unable}`);
    }
    const warning = await bytes.exact() ? undefined : `Computing in int8 although ${SATURATES}`;
    return { scales, precision: "int8", reason: `int8, as asked for: ${sizeOf(scales)}`, warning };
  }
  const path = scalesPath(model.unet.folder);
  if (!await exists(path)) return { reason: `float32: ${model.name} has no scales for int8` };
  if (bytes === undefined) return { reason: `float32: ${unable}` };
  if (!await bytes.exact()) return { reason: `float32: ${SATURATES}` };
  const file = readScales(path);
  const stale = await staleness(model, path, file);
  if (stale !== undefined) return { reason: stale, warning: `Computing in float32: ${stale}` };
  return {
    scales: file.groups,
    precision: "int8",
    reason: `int8: ${sizeOf(file.groups)} by "${path}"`,
  };
}

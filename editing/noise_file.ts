/**
 * Files of noise: what `invert` has found behind pictures, with the settings that lead back.
 *
 * @module
 */
import { encodeSafetensors, readSafetensors } from "../models/safetensors.ts";

/** The tensor's name; `[count, channel, height, width]`, as PyTorch lays images out. */
const NAME = "noise";

/** Noise of some images. */
export interface NoiseFile {
  /** `[count, height, width, channel]`. */
  readonly shape: readonly [count: number, height: number, width: number, channels: number];
  /** NHWC. */
  readonly values: Float32Array;
  /** Texts as in a PNG, see `settingsText()`. */
  readonly texts: Readonly<Record<string, string>>;
}

/** The bytes of such a file. */
export function encodeNoise({ shape, values, texts }: NoiseFile): Uint8Array<ArrayBuffer> {
  const [count, height, width, channels] = shape;
  const planes = new Float32Array(values.length);
  reorder(shape, (nhwc, nchw) => planes[nchw] = values[nhwc] ?? NaN);
  const tensor = { shape: [count, channels, height, width], values: planes };
  return encodeSafetensors(new Map([[NAME, tensor]]), "F32", texts);
}

/**
 * Reads a file of noise.
 *
 * @throws {SyntaxError} Where it is none.
 */
export function readNoise(path: string): NoiseFile {
  const fail = (reason: string, cause?: unknown) =>
    new SyntaxError(`Cannot use --noise ${path}: ${reason}`, { cause });
  let file;
  try {
    file = readSafetensors(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw fail("there is no such file", cause);
    throw fail("it is no safetensors file, as invert writes it", cause);
  }
  const tensor = file.tensors.get(NAME);
  const [count = 0, channels = 0, height = 0, width = 0] = tensor?.shape ?? [];
  if (tensor === undefined || tensor.shape.length !== 4 || count === 0) {
    throw fail(`it holds no tensor "${NAME}" of shape [count, channel, height, width]`);
  }
  const shape = [count, height, width, channels] as const;
  const planes = tensor.read();
  const values = new Float32Array(planes.length);
  reorder(shape, (nhwc, nchw) => values[nhwc] = planes[nchw] ?? NaN);
  if (!values.every(Number.isFinite)) throw fail("it holds values that are not finite");
  return { shape, values, texts: file.metadata };
}

/** Calls with the index of every value in both orders. */
function reorder(
  [count, height, width, channels]: NoiseFile["shape"],
  visit: (nhwc: number, nchw: number) => void,
): void {
  let at = 0;
  for (let image = 0; image < count; image++) {
    for (let pixel = 0; pixel < height * width; pixel++) {
      for (let channel = 0; channel < channels; channel++) {
        visit(at++, (image * channels + channel) * height * width + pixel);
      }
    }
  }
}

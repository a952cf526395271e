/**
 * The noise of images: one stream of random numbers for each, so that an image depends on its own
 * seed, never on the batch, the shard or the machine that it is made in.
 *
 * @module
 */
import { philoxAt, resumePhilox } from "./philox.ts";
import type { Seed } from "./seed.ts";
import type { NoiseKind, NoiseState, NoiseStream } from "./stream.ts";
import { resumeTorch, torchGenerator } from "./torch.ts";

export { philox, philoxAt, type Words } from "./philox.ts";
export { exactSeed, imageSeeds, parseSeed, type Seed } from "./seed.ts";
export type { NoiseKind, NoiseState, NoiseStream, PhiloxState, TorchState } from "./stream.ts";
export { type TorchGenerator, torchGenerator } from "./torch.ts";

/**
 * A stream of random numbers.
 *
 * @param stream Which of the 2³² streams of the seed; `torch` has only stream 0.
 *
 * @throws {RangeError} If the seed or the stream is out of range.
 *
 * @example
 * ```ts
 * import { noiseStream } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [first] = noiseStream("torch", 0).normal(4); // torch.randn(4, generator=manual_seed(0))
 * assertEquals(first?.toFixed(4), "1.5410");
 * ```
 */
export function noiseStream(kind: NoiseKind, seed: Seed, stream = 0): NoiseStream {
  if (kind === "philox") return philoxAt(seed, stream);
  if (stream !== 0) {
    throw new RangeError(`Cannot use stream ${stream} of a torch generator: it has only stream 0`);
  }
  return torchGenerator(seed);
}

/**
 * The stream that continues where another one stood, exactly.
 *
 * @param state What {@linkcode NoiseStream.state} gave, also by way of JSON.
 *
 * @throws {RangeError} If the state is not one of a stream.
 */
export function resumeNoise(state: NoiseState): NoiseStream {
  return state.kind === "philox" ? resumePhilox(state) : resumeTorch(state);
}

/** The noise of a batch of images. */
export interface ImageNoise {
  /** `[batch, height, width, channel]` of what {@linkcode ImageNoise.draw} gives. */
  readonly shape: readonly [number, number, number, number];
  /** The next N(0, 1) for every image, in the order of `shape`. */
  draw(): Float32Array<ArrayBuffer>;
  /** Where each image's stream stands, for {@linkcode resumeImageNoise}. */
  state(): readonly NoiseState[];
}

/**
 * The noise of images by their seeds, see `imageSeeds()` for those of a run.
 *
 * Each image's numbers are drawn channel by channel (channel, height, width) and then put into
 * channels-last order. So `torch` draws are those of `torch.randn((1, C, H, W), generator)`, or of
 * diffusers with a list of generators, and `philox` keeps the same order.
 *
 * @param shape Height, width and channels of one image.
 *
 * @throws {RangeError} If a seed is out of range.
 */
export function imageNoise(
  kind: NoiseKind,
  seeds: readonly Seed[],
  shape: readonly [height: number, width: number, channels: number],
): ImageNoise {
  return fromStreams(seeds.map((seed) => noiseStream(kind, seed)), shape);
}

/**
 * The noise that continues where that of other images stood.
 *
 * @throws {RangeError} If a state is not one of a stream.
 */
export function resumeImageNoise(
  states: readonly NoiseState[],
  shape: readonly [height: number, width: number, channels: number],
): ImageNoise {
  return fromStreams(states.map(resumeNoise), shape);
}

function fromStreams(
  streams: readonly NoiseStream[],
  [height, width, channels]: readonly [number, number, number],
): ImageNoise {
  const area = height * width;
  return {
    shape: [streams.length, height, width, channels],
    draw() {
      const out = new Float32Array(streams.length * area * channels);
      let at = 0;
      for (const stream of streams) {
        const planes = stream.normal(area * channels);
        for (let pixel = 0; pixel < area; pixel++) {
          for (let channel = 0; channel < channels; channel++) {
            out[at++] = planes[channel * area + pixel] ?? 0;
          }
        }
      }
      return out;
    },
    state: () => streams.map((stream) => stream.state()),
  };
}

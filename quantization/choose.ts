/**
 * From what was seen of a network to the scales of its layers.
 *
 * @module
 */
import type { Weights } from "../models/weights.ts";
import { byteWeights, stepOf } from "./bytes.ts";
import type { SeenLayer } from "./observer.ts";
import { type RangeChoice, rangeOf } from "./ranges.ts";
import type { LayerScales, Range, Scales } from "./scales.ts";

/** How scales are chosen. */
export interface ScaleChoice extends RangeChoice {
  /** Layers whose names hold one of these stay float32. */
  readonly float: readonly string[];
  /** Whether the mean error of the weights is taken out. */
  readonly correct: boolean;
}

/**
 * The scales of all layers that win by bytes: not those of timesteps and classes, which have one row
 * an image, and not the first and the last convolution, which see and make the images themselves.
 */
export function chooseScales(
  seen: ReadonlyMap<string, SeenLayer>,
  weights: Weights,
  choice: ScaleChoice,
): Scales {
  const convolutions = [...seen].filter(([, { kind }]) => kind === "convolution");
  const ends = [convolutions.at(0)?.[0], convolutions.at(-1)?.[0]];
  const chosen = [...seen].filter(([layer, { single }]) =>
    !single && !ends.includes(layer) && !choice.float.some((part) => layer.includes(part))
  );
  return new Map(chosen.map(([layer, seen]) => [layer, scalesOf(layer, seen, weights, choice)]));
}

function scalesOf(
  layer: string,
  { kind, parts, magnitudes }: SeenLayer,
  weights: Weights,
  choice: ScaleChoice,
): LayerScales {
  const input = parts.map(({ histogram }) => rangeOf(histogram, choice));
  return {
    input,
    output: kind === "convolution" ? [...magnitudes] : undefined,
    correction: choice.correct ? correctionOf(layer, input, parts, weights) : undefined,
  };
}

/** What the rounding of a layer's weights takes from its outputs in the mean. */
function correctionOf(
  layer: string,
  input: readonly Range[],
  parts: SeenLayer["parts"],
  weights: Weights,
): number[] {
  const stored = weights.get(`${layer}.weight`);
  if (stored === undefined) throw new Error(`Cannot find the weights of ${layer}`);
  const values = stored.read();
  const [out = 1] = stored.shape;
  const size = values.length / out;
  const folds = parts.length === 1
    ? undefined
    : input.map(([low, high]) => stepOf(Math.max(-low, high)));
  const channels = parts.flatMap(({ sums, count }, i) =>
    [...sums].map((sum) => ({ mean: sum / count, fold: folds?.[i] ?? 1 }))
  );
  const span = size / channels.length; // of one filter
  const channelOf = (i: number) => channels[Math.floor(i / span) % channels.length];
  const folded = values.map((weight, i) => weight * (channelOf(i)?.fold ?? 1));
  const { bytes, steps } = byteWeights(folded, out);
  return Array.from({ length: out }, (_, row) => {
    let error = 0;
    for (let i = row * size; i < (row + 1) * size; i++) {
      const { mean = 0, fold = 1 } = channelOf(i) ?? {};
      error += ((folded[i] ?? 0) - (bytes[i] ?? 0) * (steps[row] ?? 0)) * mean / fold;
    }
    return error;
  });
}

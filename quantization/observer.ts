/**
 * What is learned of a network's layers while it runs.
 *
 * @module
 */
import type { ChannelValues, LayerValues } from "../engines/engine.ts";
import { Histogram } from "./histogram.ts";

/** What was seen of a part of a layer's input. */
export interface SeenPart {
  readonly histogram: Histogram;
  /** The sum of each channel's values, and how many there were. */
  readonly sums: Float64Array;
  count: number;
}

/** What was seen of a layer. */
export interface SeenLayer {
  readonly kind: LayerValues["kind"];
  readonly parts: readonly SeenPart[];
  /** The greatest magnitude of each output channel. */
  readonly magnitudes: Float64Array;
  /** True where it has one row an image, as layers of timesteps have: nothing is won by bytes. */
  readonly single: boolean;
}

/** Gathers what layers take and give. */
export class Observer {
  readonly layers = new Map<string, SeenLayer>();

  /** Takes in one run of a batch. */
  add(layers: readonly LayerValues[], batch: number): void {
    for (const { layer, kind, parts, output } of layers) {
      const known = this.layers.get(layer) ?? {
        kind,
        parts: parts.map(({ channels }): SeenPart => {
          return { histogram: new Histogram(), sums: new Float64Array(channels), count: 0 };
        }),
        magnitudes: new Float64Array(output.channels),
        single: output.values.length <= output.channels * batch,
      };
      this.layers.set(layer, known);
      parts.forEach((part, index) => addPart(known.parts[index], part));
      addMagnitudes(known.magnitudes, output);
    }
  }
}

function addPart(seen: SeenPart | undefined, { values, channels, inner }: ChannelValues): void {
  if (seen === undefined) throw new TypeError("Cannot observe a layer whose parts change");
  seen.histogram.add(values);
  for (let start = 0, channel = 0; start < values.length; start += inner) {
    let sum = 0;
    for (let i = start; i < start + inner; i++) sum += values[i] ?? 0;
    seen.sums[channel] = (seen.sums[channel] ?? 0) + sum;
    channel = channel + 1 === channels ? 0 : channel + 1;
  }
  seen.count += values.length / channels;
}

function addMagnitudes(magnitudes: Float64Array, { values, channels, inner }: ChannelValues) {
  for (let start = 0, channel = 0; start < values.length; start += inner) {
    let most = magnitudes[channel] ?? 0;
    for (let i = start; i < start + inner; i++) most = Math.max(most, Math.abs(values[i] ?? 0));
    magnitudes[channel] = most;
    channel = channel + 1 === channels ? 0 : channel + 1;
  }
}

/**
 * What has to be known of a network to compute it in bytes.
 *
 * @module
 */

/** The least and the greatest value that stand for 0 and 255. */
export type Range = readonly [low: number, high: number];

/** How one layer is computed in integers. */
export interface LayerScales {
  /**
   * The range of its input; of one that is concatenated, that of each part, since what a UNet skips
   * is wider than what it computed last (Q-Diffusion, section 3.3, "shortcut splitting").
   */
  readonly input: readonly Range[];
  /**
   * The greatest magnitude of each output channel of a convolution; absent where the output stays
   * float32, as that of a product does.
   */
  readonly output?: readonly number[] | undefined;
  /**
   * Added to the output channels: the mean of what the rounding of the weights takes away (Nagel et
   * al. 2019, arXiv 1906.04721, section 4.2).
   */
  readonly correction?: readonly number[] | undefined;
}

/** Layers by the names of their parameters, without `.weight`. All others stay float32. */
export type Scales = ReadonlyMap<string, LayerScales>;

/** Scales for a part of the timesteps. */
export interface TimestepGroup {
  /** They serve timesteps below this, and not below that of an earlier group. */
  readonly below: number;
  readonly scales: Scales;
}

/** The group's index that a timestep belongs to; the last takes all that no other does. */
export function groupAt(groups: readonly Pick<TimestepGroup, "below">[], t: number): number {
  const index = groups.findIndex(({ below }) => t < below);
  return index === -1 ? groups.length - 1 : index;
}

/** The ends of groups that have equally many of a path's timesteps each; the last is open. */
export function groupEnds(timesteps: readonly number[], count: number): number[] {
  const sorted = [...new Set(timesteps)].sort((a, b) => a - b);
  const groups = Math.min(count, sorted.length);
  return Array.from(
    { length: groups },
    (_, i) => sorted[Math.round(sorted.length * (i + 1) / groups)] ?? Infinity,
  );
}

import type { TimestepSampler } from "./mod.ts";

/** Where the i-th of n evenly spread draws lies in [0, 1), given its own share of its stratum. */
export function stratified(shares: Float32Array): Float64Array {
  return Float64Array.from(shares, (share, index) => (index + share) / shares.length);
}

/**
 * Timesteps for a batch, each uniform over all of them and together spread evenly (stratified), so
 * that the loss varies less from step to step.
 */
export function spreadTimesteps(shares: Float32Array, count: number): Int32Array {
  return Int32Array.from(
    stratified(shares),
    (place) => Math.min(count - 1, Math.floor(place * count)),
  );
}

/** All timesteps alike. */
export function uniformTimesteps(count: number): TimestepSampler {
  return { draw: (shares) => ({ times: spreadTimesteps(shares, count) }) };
}

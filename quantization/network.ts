/**
 * A network whose layers are computed in bytes, with the scales of each timestep.
 *
 * @module
 */
import type { Compiled, Computation, Engine } from "../engines/engine.ts";
import type { Weights } from "../models/weights.ts";
import { groupAt, type TimestepGroup } from "./scales.ts";

/** @param computation Of images, timesteps (the same for all images of a call) and what follows. */
export function networkInBytes(
  engine: Engine,
  computation: Computation,
  weights: Weights,
  groups: readonly TimestepGroup[],
): Compiled {
  const networks = groups.map(({ scales }) => engine.compile(computation, weights, scales));
  const run: Compiled = async (...inputs) => {
    const [t = 0] = networks.length === 1 ? [] : await inputs[1]?.data() ?? [];
    const network = networks[groupAt(groups, t)];
    if (network === undefined) throw new RangeError("Cannot compute in bytes without scales");
    return await network(...inputs);
  };
  run.release = async () => {
    for (const network of networks) await network.release?.();
  };
  return run;
}

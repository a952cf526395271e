import type { Level, NoiseProcess, Sampler } from "../plugin.ts";
import type { Chosen } from "../plugins/load.ts";
import { timelineOf } from "../pipeline/run.ts";
import { chooseInpainting } from "./inpaint.ts";
import { isNoisier } from "./repaint.ts";
import { begunAt } from "./strength.ts";
import type { EditSettings } from "./settings.ts";

/**
 * The levels that an edited run visits: the end of a path by its strength, as the sampler goes it, with
 * the jumps of its inpainting.
 *
 * @throws {RangeError} Where the sampler cannot go such a way.
 */
export function editedPath(
  sampler: Chosen<Sampler>,
  path: readonly Level[],
  process: NoiseProcess,
  { strength = 1, inpaint }: Pick<EditSettings, "strength" | "inpaint"> = {},
): readonly Level[] {
  const begun = begunAt(path, strength);
  const visited = timelineOf(sampler, begun, process);
  const { name, calls, timeline } = sampler.plugin;
  const [first] = begun;
  if (first !== undefined && strength < 1 && visited.some((level) => isNoisier(level, first))) {
    throw new RangeError(
      `Cannot use sampler "${name}" with strength ${strength}: it goes back to more noise than the picture begins with; take more strength or another sampler`,
    );
  }
  if (inpaint === undefined) return visited;
  const way = chooseInpainting(inpaint);
  if (calls === Infinity) {
    throw new RangeError(
      `Cannot keep a part of a picture with sampler "${name}": it chooses its levels while it draws, and the part is put back only between steps; use another sampler`,
    );
  }
  if (way.name === "repaint" && timeline !== undefined) {
    throw new RangeError(
      `Cannot use inpaint "repaint" with sampler "${name}": both say where the path goes back up; use another sampler, or replace`,
    );
  }
  return way.timeline(visited);
}

/**
 * The file of scales beside a network's weights.
 *
 * @module
 */
import { join } from "@std/path";
import { writeAtomic } from "../images/atomic.ts";
import { readJson } from "../models/config.ts";
import type { LayerScales, Range, Scales, TimestepGroup } from "./scales.ts";

/** Its name in the folder of the weights. */
export const SCALES_FILE = "quantization.json";

const FORMAT = "denoise scales 1";

/** What a file of scales holds. */
export interface ScalesFile {
  /** The fingerprint of the weights that they were made for. */
  readonly weights: string;
  /** How they were made, for people. */
  readonly calibration: Readonly<Record<string, unknown>>;
  /** By timestep, the lowest first; one for all unless more were asked for. */
  readonly groups: readonly TimestepGroup[];
}

/** The file in a folder, or the path itself where it names a file. */
export function scalesPath(path: string): string {
  return path.endsWith(".json") ? path : join(path, SCALES_FILE);
}

const DIGITS = 7; // significant ones: as many as float32 holds

const short = (values: readonly number[]) =>
  values.map((value) => Number(value.toPrecision(DIGITS)));

/** The layers of a group, a line each, so that versions of a file can be compared. */
function layerLines(scales: Scales): string {
  return [...scales].map(([layer, { input, output, correction }]) => {
    const entry = {
      input: input.map(short),
      ...output && { output: short(output) },
      ...correction && { correction: short(correction) },
    };
    return `      ${JSON.stringify(layer)}: ${JSON.stringify(entry)}`;
  }).join(",\n");
}

/** Writes scales. */
export async function writeScales(path: string, { weights, calibration, groups }: ScalesFile) {
  const head = JSON.stringify({ format: FORMAT, weights, calibration }, null, 2).slice(0, -2);
  const bodies = groups.map(({ below, scales }) => {
    const end = below === Infinity ? "" : `"below": ${below}, `;
    return `    { ${end}"layers": {\n${layerLines(scales)}\n    } }`;
  });
  await writeAtomic(path, `${head},\n  "groups": [\n${bodies.join(",\n")}\n  ]\n}\n`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every(Number.isFinite);

const isRange = (value: unknown): value is Range =>
  isNumbers(value) && value.length === 2 && Number(value[0]) <= Number(value[1]);

/** One layer's entry, or what is wrong with it. */
function parseLayer(value: unknown): LayerScales | string {
  if (!isObject(value)) return "its entry is not an object";
  const { input, output, correction, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) return `its key "${unknown}" is not known`;
  if (!Array.isArray(input) || input.length === 0 || !input.every(isRange)) {
    return "input must be a list of ranges such as [-1, 2]";
  }
  if (output !== undefined && !(isNumbers(output) && output.every((size) => size >= 0))) {
    return "output must be a list of magnitudes of at least 0";
  }
  if (correction !== undefined && !isNumbers(correction)) {
    return "correction must be a list of numbers";
  }
  return { input, output, correction };
}

/**
 * Reads a file of scales.
 *
 * @throws {Deno.errors.NotFound} Where there is none.
 * @throws {SyntaxError} Where it is damaged.
 */
export function readScales(path: string): ScalesFile {
  const { format, weights, calibration, groups } = readJson(path);
  const fail = (reason: string) => new SyntaxError(`Cannot use the scales in "${path}": ${reason}`);
  if (format !== FORMAT) throw fail(`format must be ${JSON.stringify(FORMAT)}`);
  if (typeof weights !== "string") throw fail("weights must be the fingerprint of a checkpoint");
  if (!Array.isArray(groups) || groups.length === 0) {
    throw fail("groups must be a list of scales by timestep");
  }
  const parsed = groups.map((group: unknown, index): TimestepGroup => {
    const { layers, below = Infinity } = isObject(group) ? group : {};
    const last = index === groups.length - 1;
    if (typeof below !== "number" || last !== (below === Infinity)) {
      throw fail("below must be a timestep in each group but the last");
    }
    if (!isObject(layers)) throw fail("layers must be an object of layers by name");
    const scales = Object.entries(layers).map(([name, value]): [string, LayerScales] => {
      const layer = parseLayer(value);
      if (typeof layer === "string") throw fail(`layer "${name}": ${layer}`);
      return [name, layer];
    });
    return { below, scales: new Map(scales) };
  });
  return { weights, calibration: isObject(calibration) ? calibration : {}, groups: parsed };
}

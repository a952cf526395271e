/**
 * Sets a model beside its origin: runs it on what the original software was given, and compares with
 * what it gave.
 *
 * @module
 */
import { join } from "@std/path";
import type { Engine } from "../engines/engine.ts";
import { readJson } from "../models/config.ts";
import { readSafetensors } from "../models/safetensors.ts";
import type { StoredTensor } from "../models/weights.ts";
import { isThere } from "../pipeline/files.ts";
import { type Difference, differenceOf, type Measure, type Values } from "./compare.ts";
import { runNetwork } from "./network.ts";
import { runPipeline } from "./pipeline.ts";

/** A tensor that was computed here. */
export interface Found extends Values {
  readonly name: string;
  readonly measure: Measure;
}

/** The tensors of the file; those that are asked for are taken. */
export interface Recorded {
  readonly names: readonly string[];
  get(name: string): StoredTensor | undefined;
}

/** One tensor beside the expected one. */
export interface Compared {
  readonly name: string;
  readonly measure: Measure;
  readonly difference: Difference;
  readonly tolerance: number;
}

/** What a folder is, and how far it is from its origin. */
export interface Report {
  readonly folder: string;
  readonly kind: "network" | "pipeline";
  readonly compared: readonly Compared[];
  /** Tensors of the file that are neither taken nor given. */
  readonly ignored: readonly string[];
}

/** The largest difference that is none, as a share of what the measure says. */
export const TOLERANCES = { network: 1e-4, pipeline: 1e-3 } as const;

const EXPECTED = "expected.safetensors";

/**
 * Verifies a folder of a network or of a pipeline.
 *
 * @param tolerance {@linkcode TOLERANCES} where absent.
 * @throws {Error} Where the folder cannot be run, or holds nothing to compare with.
 */
export async function verify(folder: string, engine: Engine, tolerance?: number): Promise<Report> {
  const path = join(folder, EXPECTED);
  if (!isThere(path)) {
    throw new Deno.errors.NotFound(
      `Cannot verify "${folder}": it holds no ${EXPECTED}; docs/verify.md says how to make one`,
    );
  }
  const { tensors, metadata } = readSafetensors(path);
  const kind = isThere(join(folder, "model_index.json")) ? "pipeline" : "network";
  const limit = tolerance ?? TOLERANCES[kind];
  const compared: Compared[] = [];
  const used = new Set<string>();
  const recorded: Recorded = {
    names: [...tensors.keys()],
    get(name) {
      used.add(name);
      return tensors.get(name);
    },
  };
  const found = kind === "pipeline"
    ? runPipeline(folder, recorded, settingsOf(folder, metadata), engine)
    : runNetwork(folder, recorded, engine);
  for await (const { name, measure, ...values } of found) {
    const stored = recorded.get(name);
    if (stored === undefined || compared.some((one) => one.name === name)) continue;
    const expected = { shape: stored.shape, data: stored.read() };
    let difference: Difference;
    try {
      difference = differenceOf(values, expected, measure);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw new Error(`Cannot verify "${name}" of "${folder}": ${cause.message}`, { cause });
    }
    compared.push({ name, measure, difference, tolerance: measure === "exact" ? 0 : limit });
  }
  if (compared.length === 0) {
    throw new Error(
      `Cannot verify "${folder}": ${EXPECTED} holds ${
        [...tensors.keys()].join(", ")
      }, of which this ${kind} gives none; docs/verify.md has the names`,
    );
  }
  return {
    folder,
    kind,
    compared,
    ignored: [...tensors.keys()].filter((name) => !used.has(name)),
  };
}

/** What a pipeline was run with: the file's own metadata, or `info.json` beside it. */
function settingsOf(
  folder: string,
  metadata: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const path = join(folder, "info.json");
  const own = Object.entries(metadata).map(([key, text]): [string, unknown] => {
    try {
      return [key, JSON.parse(text)];
    } catch {
      return [key, text]; // a text that is no JSON is itself
    }
  });
  return { ...Object.fromEntries(own), ...isThere(path) ? readJson(path) : {} };
}

/** Whether a tensor is as near as it must be. */
export function isSame({ difference, tolerance }: Compared): boolean {
  return difference.size <= tolerance;
}

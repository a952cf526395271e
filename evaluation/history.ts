/**
 * Figures over the checkpoints of a training run, from the log that `train --evaluate-every` keeps.
 *
 * @module
 */
import { join } from "@std/path";
import type { LogLine } from "../training/train.ts";

/** The figures of one checkpoint. */
export interface Point {
  readonly step: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** The key of a log line's figures that says of how many samples they are. */
export const COUNT = "samples";

/** What the log of a run says of its checkpoints; empty where a folder is no run. */
export async function readHistory(folder: string): Promise<Point[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(join(folder, "training", "log.jsonl"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => {
    const entry = parseLine(line);
    if (entry === undefined || !(COUNT in entry)) return [];
    const { step, loss: _, norm: _n, rate: _r, seconds: _s, [COUNT]: _c, ...rest } = entry;
    const figures = Object.entries(rest).filter(([, value]) => typeof value === "number");
    return [{ step, figures: Object.fromEntries(figures) as Record<string, number> }];
  });
}

function parseLine(line: string): LogLine | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // empty, or cut off by a crash
  }
}

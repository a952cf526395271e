import * as node from "node:path";

/** The parts of a path. */
export interface ParsedPath {
  root: string;
  dir: string;
  base: string;
  ext: string;
  name: string;
}

/** Takes a path apart. */
export function parse(path: string): ParsedPath {
  return node.parse(path);
}

import * as node from "node:path";
import { text } from "./_path.ts";

/** The path without `.`, `..` and doubled separators. */
export function normalize(path: string | URL): string {
  return node.normalize(text(path));
}

import * as node from "node:path";
import { text } from "./_path.ts";

/** The ending of a path, with its period. */
export function extname(path: string | URL): string {
  return node.extname(text(path));
}

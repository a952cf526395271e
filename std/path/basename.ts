import * as node from "node:path";
import { text } from "./_path.ts";

/** The last part of a path, without the suffix where it ends with it. */
export function basename(path: string | URL, suffix = ""): string {
  return node.basename(text(path), suffix);
}

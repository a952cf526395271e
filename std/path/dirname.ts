import * as node from "node:path";
import { text } from "./_path.ts";

/** The folder that a path lies in. */
export function dirname(path: string | URL): string {
  return node.dirname(text(path));
}

import * as node from "node:path";
import { text } from "./_path.ts";

/** The paths joined and normalized. */
export function join(path: string | URL, ...paths: string[]): string {
  return node.join(text(path), ...paths);
}

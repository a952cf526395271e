import { fileURLToPath } from "node:url";

/** A path as text, also where it is given as a file URL. */
export function text(path: string | URL): string {
  return path instanceof URL ? fileURLToPath(path) : path;
}

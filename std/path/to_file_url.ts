import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";

/** The file URL of an absolute path. */
export function toFileUrl(path: string): URL {
  if (!isAbsolute(path)) throw new TypeError(`Path must be absolute: received "${path}"`);
  return new URL(pathToFileURL(path).href);
}

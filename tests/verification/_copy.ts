import { ensureDir } from "@std/fs";
import { join } from "@std/path";

/** Copies a folder with its folders; resolves to the copy. */
export async function copyFolder(from: string, to: string): Promise<string> {
  await ensureDir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
  return to;
}

import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Removes what is in a folder; makes the folder where it is missing. */
export async function emptyDir(dir: string | URL): Promise<void> {
  const folder = dir instanceof URL ? fileURLToPath(dir) : dir;
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) {
    await Deno.remove(join(folder, name), { recursive: true });
  }
}

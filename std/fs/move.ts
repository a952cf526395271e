import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Whether to replace what is there. */
export interface MoveOptions {
  overwrite?: boolean;
}

function absolute(path: string | URL): string {
  return resolve(path instanceof URL ? fileURLToPath(path) : path);
}

/** Moves a file or folder. */
export async function move(
  src: string | URL,
  dest: string | URL,
  { overwrite = false }: MoveOptions = {},
): Promise<void> {
  const [from, to] = [absolute(src), absolute(dest)];
  const inside = !/^(\.\.([/\\]|$)|[A-Za-z]:)/.test(relative(from, to));
  if ((await Deno.stat(from)).isDirectory && inside) {
    throw new Deno.errors.NotSupported(
      `Cannot move '${src}' to a subdirectory of itself, '${dest}'.`,
    );
  }
  if (overwrite && from === to) return;
  const taken = await Deno.lstat(to).then(() => true, () => false);
  if (taken && !overwrite) throw new Deno.errors.AlreadyExists("dest already exists.");
  if (taken) await Deno.remove(to, { recursive: true });
  await Deno.rename(from, to);
}

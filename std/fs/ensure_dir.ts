function check({ isDirectory, isFile, isSymlink }: Deno.FileInfo): void {
  if (isDirectory) return;
  const found = isFile ? "file" : isSymlink ? "symlink" : "undefined";
  throw new Error(`Failed to ensure directory exists: expected 'dir', got '${found}'`);
}

/** Makes a folder and those above it, where they are missing. */
export async function ensureDir(dir: string | URL): Promise<void> {
  try {
    await Deno.mkdir(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    check(await Deno.stat(dir));
  }
}

/** Makes a folder and those above it, where they are missing. */
export function ensureDirSync(dir: string | URL): void {
  try {
    Deno.mkdirSync(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    check(Deno.statSync(dir));
  }
}

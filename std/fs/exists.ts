/** What else must hold. */
export interface ExistsOptions {
  isDirectory?: boolean;
  isFile?: boolean;
}

function fits(
  info: Deno.FileInfo,
  { isDirectory = false, isFile = false }: ExistsOptions,
): boolean {
  if (isDirectory && isFile) {
    throw new TypeError(
      "ExistsOptions.options.isDirectory and ExistsOptions.options.isFile must not be true together",
    );
  }
  return (!isDirectory || info.isDirectory) && (!isFile || info.isFile);
}

/** True where there is a file or folder of that name. */
export async function exists(path: string | URL, options: ExistsOptions = {}): Promise<boolean> {
  try {
    return fits(await Deno.stat(path), options);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** True where there is a file or folder of that name. */
export function existsSync(path: string | URL, options: ExistsOptions = {}): boolean {
  try {
    return fits(Deno.statSync(path), options);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

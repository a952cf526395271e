/**
 * A short digest of a checkpoint, by which scales know the weights that they were made for.
 *
 * @module
 */
import type { StoredTensor, Weights } from "../models/weights.ts";

const LOOK = 256; // bytes of each tensor: another training step changes them all

/** The first bytes of a tensor, as they are stored where it is in a file. */
function lookAt({ file, read }: StoredTensor, files: Map<string, Deno.FsFile>): Uint8Array {
  if (file === undefined) {
    const values = read().slice(0, LOOK / 4);
    return new Uint8Array(values.buffer);
  }
  const open = files.get(file.path) ?? Deno.openSync(file.path, { read: true });
  files.set(file.path, open);
  open.seekSync(file.offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(Math.min(LOOK, file.length));
  return bytes.subarray(0, open.readSync(bytes) ?? 0);
}

/** Sixteen hexadecimal digits that depend on names, types, shapes and first values of all tensors. */
export async function fingerprintOf(weights: Weights): Promise<string> {
  const files = new Map<string, Deno.FsFile>();
  try {
    const lines = [...weights.values()].map((tensor) =>
      `${tensor.name} ${tensor.dtype} ${tensor.shape} ${lookAt(tensor, files).join()}`
    );
    const text = new TextEncoder().encode(lines.sort().join("\n"));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
    return [...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } finally {
    for (const file of files.values()) file.close();
  }
}

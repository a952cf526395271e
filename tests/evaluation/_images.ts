/** Images in files, for tests of the evaluation. */
import { encodeNpz } from "../../training/data/npz.ts";
import { words } from "./_formula.ts";

/** Writes an npz of grey or colored images in OpenAI's format: noise whose brightness goes up with `level`. */
export async function writeImages(
  path: string,
  { count = 40, edge = 8, seed = 1, level = 0, channels = 1 } = {},
): Promise<void> {
  const data = Uint8Array.from(
    words(count * edge * edge * channels, seed),
    (word) => Math.min(255, (word >>> 25) + level),
  );
  const labels = Int32Array.from({ length: count }, (_, i) => i % 3);
  await Deno.writeFile(
    path,
    encodeNpz({
      arr_0: { shape: [count, edge, edge, channels], data },
      arr_1: { shape: [count], data: labels },
    }),
  );
}

/**
 * The first `length` bytes of a compressed stream, or fewer where it ends before; nothing beyond
 * them is inflated, so a bomb stays small.
 */
export async function inflateHead(
  data: Uint8Array<ArrayBuffer>,
  format: "gzip" | "deflate-raw",
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return (await inflate(data, format, length)).bytes;
}

/**
 * Inflates a stream that must hold exactly `length` bytes.
 *
 * @throws {RangeError} If it holds fewer or more, or is damaged; the message ends the sentence
 * "Cannot read X: ".
 */
export async function inflateExactly(
  data: Uint8Array<ArrayBuffer>,
  format: "gzip" | "deflate-raw",
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  // Deflate cannot compress better than 1032 to 1, so nothing absurd is ever allocated.
  if (length > data.length * 1032) {
    throw new RangeError(`${data.length} compressed bytes cannot hold ${length} bytes`);
  }
  const { bytes, more } = await inflate(data, format, length);
  if (bytes.length < length) {
    throw new RangeError(`it ends after ${bytes.length} of ${length} bytes`);
  }
  if (more) throw new RangeError(`it holds more than the ${length} bytes it declares`);
  return bytes;
}

async function inflate(
  data: Uint8Array<ArrayBuffer>,
  format: "gzip" | "deflate-raw",
  length: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; more: boolean }> {
  const bytes = new Uint8Array(length);
  const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  let filled = 0;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return { bytes: bytes.subarray(0, filled), more: false };
      const part = value.subarray(0, length - filled);
      bytes.set(part, filled);
      filled += part.length;
      if (part.length < value.length) {
        await reader.cancel();
        return { bytes, more: true };
      }
    }
  } catch (error) {
    // Cut short: what was inflated up to there says more than zlib does.
    if (filled < length) return { bytes: bytes.subarray(0, filled), more: false };
    throw new RangeError(`its compressed data is damaged (${(error as Error).message})`);
  }
}

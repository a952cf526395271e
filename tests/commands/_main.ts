/**
 * Runs commands inside the test's own process, which takes milliseconds instead of a start of Deno.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { main } from "../../commands/_main.ts";
import { type Bitmap } from "../../images/pixels.ts";
import { decodePng } from "../../images/png.ts";

/** What a command left. */
export interface Result {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}

/** What stands in for the process's streams. */
interface Streams {
  write: typeof Deno.stdout.write;
  isTerminal(): boolean;
}

/** Runs a command with its streams caught. One at a time: the streams are the process's own. */
export async function denoise(...args: string[]): Promise<Result> {
  const [out, err]: [Uint8Array[], Uint8Array[]] = [[], []];
  const keep = (list: Uint8Array[]) => (bytes: Uint8Array) => {
    list.push(bytes.slice());
    return bytes.length;
  };
  const terminal = () => false;
  const streams: [object, Partial<Streams> & { writeSync?: (bytes: Uint8Array) => number }][] = [
    [Deno.stdout, { write: (bytes) => Promise.resolve(keep(out)(bytes)), isTerminal: terminal }],
    [Deno.stderr, { writeSync: keep(err), isTerminal: terminal }],
  ];
  for (const [stream, methods] of streams) Object.assign(stream, methods);
  try {
    const code = await main(args, config.version);
    return { code, stdout: join(out), stderr: new TextDecoder().decode(join(err)) };
  } finally {
    // The stream's own methods are its prototype's.
    for (const [stream, methods] of streams) {
      for (const name of Object.keys(methods)) Reflect.deleteProperty(stream, name);
    }
  }
}

/** Runs a command that must succeed. */
export async function succeed(...args: string[]): Promise<Result> {
  const result = await denoise(...args);
  assertEquals(result.code, 0, result.stderr);
  return result;
}

/** Runs a command that must fail with one sentence and nothing on stdout. */
export async function refuse(code: 1 | 2, message: string, ...args: string[]): Promise<void> {
  const result = await denoise(...args);
  assertFailure(result, code, message);
  assertEquals(result.stdout.length, 0);
}

/** Checks the form of a failure: one sentence, for usage errors where help is, and no stack. */
export function assertFailure(
  { code, stderr }: Pick<Result, "code" | "stderr">,
  expected: number,
  message: string,
): void {
  assertEquals(code, expected, stderr);
  const [first = "", ...rest] = stderr.trimEnd().split("\n");
  assert(first.startsWith("error: ") && first.includes(message), stderr);
  assertEquals(rest.filter((line) => !/^See denoise \w+ --help$/.test(line)), [], stderr);
  assertEquals(rest.length, code === 2 ? 1 : 0, stderr);
}

/**
 * A test that runs commands: they leave listeners of Ctrl-C and what the engine keeps behind, which
 * end with a process.
 */
export function check(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "denoise " }); // paths may hold spaces
      try {
        await fn(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** The images of a stream of PNGs, which must hold nothing else. */
export function readPngs(bytes: Uint8Array): NonNullable<ReturnType<typeof decodePng>>[] {
  const images = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let start = 0; start < bytes.length;) {
    let end = start + 8;
    let type = "";
    while (type !== "IEND") {
      type = String.fromCharCode(...bytes.subarray(end + 4, end + 8));
      end += 12 + view.getUint32(end);
    }
    const image = decodePng(bytes.subarray(start, end));
    assert(image !== undefined);
    images.push(image);
    start = end;
  }
  return images;
}

/** The one image in a PNG file. */
export async function readPng(path: string) {
  const [image, ...more] = readPngs(await Deno.readFile(path));
  assert(image !== undefined && more.length === 0);
  return image;
}

/** The files of a folder, names in order. */
export async function filesOf(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

/** Checks that two images differ by at most one level of 256. */
export function assertClose(a: Bitmap, b: Bitmap): void {
  assertEquals([a.width, a.height, a.channels], [b.width, b.height, b.channels]);
  const largest = a.pixels.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (b.pixels[i] ?? NaN))),
    0,
  );
  assert(largest <= 1, `images differ by ${largest} levels`);
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { parseRepository, repositoryFolder } from "../../hub/cache.ts";
import { download } from "../../hub/download.ts";
import { findPulled, pull } from "../../hub/pull.ts";
import type { Hub } from "../../hub/settings.ts";
import { type Behavior, COMMIT, gitChecksum, serveHub, sha256 } from "./_server.ts";

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 2654435761) >>> 13);

const WEIGHTS = "unet/diffusion_pytorch_model.safetensors";

/** A repository with one network in several formats. */
function repository(): Behavior {
  return {
    files: {
      "model_index.json": encode({
        _class_name: "DDPMPipeline",
        unet: ["diffusers", "UNet2DModel"],
        scheduler: ["diffusers", "DDPMScheduler"],
        safety_checker: ["stable_diffusion", "StableDiffusionSafetyChecker"],
      }),
      "unet/config.json": encode({ sample_size: 8 }),
      [WEIGHTS]: noise(50_000),
      "unet/diffusion_pytorch_model.bin": noise(40_000),
      "unet/diffusion_flax_model.msgpack": noise(30_000),
      "scheduler/scheduler_config.json": encode({}),
      "safety_checker/model.safetensors": noise(20_000),
      "README.md": new TextEncoder().encode("# A model\n"),
    },
    large: new Set([WEIGHTS]),
  };
}

const owner = parseRepository("owner/name")!;

async function withHub(
  use: (hub: Hub, behavior: Behavior, requests: string[]) => Promise<void>,
): Promise<void> {
  const cache = await Deno.makeTempDir();
  await using server = serveHub(repository());
  try {
    await use(
      { endpoint: server.endpoint, cache, offline: false },
      server.behavior,
      server.requests,
    );
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

/** All files below a folder. */
function filesBelow(folder: string): string[] {
  const found: string[] = [];
  const visit = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(join(folder, path))) {
      if (isDirectory) visit(join(path, name));
      else found.push(join(path, name));
    }
  };
  visit("");
  return found.sort();
}

Deno.test("pull() keeps what a pipeline runs, once, in the layout of Python's client", () =>
  withHub(async (hub, { files }, requests) => {
    const snapshot = await pull(hub, owner);
    const folder = repositoryFolder(hub, owner);
    assertEquals(snapshot, join(hub.cache, "models--owner--name", "snapshots", COMMIT));
    const weights = files[WEIGHTS]!;
    const small = [
      "README.md",
      "model_index.json",
      "scheduler/scheduler_config.json",
      "unet/config.json",
    ];
    assertEquals(filesBelow(snapshot), [...small, WEIGHTS].sort());
    assertEquals(
      filesBelow(join(folder, "blobs")),
      [...small.map((path) => gitChecksum(files[path]!)), sha256(weights)].sort(),
    );
    assertEquals(await Deno.readTextFile(join(folder, "refs", "main")), COMMIT);
    assertEquals(await Deno.readLink(join(snapshot, WEIGHTS)), `../../../blobs/${sha256(weights)}`);
    assertEquals(await Deno.readFile(join(snapshot, WEIGHTS)), weights);
    assertEquals(findPulled({ ...hub, endpoint: "http://nowhere.invalid" }, owner), snapshot);
    const asked = requests.length;
    await pull(hub, owner);
    assertEquals(requests.slice(asked), ["/revision", "/tree"], "nothing is fetched twice");
  }));

Deno.test("pull() goes on by ranges where a connection is killed", () =>
  withHub(async (hub, behavior, requests) => {
    behavior.breaksAfter = 20_000;
    const seen: number[] = [];
    const snapshot = await pull(hub, owner, { pause: 1, onProgress: (done) => seen.push(done) });
    assertEquals(await Deno.readFile(join(snapshot, WEIGHTS)), behavior.files[WEIGHTS]);
    const asked = requests.filter((line) => line.startsWith(`/resolve/${WEIGHTS}`));
    assertEquals(asked, [
      `/resolve/${WEIGHTS}`,
      `/resolve/${WEIGHTS} bytes=20000-`,
      `/resolve/${WEIGHTS} bytes=40000-`,
    ]);
    assert(seen.every((done, i) => i === 0 || done >= seen[i - 1]!), `${seen} falls`);
  }));

Deno.test("pull() goes on from what a killed program has left", () =>
  withHub(async (hub, { files }, requests) => {
    const blob = join(repositoryFolder(hub, owner), "blobs", sha256(files[WEIGHTS]!));
    await Deno.mkdir(join(blob, ".."), { recursive: true });
    await Deno.writeFile(`${blob}.incomplete`, files[WEIGHTS]!.subarray(0, 30_000));
    await pull(hub, owner);
    assert(requests.includes(`/resolve/${WEIGHTS} bytes=30000-`), requests.join("\n"));
    assertEquals(await Deno.readFile(blob), files[WEIGHTS]);
  }));

Deno.test("pull() refuses a file of another checksum and keeps nothing of it", () =>
  withHub(async (hub, behavior) => {
    behavior.lies = true;
    await assertRejects(
      () => pull(hub, owner),
      Error,
      'Cannot keep "model_index.json": its checksum is',
    );
    assertEquals(filesBelow(hub.cache), []);
    assertEquals(findPulled(hub, owner), undefined);
    behavior.lies = false;
    await pull(hub, owner);
  }));

Deno.test("pull() says who may read a gated model, and what is missing", () =>
  withHub(async (hub, behavior) => {
    behavior.refuses = 403;
    await assertRejects(
      () => pull(hub, owner),
      Error,
      `it is gated: ask for access at ${hub.endpoint}/owner/name`,
    );
    behavior.refuses = 401;
    await assertRejects(() => pull(hub, owner), Error, "for a private or gated model set HF_TOKEN");
    behavior.refuses = 404;
    await assertRejects(
      () => pull(hub, owner),
      Error,
      'lists "model_index.json" and does not have it',
    );
    behavior.refuses = undefined;
    await assertRejects(
      () => pull(hub, { id: "owner/name", revision: "v9" }),
      Error,
      'has no such model, or not at the revision "v9"',
    );
    behavior.hides = 401;
    await assertRejects(
      () => pull(hub, owner),
      Error,
      "has no such model for somebody without a token",
    );
    assertEquals(findPulled(hub, owner), undefined);
  }));

Deno.test("pull() says that the hub is not reached", async () => {
  const hub = { endpoint: "http://127.0.0.1:9", cache: "nowhere", offline: false };
  await assertRejects(() => pull(hub, owner), Error, "http://127.0.0.1:9 is not reached");
  await assertRejects(
    () => pull({ ...hub, offline: true }, owner),
    Error,
    "the network is not to be used",
  );
});

Deno.test("pull() finds a revision again by its name and by its commit", () =>
  withHub(async (hub) => {
    const tagged = parseRepository("owner/name@v2")!;
    const snapshot = await pull(hub, tagged);
    assertEquals(findPulled(hub, tagged), snapshot);
    assertEquals(findPulled(hub, parseRepository(`owner/name@${COMMIT}`)!), snapshot);
    assertEquals(findPulled(hub, owner), undefined);
  }));

Deno.test("findPulled() wants all that a pipeline runs", () =>
  withHub(async (hub) => {
    const snapshot = await pull(hub, owner);
    await Deno.remove(await Deno.realPath(join(snapshot, WEIGHTS)));
    assertEquals(findPulled(hub, owner), undefined);
  }));

Deno.test("download() says that the disk is full, and goes on when there is room", async () => {
  const folder = await Deno.makeTempDir();
  const bytes = noise(1000);
  const file = { path: WEIGHTS, size: bytes.length, checksum: sha256(bytes) };
  const read = (start: number) => Promise.resolve(new Blob([bytes.subarray(start)]).stream());
  const blob = join(folder, file.checksum);
  let room = 600;
  try {
    const full = download(file, blob, {
      read,
      open: async (path, options) => {
        const output = await Deno.open(path, options);
        return {
          async write(bytes) {
            if (room === 0) throw new Error("No space left on device (os error 28)");
            const sent = await output.write(bytes.subarray(0, room));
            room -= sent;
            return sent;
          },
          [Symbol.dispose]: () => output.close(),
        };
      },
    });
    await assertRejects(() => full, Error, "the disk is full; make room and repeat the command");
    const starts: number[] = [];
    await download(file, blob, { read: (start) => (starts.push(start), read(start)) });
    assertEquals(starts, [600]);
    assertEquals(await Deno.readFile(blob), bytes);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

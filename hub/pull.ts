/**
 * Downloads a model from the hub into the cache that Python's client uses, too.
 *
 * @module
 */
import { join } from "@std/path";
import {
  cachedCommit,
  cachedSnapshot,
  formatRepository,
  linkBlob,
  type Repository,
  repositoryFolder,
  snapshotFolder,
  writeRef,
} from "./cache.ts";
import { download, type RemoteFile } from "./download.ts";
import { chooseFiles, partsOf } from "./files.ts";
import type { Hub } from "./settings.ts";
import { readJson } from "../models/config.ts";
import { chooseWeights } from "../models/weight_files.ts";

/** How a model is downloaded. */
export interface PullOptions {
  /** The variant of the weights that is preferred, such as `fp16`. */
  readonly variant?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the model are there, of how many, and which file is on its way. */
  onProgress?(done: number, total: number, path: string): void;
  /** As of {@linkcode download}. */
  readonly pause?: number;
}

const INDEX = "model_index.json";

/**
 * Downloads what a pipeline runs of a repository, and only what is not yet there.
 *
 * @returns The folder of its files.
 * @throws {Error} Where the hub is not reached or refuses, or a file does not arrive whole.
 */
export async function pull(
  hub: Hub,
  repository: Repository,
  { variant, signal, onProgress, pause }: PullOptions = {},
): Promise<string> {
  const name = formatRepository(repository);
  if (hub.offline) {
    throw new Error(`Cannot download "${name}": the network is not to be used (HF_HUB_OFFLINE)`);
  }
  const { commit, files } = await list(hub, repository, signal);
  const folder = repositoryFolder(hub, repository);
  const snapshot = snapshotFolder(folder, commit);
  let [done, total] = [0, 0];
  const fetchOne = async (file: RemoteFile) => {
    const blob = join(folder, "blobs", file.checksum);
    if (await sizeOf(blob) === file.size) done += file.size;
    else {
      await download(file, blob, {
        read: (start) => readFrom(hub, repository, commit, file.path, start, signal),
        onBytes: (count) => onProgress?.(done += count, total, file.path),
        signal,
        ...(pause !== undefined && { pause }),
      }).catch((error) => Promise.reject(explain(error, hub, repository, file.path)));
    }
    onProgress?.(done, total, file.path);
    await linkBlob(blob, join(snapshot, ...file.path.split("/")));
  };
  const index = files.get(INDEX);
  if (index !== undefined) {
    total = index.size;
    await fetchOne(index);
  }
  const parts = index && readJson(join(snapshot, INDEX));
  const chosen = chooseFiles([...files.keys()], parts, variant);
  if (!chosen.some((path) => /\.(safetensors|bin)$/.test(path))) {
    throw new Error(
      `Cannot use "${name}": it holds no weights as safetensors or .bin beside a config.json`,
    );
  }
  const rest = chosen.filter((path) => path !== INDEX)
    .flatMap((path) => files.get(path) ?? []);
  total += rest.reduce((sum, { size }) => sum + size, 0);
  for (const file of rest) await fetchOne(file);
  await writeRef(folder, repository.revision, commit);
  return snapshot;
}

/** The folder of a model in the cache, where all is there that its pipeline runs. */
export function findPulled(hub: Hub, repository: Repository): string | undefined {
  const snapshot = cachedSnapshot(hub, repository);
  return snapshot !== undefined && isWhole(snapshot) ? snapshot : undefined;
}

/** Whether a folder holds each part that its index lists, the networks with all their weights. */
function isWhole(folder: string): boolean {
  const names = (part: string): string[] => {
    try {
      // A link whose blob has gone leads nowhere, and is no file.
      return [...Deno.readDirSync(join(folder, part))].map(({ name }) => name)
        .filter((name) => isFile(join(folder, part, name)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  };
  const hasWeights = (part: string) => {
    const there = names(part);
    const ways = chooseWeights(there);
    if (ways?.index === undefined) return ways !== undefined;
    const { weight_map: map } = readJson(join(folder, part, ways.index));
    return Object.values(map ?? {}).every((shard) => there.includes(String(shard)));
  };
  const root = names("");
  if (!root.includes(INDEX)) return root.includes("config.json") && hasWeights("");
  const index = readJson(join(folder, INDEX));
  return partsOf(index).every((part) => {
    const [, kind] = index[part] as readonly [string, string];
    return /Scheduler|Tokenizer/.test(kind) ? names(part).length > 0 : hasWeights(part);
  });
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** A repository's files at the commit that a revision stands for now. */
async function list(
  hub: Hub,
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<{ commit: string; files: ReadonlyMap<string, RemoteFile> }> {
  const library = await import("@huggingface/hub");
  const { id, revision } = repository;
  const common = {
    hubUrl: hub.endpoint,
    fetch: ((url, init) => fetch(url, { ...init, signal: signal ?? null })) as typeof fetch,
    ...(hub.token !== undefined && { accessToken: hub.token }),
  };
  try {
    const { sha } = await library.modelInfo({
      ...common,
      name: id,
      revision,
      additionalFields: ["sha"],
    });
    const commit = cachedCommit("", sha); // as it becomes the name of a folder
    if (commit === undefined) throw new Error(`the hub calls its commit "${sha}"`);
    const files = new Map<string, RemoteFile>();
    const entries = library.listFiles({ ...common, repo: id, recursive: true, revision: commit });
    for await (const { type, path, size, oid, lfs } of entries) {
      const checksum = lfs?.oid ?? oid ?? "";
      if (type !== "file") continue;
      if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(checksum) || !isInside(path)) {
        throw new Error(
          `the hub lists the file ${
            JSON.stringify(path)
          } without a checksum or outside of the repository`,
        );
      }
      files.set(path, { path, size, checksum });
    }
    return { commit, files };
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(error, hub, repository);
  }
}

/** Whether a path stays where it is joined to, on every system. */
function isInside(path: string): boolean {
  return !/[\\:]/.test(path) && !path.startsWith("/") && !path.split("/").includes("..");
}

/** An answer that refuses a file. */
class Refused extends Error {
  constructor(readonly statusCode: number) {
    super(`the hub answered with ${statusCode}`);
  }
}

/** The bytes of a file from `start` on. */
async function readFrom(
  { endpoint, token }: Hub,
  { id }: Repository,
  commit: string,
  path: string,
  start: number,
  signal: AbortSignal | undefined,
): Promise<ReadableStream<Uint8Array>> {
  const place = path.split("/").map(encodeURIComponent).join("/");
  const response = await fetch(`${endpoint}/${id}/resolve/${commit}/${place}`, {
    headers: {
      ...(start > 0 && { range: `bytes=${start}-` }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }), // not sent on to other hosts
    },
    signal: signal ?? null,
  });
  if (response.ok && response.body !== null && (start === 0 || response.status === 206)) {
    return response.body;
  }
  await response.body?.cancel();
  if (!response.ok) throw new Refused(response.status);
  throw new Error("the server does not send files from the middle");
}

/** What the hub's answer means for the one who asked. */
function explain(error: unknown, hub: Hub, repository: Repository, path?: string): unknown {
  if (!(error instanceof Error)) return error;
  const { id, revision } = repository;
  const fail = (reason: string) =>
    new Error(`Cannot download "${formatRepository(repository)}": ${reason}`, { cause: error });
  const { statusCode } = error as { readonly statusCode?: unknown };
  switch (statusCode) {
    case 401:
      return fail(
        `${hub.endpoint} has no such model for ${
          hub.token === undefined ? "somebody without a token" : "the token in use"
        }; check the name, and for a private or gated model set HF_TOKEN`,
      );
    case 403:
      return fail(
        `it is gated: ask for access at ${hub.endpoint}/${id}, then set HF_TOKEN to a token of that account`,
      );
    case 404:
      if (path !== undefined) return fail(`${hub.endpoint} lists "${path}" and does not have it`);
      return fail(`${hub.endpoint} has no such model, or not at the revision "${revision}"`);
  }
  if (error instanceof Deno.errors.NotCapable) {
    return fail(
      `this command may not reach ${new URL(hub.endpoint).host}; run denoise pull ${
        formatRepository(repository)
      } first`,
    );
  }
  if (typeof statusCode === "number") return fail(`${hub.endpoint} answered with ${statusCode}`);
  if (error instanceof TypeError && /fetch|connect|request|network/i.test(error.message)) {
    return fail(`${hub.endpoint} is not reached (${error.message})`);
  }
  return error.message.startsWith("Cannot ") ? error : fail(error.message);
}

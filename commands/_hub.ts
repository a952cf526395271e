/** Models that a command downloads before it opens them. */
import { formatRepository, parseRepository } from "../hub/cache.ts";
import { findPulled, pull } from "../hub/pull.ts";
import { hubOf } from "../hub/settings.ts";
import { isThere } from "../pipeline/files.ts";
import { bundledModels } from "../pipeline/model.ts";
import { UsageError } from "./_command.ts";
import type { Io } from "./_io.ts";
import { type Progress, progressBar } from "./_progress.ts";

/** The flags of commands that download. */
export const hubFlags = {
  revision: {
    type: "string",
    value: "NAME",
    help: "branch, tag or commit of a model on the hub; also as OWNER/NAME@REVISION",
    group: "Hub",
  },
  variant: {
    type: "string",
    value: "NAME",
    help: "the weights to prefer where a model has several, such as fp16",
    group: "Hub",
  },
} as const;

/** A model as it is typed, its revision included. */
export function revised(spec: string, revision: string | undefined): string {
  if (revision === undefined) return spec;
  const repository = parseRepository(spec);
  if (repository === undefined || spec.includes("@") || isLocal(spec)) {
    throw new UsageError(
      `Cannot use --revision ${revision} with ${spec}: it goes with OWNER/NAME on the hub`,
    );
  }
  return `${spec}@${revision}`;
}

function isLocal(spec: string): boolean {
  return bundledModels().includes(spec) || isThere(spec);
}

/** Downloads a model of the hub that is not yet in the cache; of others it does nothing. */
export async function fetchModel(
  spec: string,
  { variant, offline = false }: {
    readonly variant?: string | undefined;
    readonly offline?: boolean;
  },
  io: Io,
): Promise<void> {
  if (isLocal(spec)) return;
  const repository = parseRepository(spec);
  if (repository === undefined || findPulled(hubOf(), repository) !== undefined) return;
  await pullModel(spec, { variant, offline }, io);
}

/** Downloads what is not yet there of a model, and resolves to its folder. */
export async function pullModel(
  spec: string,
  { variant, offline }: { readonly variant?: string | undefined; readonly offline?: boolean },
  io: Io,
): Promise<string> {
  const repository = parseRepository(spec);
  if (repository === undefined) {
    throw new UsageError(`Cannot download "${spec}": a model of the hub is called OWNER/NAME`);
  }
  const hub = hubOf();
  let bar: Progress | undefined;
  let size = 0;
  try {
    return await pull({ ...hub, offline: hub.offline || offline === true }, repository, {
      variant,
      signal: io.signal,
      onProgress(done, total, path) {
        if (path === "model_index.json") return; // the total is known after it
        if (bar === undefined) {
          size = total;
          io.log(`Downloading ${formatRepository(repository)} (${megabytes(total)} MB)`);
          bar = progressBar(io, megabytes(total), "MB");
        }
        bar.update(megabytes(done), path);
      },
    });
  } finally {
    bar?.stop();
    io.detail(`${megabytes(size)} MB are in ${hub.cache}`);
  }
}

const megabytes = (bytes: number): number => Math.ceil(bytes / 1e6);

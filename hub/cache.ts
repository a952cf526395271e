/**
 * The hub's cache on disk, in the layout of Python's client: `models--OWNER--NAME/` with
 * `blobs/` (files by their checksums), `snapshots/COMMIT/` (links to them by their names) and
 * `refs/` (commits by the names of branches).
 *
 * @module
 */
import { dirname, join, relative } from "@std/path";
import type { Hub } from "./settings.ts";

/** A repository of a model, at a revision. */
export interface Repository {
  /** `OWNER/NAME`. */
  readonly id: string;
  /** A branch, a tag or a commit; `main` where it was not said. */
  readonly revision: string;
}

const DEFAULT_REVISION = "main";
const COMMIT = /^[0-9a-f]{40}$/;

/**
 * The repository that a text names: `OWNER/NAME`, or `OWNER/NAME@REVISION`.
 *
 * @returns undefined where the text has another form.
 */
export function parseRepository(text: string): Repository | undefined {
  const [, id, revision = DEFAULT_REVISION] =
    text.match(/^([\w-][\w.-]*\/[\w-][\w.-]*?)(?:@([\w-][\w./-]*))?$/) ?? [];
  return id === undefined || revision.split("/").includes("..") ? undefined : { id, revision };
}

/** The text that {@linkcode parseRepository} reads. */
export function formatRepository({ id, revision }: Repository): string {
  return revision === DEFAULT_REVISION ? id : `${id}@${revision}`;
}

/** The folder of a repository in the cache. */
export function repositoryFolder({ cache }: Hub, { id }: Repository): string {
  return join(cache, `models--${id.replace("/", "--")}`);
}

/** The folder that a commit's files have in a repository's folder. */
export function snapshotFolder(folder: string, commit: string): string {
  return join(folder, "snapshots", commit);
}

/** The commit that a revision stood for when it was last asked; undefined where it never was. */
export function cachedCommit(folder: string, revision: string): string | undefined {
  if (COMMIT.test(revision)) return revision;
  try {
    const commit = Deno.readTextFileSync(join(folder, "refs", revision)).trim();
    return COMMIT.test(commit) ? commit : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
}

/** The folder of a repository's files, where some were downloaded at that revision. */
export function cachedSnapshot(hub: Hub, repository: Repository): string | undefined {
  const folder = repositoryFolder(hub, repository);
  const commit = cachedCommit(folder, repository.revision);
  if (commit === undefined) return undefined;
  const snapshot = snapshotFolder(folder, commit);
  try {
    return Deno.statSync(snapshot).isDirectory ? snapshot : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Notes which commit a branch or a tag stands for. */
export async function writeRef(folder: string, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  const path = join(folder, "refs", revision);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, commit);
}

/** Gives a blob its name in a snapshot: by a link, or by a copy where links are not allowed. */
export async function linkBlob(blob: string, path: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  try {
    await Deno.symlink(relative(dirname(path), blob), path);
  } catch (error) {
    if (Deno.build.os !== "windows") throw error;
    await Deno.copyFile(blob, path);
  }
}

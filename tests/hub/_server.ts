/**
 * A server that speaks the hub's protocol, as far as a model is downloaded with it.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** How the server behaves; fields may be changed while it runs. */
export interface Behavior {
  /** Files by their paths. */
  files: Record<string, Uint8Array<ArrayBuffer>>;
  /** Paths that are stored beside git, hence named by their SHA-256. */
  large: ReadonlySet<string>;
  /** Closes the connection after so many bytes of an answer. */
  breaksAfter?: number | undefined;
  /** The status that files are refused with. */
  refuses?: number | undefined;
  /** The status that everything is refused with. */
  hides?: number | undefined;
  /** Sends other bytes than it lists. */
  lies?: boolean | undefined;
}

/** A running server. */
export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly behavior: Behavior;
  /** The requests so far, such as `GET /resolve/unet/config.json bytes=5-`. */
  readonly requests: string[];
}

/** The commit of all files. */
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const hex = (kind: "sha1" | "sha256", ...parts: (Uint8Array | string)[]) => {
  const hash = createHash(kind);
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

/** git's name of a blob. */
export function gitChecksum(bytes: Uint8Array): string {
  return hex("sha1", `blob ${bytes.length}\0`, bytes);
}

/** The SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): string {
  return hex("sha256", bytes);
}

/** Starts a hub with one repository, `owner/name`. */
export function serveHub(behavior: Behavior): HubServer {
  const requests: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    const range = request.headers.get("range");
    requests.push(
      `${pathname.replace(/^.*\/(resolve|tree|revision)\/[^/]*/, "/$1")} ${range ?? ""}`.trim(),
    );
    const { hides, refuses, files, large, breaksAfter, lies } = behavior;
    if (hides !== undefined) return new Response("no", { status: hides });
    if (pathname.startsWith("/api/models/owner/name/revision/")) {
      const revision = decodeURIComponent(pathname.split("/").at(-1) ?? "");
      if (!["main", "v2", COMMIT].includes(revision)) return new Response("no", { status: 404 });
      return Response.json({ _id: "1", id: "owner/name", sha: COMMIT, lastModified: "2024-01-01" });
    }
    if (pathname.startsWith("/api/models/owner/name/tree/")) {
      const entries = Object.entries(files).map(([path, bytes]) => ({
        type: "file",
        path,
        size: bytes.length,
        oid: gitChecksum(bytes),
        ...(large.has(path) &&
          { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 100 } }),
      }));
      return Response.json(entries);
    }
    const path = pathname.replace(`/owner/name/resolve/${COMMIT}/`, "");
    const bytes = files[path];
    if (bytes === undefined) return new Response("no", { status: 404 });
    if (refuses !== undefined) return new Response("no", { status: refuses });
    const start = Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    const body = (lies ? bytes.map((byte) => byte ^ 1) : bytes).subarray(start);
    const head = {
      status: range === null ? 200 : 206,
      headers: { "content-length": String(body.length) },
    };
    if (breaksAfter === undefined || breaksAfter >= body.length) return new Response(body, head);
    let sent = false;
    const broken = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (sent) {
          await new Promise((resolve) => setTimeout(resolve, 20)); // so that the bytes are sent
          controller.error(new Error("killed"));
        } else controller.enqueue(body.slice(0, breaksAfter));
        sent = true;
      },
    });
    return new Response(broken, head);
  });
  const { port } = server.addr;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    behavior,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/**
 * Where the hub is and where its files are kept: the variables that Python's client reads, too, so
 * that both share one cache.
 *
 * @module
 */
import { join } from "@std/path";
import { env } from "./environment.ts";

/** The hub that models are named on, and the cache beside it. */
export interface Hub {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder that holds one folder for each repository. */
  readonly cache: string;
  /** What a private or gated repository asks for. */
  readonly token?: string | undefined;
  /** True where nothing may be asked of the network. */
  readonly offline: boolean;
}

const ENDPOINT = "https://huggingface.co";

/** The hub as the environment describes it. */
export function hubOf(read: (name: string) => string | undefined = env): Hub {
  const get = (name: string) => read(name) || undefined; // an empty variable is none
  const user = get("HOME") ?? get("USERPROFILE") ?? ".";
  const home = get("HF_HOME") ??
    join(get("XDG_CACHE_HOME") ?? join(user, ".cache"), "huggingface");
  return {
    endpoint: (get("HF_ENDPOINT") ?? ENDPOINT).replace(/\/+$/, ""),
    cache: get("HF_HUB_CACHE") ?? join(home, "hub"),
    token: get("HF_TOKEN") ?? readToken(join(home, "token")),
    offline: /^(1|on|yes|true)$/i.test(get("HF_HUB_OFFLINE") ?? ""),
  };
}

/** The token that a login of Python's client has left. */
function readToken(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).trim() || undefined;
  } catch {
    return undefined; // none, or none that may be read: public models need none
  }
}

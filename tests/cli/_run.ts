import { fromFileUrl } from "@std/path";
import config from "../../deno.json" with { type: "json" };

const cli = fromFileUrl(new URL("../../cli.ts", import.meta.url));

/** What a run of the command line left. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as a task runs it: with the task's permissions and no others. */
export function denoise(
  args: readonly string[],
  cwd?: string,
  stdin: "null" | "piped" = "null",
): Deno.Command {
  const [first = ""] = args;
  const task = Object.entries(config.tasks).find(([name]) => name === first)?.[1];
  const permissions = (task ?? config.tasks.denoise).split(" ").slice(2)
    .filter((word) => word.startsWith("--"));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, cli, ...args],
    ...cwd === undefined ? {} : { cwd },
    env: { NO_COLOR: "1", INIT_CWD: cwd ?? Deno.cwd() },
    stdin,
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs it to its end. */
export async function run(args: readonly string[], cwd?: string): Promise<Result> {
  const { code, stdout, stderr } = await denoise(args, cwd).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

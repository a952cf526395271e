/**
 * The command line: `denoise COMMAND`.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import config from "./deno.json" with { type: "json" };
import { env } from "./commands/_io.ts";
import { main } from "./commands/_main.ts";

/** Tasks start in the project's folder; paths are meant from the folder where they were typed. */
function enterCallersFolder(): void {
  const folder = env("INIT_CWD");
  const here = new URL(".", import.meta.url);
  if (folder === undefined || here.protocol !== "file:") return;
  if (`${Deno.cwd()}/` === fromFileUrl(here)) Deno.chdir(folder);
}

if (import.meta.main) {
  // stdout is for results: what a plugin or a library prints goes where people read.
  // deno-lint-ignore no-console
  console.log = console.info = console.debug = console.error;
  enterCallersFolder();
  Deno.exit(await main(Deno.args, config.version));
}

/**
 * Installs the command `denoise` for every folder: `deno task install`, with further arguments of
 * `deno install -g` such as `--root DIR`.
 *
 * A global command has a configuration of its own, in which the relative `links` of `deno.json` lead
 * nowhere; so it gets an import map with absolute addresses.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };

const project = new URL("../", import.meta.url);

/** The imports of `deno.json` and the modules of its links, with absolute addresses. */
export async function absoluteImports(): Promise<Record<string, string>> {
  const imports = new Map(
    Object.entries(config.imports).map(([name, target]) =>
      [name, target.startsWith(".") ? new URL(target, project).href : target] as const
    ),
  );
  const { links = [] }: { links?: readonly string[] } = config;
  for (const link of links) {
    const folder = new URL(`${link}/`, project);
    const { name, exports }: { name: string; exports: Record<string, string> } = JSON.parse(
      await Deno.readTextFile(new URL("deno.json", folder)),
    );
    for (const [key, file] of Object.entries(exports)) {
      imports.set(`${name}${key.slice(1)}`, new URL(file, folder).href);
    }
  }
  return Object.fromEntries(imports);
}

if (import.meta.main) {
  const map = encodeURIComponent(JSON.stringify({ imports: await absoluteImports() }));
  const permissions = config.tasks.denoise.split(" ").slice(2, -1);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["install", "--global", "--force", "--quiet", "--name", "denoise", "--no-config"],
      ...["--import-map", `data:application/json,${map}`],
      ...permissions,
      ...Deno.args,
      new URL("cli.ts", project).href,
    ],
  }).spawn().status;
  Deno.exitCode = code;
}

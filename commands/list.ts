import { join } from "@std/path";
import type { Presence } from "../engines/mod.ts";
import type { Options, Sampler } from "../plugin.ts";
import { nearest } from "../plugins/nearest.ts";
import { alternatives, describeOption, interval } from "../plugins/options.ts";
import { parseSpec } from "../plugins/spec.ts";
import { command, UsageError } from "./_command.ts";
import { type Row, table } from "./_help.ts";

/** What is listed of a plugin beside its name. */
type About =
  & Pick<Sampler, "summary" | "options" | "order" | "calls">
  & { readonly paper: string };

interface Item extends Partial<About> {
  readonly name: string;
  readonly summary: string;
  /** Other names, and what they stand for where that is more than the name. */
  readonly aliases?: readonly string[];
  /** Of what may be missing on a machine. */
  readonly presence?: Presence;
  readonly [more: string]: unknown;
}

/** What can be listed, each with the way to find it. */
const sections: Readonly<Record<string, () => Promise<readonly Item[]>>> = {
  samplers: async () => {
    const { aliases, samplers } = await import("../samplers/mod.ts");
    return await plugins(samplers, {}, aliases);
  },
  guidances: async () => plugins((await import("../guidance/mod.ts")).guidances, interval),
  schedules: async () =>
    Object.keys((await import("../schedules/mod.ts")).BETA_SCHEDULES)
      .map((name) => ({ name, summary: schedules[name] ?? "" })),
  spacings: async () => {
    const { ends, PATH_RULES } = await import("../schedules/mod.ts");
    return Object.entries(PATH_RULES).map(([name, { place: _, options, ...about }]) => ({
      ...about,
      name,
      options: { ...options, ...ends },
    }));
  },
  metrics: async () =>
    (await import("../evaluation/metrics/mod.ts")).metrics
      .map(({ name, summary, paper }) => ({ name, summary, paper })),
  features: async () => plugins((await import("../evaluation/features/mod.ts")).extractors),
  engines: presentEngines,
  models,
};

const schedules: Readonly<Record<string, string>> = {
  exp: "alpha-bar falls exponentially: all betas alike",
  laplace: "logSNR with a Laplace distribution: most timesteps at medium noise",
  linear: "betas in equal steps from 1e-4 to 0.02 (DDPM)",
  linear_openai: "linear, scaled to the number of timesteps (Improved DDPM)",
  scaled_linear: "square roots of betas in equal steps (latent diffusion)",
  squaredcos_cap_v2: "squared cosine, the cosine schedule of Improved DDPM",
  sigmoid: "betas along a sigmoid (GeoDiff)",
};

const engines: Readonly<Record<string, string>> = {
  onnx: "the network traced into ONNX, run by ONNX Runtime",
  tensorflow: "libtensorflow through tfjs-node, after deno task native",
  wasm: "tfjs in WebAssembly: no native code, and no --allow-ffi",
  cpu: "plain tfjs, slow: the reference",
  webgpu: "tfjs on the GPU by Deno's WebGPU, only where it is named: --engine webgpu",
};

/** The engines, the preferred first; each is opened, one after another, to see whether it works. */
async function presentEngines(): Promise<Item[]> {
  const { ENGINE_NAMES, inspectEngine } = await import("../engines/mod.ts");
  const items: Item[] = [];
  for (const name of ENGINE_NAMES) {
    items.push({ name, summary: engines[name] ?? "", presence: await inspectEngine(name) });
  }
  return items;
}

/** `denoise list`: everything that has a name. */
export default command({
  name: "list",
  summary: "lists samplers, guidances, schedules, metrics, features, engines and models",
  usage: "[WHAT]",
  description: `Lists what there is, with its options. WHAT is ${
    alternatives(Object.keys(sections))
  }; without it, all are listed. Of engines it says whether they are on this machine.`,
  examples: [
    ["list samplers", "the samplers and their options"],
    ["list --json | jq -r '.guidances[].name'", "for programs"],
  ],
  flags: { json: { type: "flag", help: "print one JSON object" } },
  async run({ flags, positional: [what], io }) {
    const wanted = what === undefined ? Object.keys(sections) : [find(what)];
    const found: Record<string, readonly Item[]> = {};
    for (const name of wanted) found[name] = await sections[name]?.() ?? [];
    if (flags.json) {
      const flat = Object.entries(found).map(([title, items]) => [
        title,
        items.map(({ presence, ...item }) => ({ ...item, ...presence })),
      ]);
      await io.write(JSON.stringify(Object.fromEntries(flat), null, 2));
      return 0;
    }
    const { bold } = io.outStyle;
    const texts = Object.entries(found).map(([title, items]) =>
      `${bold(`${title.charAt(0).toUpperCase()}${title.slice(1)}:`)}\n${
        items.length === 0 ? "  none" : table(items.flatMap(rows))
      }`
    );
    await io.write(texts.join("\n\n"));
    return 0;
  },
});

function find(what: string): string {
  const plural = Object.hasOwn(sections, what) ? what : `${what}s`;
  if (Object.hasOwn(sections, plural)) return plural;
  const near = nearest(what, Object.keys(sections));
  throw new UsageError(
    `Cannot list "${what}": ${
      near ? `did you mean ${near}?` : `there are ${Object.keys(sections).join(", ")}`
    }`,
  );
}

function rows(item: Item): Row[] {
  const { name, summary, paper, options = {}, order, calls = 1, aliases = [], presence } = item;
  const facts = [
    order && `order ${order}`,
    calls > 1 && (calls === Infinity ? "calls as needed" : `${calls} calls a step`),
    paper,
  ];
  const known = facts.filter(Boolean).join("; ");
  const about = known ? `${summary} (${known})` : summary;
  const more = Object.entries(options).map(([key, option]): Row => {
    const { name, help } = describeOption(key, option);
    return [`  ${name}`, help];
  });
  if (aliases.length > 0) more.push(["  also", aliases.join(", ")]);
  if (presence !== undefined) {
    const { present, description, reason, providers } = presence;
    more.push([present ? "  here" : "  not here", description ?? reason ?? ""]);
    if (providers !== undefined) more.push(["  providers", providers.join(", ")]);
  }
  return [[name, about], ...more];
}

type Loaders = Readonly<Record<string, () => Promise<{ readonly default: About }>>>;

async function plugins(
  loaders: Loaders,
  host: Options = {},
  aliases: Readonly<Record<string, string>> = {},
): Promise<Item[]> {
  const modules = Object.entries(loaders).map(async ([name, load]) => {
    const { summary, paper, order, calls, options } = (await load()).default;
    return {
      name,
      summary,
      paper,
      ...(order !== undefined && { order }),
      ...(calls !== undefined && { calls }),
      options: { ...options, ...host },
      aliases: Object.entries(aliases).filter(([, spec]) => parseSpec(spec).name === name)
        .map(([alias, spec]) => spec === name ? alias : `${alias} (${spec})`),
    };
  });
  return await Promise.all(modules);
}

/** The bundled models, with what their networks draw. */
async function models(): Promise<Item[]> {
  const { bundledModels, findModel } = await import("../pipeline/model.ts");
  return await Promise.all(
    bundledModels().map(async (name) => {
      const path = findModel(name);
      const config = await readConfig(join(path, "unet", "config.json"));
      const { sample_size: size, in_channels: channels, num_class_embeds: classes } = config ?? {};
      const drawn = config === undefined ? "without a UNet" : `${size}x${size}x${channels}`;
      return { name, summary: classes ? `${drawn}, ${classes} class embeddings` : drawn, path };
    }),
  );
}

async function readConfig(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

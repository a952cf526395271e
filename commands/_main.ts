import { ClosedPipe } from "../images/atomic.ts";
import { nearest } from "../plugins/nearest.ts";
import { type Command, type Flags, UsageError } from "./_command.ts";
import { commands, type Entry } from "./_commands.ts";
import { explain, printable } from "./_errors.ts";
import { help, table, wrap } from "./_help.ts";
import { Interrupted } from "./_interrupt.ts";
import { env, type Io, processIo } from "./_io.ts";
import { parse } from "./_parse.ts";
import { style } from "./_style.ts";

/** Runs what was typed; resolves to the exit status. */
export async function main(args: readonly string[], version: string): Promise<number> {
  const debug = args.includes("--debug");
  try {
    return await dispatch(args, version);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe || error instanceof ClosedPipe) return 141; // 128 + SIGPIPE, as of any other tool
    if (error instanceof Interrupted) return error.status;
    report(error, debug, args);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(args: readonly string[], version: string): Promise<number> {
  const io = processIo();
  const [name, ...rest] = args.filter((arg, i) => i > 0 || arg !== "--debug");
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const [topic] = rest;
    if (name === "help" && topic !== undefined) return await dispatch([topic, "--help"], version);
    const { bold } = name === undefined ? io.style : io.outStyle;
    const text = overview(bold).trimEnd();
    if (name !== undefined) await io.write(text);
    else io.log(text);
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    await io.write(`denoise ${version} (deno ${Deno.version.deno}, ${Deno.build.target})`);
    return 0;
  }
  const entry = find(name);
  return await run((await entry.load()).default, rest, io);
}

async function run(command: Command<Flags>, args: readonly string[], io: Io): Promise<number> {
  // Help is wanted also where the rest of the line is not yet right.
  const end = args.indexOf("--");
  const typed = args.slice(0, end < 0 ? undefined : end);
  if (typed.some((arg) => arg === "--help" || arg === "-h")) {
    await io.write(help(command, await details(command, args), io.stdoutIsTerminal).trimEnd());
    return 0;
  }
  const { flags, positional, given } = parse(command, args);
  return await command.run({ flags, positional, given, io: processIo(flags) });
}

async function details(command: Command<Flags>, args: readonly string[]): Promise<string> {
  if (!command.details) return "";
  try {
    return await command.details(parse(command, args));
  } catch (error) {
    return explain(error);
  }
}

function find(name: string): Entry {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry) return entry;
  if (name.startsWith("-")) {
    throw new UsageError(`Cannot use ${name} here: the command comes first, as in denoise sample`);
  }
  const near = nearest(name, Object.keys(commands));
  throw new UsageError(
    `Cannot find the command "${name}": ${
      near ? `did you mean ${near}?` : `there are ${Object.keys(commands).join(", ")}`
    }`,
  );
}

/** The help of the program: one line a command. */
export function overview(bold = (text: string) => text): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const);
  return [
    `${bold("Usage:")} denoise COMMAND [options]`,
    wrap("Trains diffusion models, draws images from them and measures them.", 100).join("\n"),
    `${bold("Commands:")}\n${table(rows)}`,
    `${bold("Options:")}\n${
      table([
        ["--help", "print this help; after a command, that command's"],
        ["--version", "print the version"],
      ])
    }`,
    `${bold("Examples:")}\n${
      [
        "sample -o digits.png",
        "sample --class 7 --guidance cfg,scale=2 > seven.png",
        "list samplers",
      ]
        .map((line) => `  denoise ${line}`).join("\n")
    }`,
  ].join("\n\n") + "\n";
}

function report(error: unknown, debug: boolean, args: readonly string[]): void {
  const colors = Deno.stderr.isTerminal() && (env("NO_COLOR") ?? "") === "";
  const { red, dim } = style(colors);
  const { log } = processIo();
  log(`${red("error:")} ${printable(explain(error))}`);
  if (debug && error instanceof Error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      log(dim(cause.stack ?? String(cause)));
    }
  } else if (error instanceof UsageError) {
    const [name = ""] = args;
    const topic = Object.hasOwn(commands, name) ? `${name} ` : "";
    log(dim(`See denoise ${topic}--help`));
  }
}

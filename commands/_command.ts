import type { Io } from "./_io.ts";

interface Common {
  /** One letter. */
  readonly alias?: string;
  /** What help calls the value, as in `--steps N`. */
  readonly value?: string;
  readonly help: string;
  /** The heading in help that it stands under; "Options" by default. */
  readonly group?: string;
  /** What shells complete its value with; choices complete by themselves. */
  readonly complete?: "file" | "folder" | "sampler" | "guidance" | "model" | "spacing";
}

/** One flag as data: its parsing, check, help and completion. */
export type Flag =
  | Common & {
    readonly type: "string";
    readonly default?: string;
    readonly choices?: readonly string[];
  }
  | Common & {
    readonly type: "number" | "integer";
    readonly default?: number;
    readonly min?: number;
    readonly max?: number;
  }
  | Common & { readonly type: "flag"; readonly default?: boolean }
  | Common & { readonly type: "list"; readonly default?: readonly string[] };

/** Flags by name. */
export type Flags = Readonly<Record<string, Flag>>;

type Typed<F extends Flag> = F extends { readonly type: "flag" } ? boolean
  : F extends { readonly type: "list" } ? readonly string[]
  : F extends { readonly type: "number" | "integer" } ? number
  : F extends { readonly choices: readonly (infer C)[] } ? C
  : string;

/** The checked values: a flag is false and a list empty unless given, the rest may be undefined. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]:
    | Typed<F[K]>
    | (F[K] extends { readonly type: "flag" | "list" } | { readonly default: unknown } ? never
      : undefined);
};

/** What a command is given. */
export interface Args<F extends Flags = Flags> {
  readonly flags: Values<F>;
  readonly positional: readonly string[];
  readonly io: Io;
  /** True where the flag was typed, not filled in by its default. */
  readonly given: (flag: keyof F & string) => boolean;
}

/** A command as data and a function. */
export interface Command<F extends Flags = Flags> {
  readonly name: string;
  readonly summary: string;
  /** The positional arguments: `FILE`, `[MODEL]`, `FILE...` or nothing; they are checked by it. */
  readonly usage: string;
  readonly description?: string;
  /** What is typed after `denoise`, and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly flags: F;
  /** More help that depends on what was typed, such as the options of a chosen plugin. */
  details?(args: Omit<Args<F>, "io">): Promise<string>;
  /** Resolves to the exit status. */
  run(args: Args<F>): Promise<number>;
}

/** Infers the types of the flags from their table. */
export function command<const F extends Flags>(definition: Command<F>): Command<F> {
  return definition;
}

/** The flags of every command. */
export const globals = {
  quiet: { type: "flag", alias: "q", help: "print nothing but errors to stderr" },
  verbose: { type: "flag", alias: "v", help: "print what is done and how long it takes" },
  debug: { type: "flag", help: "print the stack of an error" },
  help: { type: "flag", alias: "h", help: "print this help" },
} as const satisfies Flags;

/** A mistake in what was typed; the exit status is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Runs an action whose range and syntax errors are mistakes in what was typed. */
export async function usage<T>(action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) {
      throw new UsageError(error.message, { cause: error });
    }
    throw error;
  }
}

import { env } from "../hub/environment.ts";
import { interruptible } from "./_interrupt.ts";
import { type Style, style } from "./_style.ts";

export { env };

/** How much is said on stderr. */
export interface Volume {
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** What a command reads and writes; stdout is for results, stderr for everything else. */
export interface Io {
  /** Writes bytes, or a text and a line break, to stdout. Rejects where the reader has gone. */
  readonly write: (data: Uint8Array | string) => Promise<void>;
  /** Says something on stderr, unless --quiet. */
  readonly log: (text: string) => void;
  /** Says something on stderr, unless --quiet, marked as a warning. */
  readonly warn: (text: string) => void;
  /** Says something on stderr with --verbose. */
  readonly detail: (text: string) => void;
  /** True where stdout shows text to a person: never write image bytes there. */
  readonly stdoutIsTerminal: boolean;
  /** True where a progress bar may be drawn on stderr. */
  readonly progress: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Colors of stderr. */
  readonly style: Style;
  /** Colors of stdout. */
  readonly outStyle: Style;
  /** Aborted by the first Ctrl-C. Reading it claims Ctrl-C: else it ends the process. */
  readonly signal: AbortSignal;
}

/** The process's streams. */
export function processIo({ quiet = false, verbose = false }: Volume = {}): Io {
  const colorless = (env("NO_COLOR") ?? "") !== "" || env("TERM") === "dumb";
  const styles = style(Deno.stderr.isTerminal() && !colorless);
  const say = (text: string) => writeSync(`${text}\n`);
  const log = quiet ? () => {} : say;
  let signal: AbortSignal | undefined;
  return {
    write: (data) => writeAll(typeof data === "string" ? encoder.encode(`${data}\n`) : data),
    log,
    warn: (text) => log(`${styles.yellow("warning:")} ${text}`),
    detail: verbose && !quiet ? (text) => say(styles.dim(text)) : () => {},
    stdoutIsTerminal: Deno.stdout.isTerminal(),
    progress: Deno.stderr.isTerminal() && !quiet,
    quiet,
    verbose,
    style: styles,
    outStyle: style(Deno.stdout.isTerminal() && !colorless),
    get signal() {
      // The terminal shows ^C behind whatever stands on the line.
      const lead = Deno.stderr.isTerminal() ? "\n" : "";
      return signal ??= interruptible((text) => log(lead + text));
    },
  };
}

const encoder = new TextEncoder();

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await Deno.stdout.write(bytes.subarray(sent));
}

/** A closed stderr is no reason to stop. */
function writeSync(text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let sent = 0; sent < bytes.length;) sent += Deno.stderr.writeSync(bytes.subarray(sent));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

import process from "node:process";
import cliProgress from "cli-progress";
import type { Io } from "./_io.ts";

/** A progress bar on stderr where that is a terminal; nothing elsewhere. */
export interface Progress {
  /** @param note stands behind the counts, such as `loss 0.02`. */
  update(done: number, note?: string): void;
  /** Prints a line above the bar. */
  log(text: string): void;
  stop(): void;
}

const CLEAR_LINE = new TextEncoder().encode("\r\x1b[2K");

/** Time as `1:02:03` or `2:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/**
 * The stream without the library's saving and restoring of the cursor, which would put what follows
 * the bar over what stood before it once the screen has scrolled.
 */
function withoutJumps(stream: typeof process.stderr): typeof process.stderr {
  return new Proxy(stream, {
    get(target, name) {
      if (name === "write") {
        return (text: string) => text === "\x1b7" || text === "\x1b8" || target.write(text);
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/**
 * A bar over `total` units of work.
 *
 * @param unit is what is counted, such as `step`.
 */
export function progressBar(io: Io, total: number, unit: string): Progress {
  if (!io.progress) return { update: () => {}, log: io.log, stop: () => {} };
  let first: { done: number; at: number } | undefined;
  const bar = new cliProgress.SingleBar({
    stream: withoutJumps(process.stderr),
    format: `{bar} ${unit} {value} of {total}{left}{note}`,
    barsize: 24,
    barCompleteChar: "━",
    barIncompleteChar: "┄",
    hideCursor: true,
    gracefulExit: false, // Ctrl-C is ours
    fps: 8,
  });
  bar.start(total, 0, { note: "", left: "" });
  let running = true;
  return {
    update(done, note = "") {
      const now = performance.now();
      first ??= { done, at: now };
      const pace = (now - first.at) / 1000 / Math.max(1, done - first.done);
      const left = done > first.done ? `, ${clock(pace * (total - done))} left` : "";
      bar.update(done, { left, note: note === "" ? "" : `, ${note}` });
    },
    log(text) {
      if (running) Deno.stderr.writeSync(CLEAR_LINE);
      io.log(text);
    },
    stop() {
      if (running) bar.stop();
      running = false;
    },
  };
}

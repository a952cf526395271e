/** Why a run stopped before its end: the reason of an aborted signal. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  /** 128 plus the signal's number, as shells report it. */
  readonly status: number;

  constructor(signal: Deno.Signal) {
    super(`Stopped by ${signal}`);
    this.status = statuses[signal] ?? 1;
  }
}

const SHOW_CURSOR = new TextEncoder().encode("\x1b[?25h");

const statuses: Partial<Record<Deno.Signal, number>> = { SIGINT: 130, SIGTERM: 143, SIGBREAK: 149 };

/**
 * Milliseconds in which a second signal is the same Ctrl-C: a terminal sends it to all processes of a
 * `deno task`, and the task passes it on to the one that it runs.
 */
const ECHO = 400;

/**
 * A signal that the first Ctrl-C aborts, so that a run can finish its step and keep its results;
 * the second Ctrl-C ends the process at once. SIGTERM is the first Ctrl-C of schedulers.
 */
export function interruptible(notify: (message: string) => void): AbortSignal {
  const controller = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM"];
  let first = Infinity;
  for (const name of signals) {
    Deno.addSignalListener(name, () => {
      const reason = new Interrupted(name);
      if (controller.signal.aborted) {
        if (performance.now() - first < ECHO) return;
        if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(SHOW_CURSOR); // a bar hides it
        Deno.exit(reason.status);
      }
      first = performance.now();
      notify("Stopping after this step; Ctrl-C again stops at once");
      controller.abort(reason);
    });
  }
  return controller.signal;
}

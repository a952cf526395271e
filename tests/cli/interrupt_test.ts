import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

const script = fromFileUrl(new URL("_waits.ts", import.meta.url));

/**
 * Starts the script and sends a signal each time that it has said something.
 *
 * @param pause Milliseconds before each signal, so that it is not an echo of the last one.
 */
async function interrupt(
  args: string[],
  signals: Deno.Signal[],
  pause = 0,
): Promise<[number, string, string]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", script, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const texts = { stdout: "", stderr: "" };
  const send = async () => {
    const signal = signals.shift();
    if (signal !== undefined) await new Promise((done) => setTimeout(done, pause));
    if (signal !== undefined) child.kill(signal);
  };
  const read = async (name: keyof typeof texts) => {
    for await (const text of child[name].pipeThrough(new TextDecoderStream())) {
      texts[name] += text;
      await send();
    }
  };
  const [{ code }] = await Promise.all([child.status, read("stdout"), read("stderr")]);
  return [code, texts.stdout, texts.stderr];
}

const ignore = Deno.build.os === "windows";
const notice = "Stopping after this step; Ctrl-C again stops at once\n";

Deno.test({
  name: "the first Ctrl-C lets a command keep what it has",
  ignore,
  async fn() {
    assertEquals(await interrupt([], ["SIGINT"]), [130, "ready\nkept\n", notice]);
    assertEquals(await interrupt([], ["SIGTERM"]), [143, "ready\nkept\n", notice]);
  },
});

Deno.test({
  name: "the second Ctrl-C ends the process",
  ignore,
  async fn() {
    const signals: Deno.Signal[] = ["SIGINT", "SIGINT"];
    assertEquals(await interrupt(["stubborn"], signals, 500), [130, "ready\n", notice]);
  },
});

Deno.test({
  name: "a Ctrl-C that comes twice, as deno task passes it on, is one",
  ignore,
  async fn() {
    assertEquals(await interrupt(["slow"], ["SIGINT", "SIGINT"]), [130, "ready\nkept\n", notice]);
  },
});

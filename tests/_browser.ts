/**
 * A headless Chromium that is driven as a person drives it: a real mouse, real keys and a screen that
 * is looked at, over Chrome's DevTools protocol.
 *
 * @module
 */
import { join } from "@std/path";

/** Chromium's program, where there is one. */
export const chromium: string | undefined = ["chromium", "chromium-browser", "google-chrome"]
  .find((name) => {
    try {
      return new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" })
        .outputSync().success;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });

/** What the name of a test says where there is no browser. */
export const without = chromium === undefined
  ? " (left out: no chromium here; apt-get install chromium)"
  : "";

/** Flags that every run of it takes; the profile lies in a folder of the test. */
export const flagsIn = (folder: string): string[] => [
  "--headless",
  "--no-sandbox", // Chromium has none for root
  "--disable-gpu",
  "--disable-dev-shm-usage",
  `--user-data-dir=${join(folder, "profile")}`,
];

/** An open page. */
export interface Tab {
  /** Calls a method of the protocol, such as `Page.navigate`. */
  send(method: string, params?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** The value of an expression in the page, as JSON knows it. */
  evaluate<T>(expression: string): Promise<T>;
  moveMouse(x: number, y: number): Promise<void>;
  press(key: string): Promise<void>;
  /** What is on the screen, as a PNG. */
  screenshot(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Opens an address and gives its page to a function; ends the browser behind it. */
export async function withPage(
  folder: string,
  url: string,
  { width, height }: { readonly width: number; readonly height: number },
  use: (tab: Tab) => Promise<void>,
): Promise<void> {
  const child = new Deno.Command(chromium ?? "", {
    args: [
      ...flagsIn(folder),
      "--remote-debugging-port=0",
      `--window-size=${width},${height}`,
      "about:blank",
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const [port] = (await waitFor(join(folder, "profile", "DevToolsActivePort"))).split("\n");
    const targets: { type: string; webSocketDebuggerUrl: string }[] = await (await fetch(
      `http://127.0.0.1:${port}/json`,
    )).json();
    const target = targets.find(({ type }) => type === "page");
    const socket = new WebSocket(target?.webSocketDebuggerUrl ?? "");
    try {
      const tab = await attach(socket);
      await tab.send("Page.enable");
      await tab.send("Emulation.setDeviceMetricsOverride", {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: false,
      });
      await tab.send("Page.navigate", { url });
      while (await tab.evaluate("document.readyState") !== "complete") await pause();
      await use(tab);
      await tab.send("Browser.close").catch(() => {}); // it may go before it answers
    } finally {
      if (socket.readyState !== WebSocket.CLOSED) {
        await new Promise((closed) => {
          socket.addEventListener("close", closed);
          socket.close();
        });
      }
    }
  } finally {
    try {
      child.kill("SIGKILL");
    } catch { /* it has gone already */ }
    await child.status;
  }
}

const pause = () => new Promise((done) => setTimeout(done, 20));

/** The file's text, once Chromium has written it. */
async function waitFor(path: string): Promise<string> {
  for (let i = 0; i < 500; i++) {
    const text = await Deno.readTextFile(path).catch(() => "");
    if (text.includes("\n")) return text;
    await pause();
  }
  throw new Error("Chromium did not open its DevTools");
}

async function attach(socket: WebSocket): Promise<Tab> {
  const waiting = new Map<number, (answer: Record<string, unknown>) => void>();
  socket.addEventListener("message", ({ data }) => {
    const answer = JSON.parse(data);
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  socket.addEventListener("close", () => {
    for (const answer of waiting.values()) answer({ error: { message: "the browser has gone" } });
  });
  await new Promise((open, fail) => {
    socket.addEventListener("open", open);
    socket.addEventListener("error", fail);
  });
  let last = 0;
  const send: Tab["send"] = (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ result, error }) => {
        if (error) reject(new Error(`${method}: ${JSON.stringify(error)}`));
        else resolve(result as Record<string, unknown>);
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
  return {
    send,
    async evaluate<T>(expression: string) {
      const answer = await send("Runtime.evaluate", { expression, returnByValue: true });
      return (answer.result as { value: T }).value;
    },
    async moveMouse(x, y) {
      await send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    },
    async press(key) {
      const code = { key, code: key, windowsVirtualKeyCode: key === "Tab" ? 9 : 0 };
      await send("Input.dispatchKeyEvent", { type: "keyDown", ...code });
      await send("Input.dispatchKeyEvent", { type: "keyUp", ...code });
    },
    async screenshot() {
      const { data } = await send("Page.captureScreenshot", { format: "png" });
      return Uint8Array.from(atob(String(data)), (letter) => letter.charCodeAt(0));
    },
  };
}

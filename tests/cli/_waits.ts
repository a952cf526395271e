/** Waits for Ctrl-C as a command does, and longer than that with the argument "stubborn". */
import { processIo } from "../../commands/_io.ts";

const { signal, write } = processIo();
const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
const alive = setTimeout(() => {}, 60_000);
await write("ready");
await stopped;
if (Deno.args.includes("stubborn")) await new Promise(() => {});
clearTimeout(alive);
await write("kept");
Deno.exit(signal.reason.status);

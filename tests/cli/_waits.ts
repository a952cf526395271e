/**
 * Waits for Ctrl-C as a command does; with the argument "slow" a little longer than that, with
 * "stubborn" for ever.
 */
import { processIo } from "../../commands/_io.ts";

const { signal, write } = processIo();
const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
const alive = setTimeout(() => {}, 60_000);
await write("ready");
await stopped;
if (Deno.args.includes("slow")) await new Promise((done) => setTimeout(done, 300));
if (Deno.args.includes("stubborn")) await new Promise(() => {});
clearTimeout(alive);
await write("kept");
Deno.exit(signal.reason.status);

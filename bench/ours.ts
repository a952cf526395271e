/**
 * This program's side of the bench, driven by bench.ts: `ours.ts THREADS`.
 *
 * @module
 */
import * as tf from "tfjs";
import { openEngine } from "../engines/mod.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { openModel } from "../pipeline/model.ts";
import { openScales } from "../quantization/precision.ts";
import { forwardInputs } from "./_inputs.ts";
import { jsonLines, type Request } from "./_lines.ts";
import { trainable } from "../pipeline/unet.ts";
import { openTrainer } from "./_training.ts";

const threads = Number(Deno.args[0]);
let engine = await openEngine("onnx", { threads });
let once: () => Promise<number | void> = () => Promise.resolve();

/** Opens a network; the first pass is written to a file in the order of NCHW. */
async function forward({ model, batch, out, scales: file }: Forward): Promise<void> {
  const opened = openModel(model);
  const scales = file === undefined ? undefined : await openScales(opened, file);
  const { network } = loadDenoiser(opened, engine, undefined, { scales });
  const inputs = forwardInputs(trainable(opened.unet, model).config, batch);
  const [answer] = await network(...inputs);
  if (answer === undefined) throw new Error("The network has no output");
  const first = tf.tidy(() => tf.transpose(answer, [0, 3, 1, 2]));
  await Deno.writeFile(out, new Uint8Array((await first.data() as Float32Array).slice().buffer));
  tf.dispose([answer, first]);
  once = async () => tf.dispose(await network(...inputs));
}

interface Forward {
  readonly model: string;
  readonly batch: number;
  readonly out: string;
  /** Scales of int8; float32 without. */
  readonly scales?: string;
}

async function training({ model, batch }: Pick<Forward, "model" | "batch">): Promise<void> {
  const trainer = await openTrainer(engine, model, batch);
  once = () => trainer.step();
}

async function repeat(count: number): Promise<{ seconds: number; losses: (number | void)[] }> {
  const losses = [];
  const start = performance.now();
  for (let index = 0; index < count; index++) losses.push(await once());
  return { seconds: (performance.now() - start) / 1000 / count, losses };
}

async function answer(request: Request): Promise<unknown> {
  const { op } = request;
  if (op === "forward") return await forward(request as unknown as Forward);
  if (op === "training") return await training(request as unknown as Forward);
  if (op === "run" || op === "train") return await repeat(Number(request["count"]));
  if (op === "close") { // networks that are open hold memory
    await engine.dispose();
    engine = await openEngine("onnx", { threads });
    return;
  }
  if (op === "versions") return { engine: engine.description };
  throw new Error(`Unknown operation ${op}`);
}

for await (const request of jsonLines(Deno.stdin.readable)) {
  let reply: unknown;
  try {
    reply = await answer(request as Request) ?? {};
  } catch (error) {
    reply = { error: error instanceof Error ? error.stack : String(error) };
  }
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(reply) + "\n"));
}
await engine.dispose();

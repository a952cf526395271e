// deno-lint-ignore-file no-console -- a command-line tool
/**
 * Seconds of each call of Stable Diffusion's UNet with a batch of two, as guidance has it, at
 * 512×512, those of the processor, and the peak of memory; beside `sd15.py time`.
 *
 * Usage: `deno run --allow-all bench/sd15.ts FOLDER [CALLS] [THREADS]`
 *
 * @module
 */
import * as tf from "tfjs";
import { onnxEngine } from "../engines/onnx.ts";
import { readJson } from "../models/config.ts";
import { readSafetensors } from "../models/safetensors.ts";
import { parseUNet2DConditionConfig, unet2dCondition } from "../models/unet_2d_condition.ts";
import { philoxAt } from "../noise/mod.ts";

const [folder = "", calls = "3", threads = "2"] = Deno.args;
const path = `${folder}/unet/config.json`;
const config = parseUNet2DConditionConfig(readJson(path), path);
const { tensors } = readSafetensors(`${folder}/unet/diffusion_pytorch_model.safetensors`);
const engine = await onnxEngine({ threads: Number(threads) });
const network = engine.compile(
  (scope, x, t, text) => [
    unet2dCondition(scope, config, x as tf.Tensor4D, t as tf.Tensor1D, {
      text: text as tf.Tensor3D,
    }),
  ],
  tensors,
);
const normal = (stream: number, ...shape: number[]) =>
  tf.tensor(philoxAt(0, stream).normal(shape.reduce((size, edge) => size * edge)), shape);
const inputs = [normal(0, 2, 64, 64, 4), tf.tensor1d([500, 500]), normal(1, 2, 77, 768)];
/** Seconds that the threads of this process have computed. */
function processorTime(): number {
  const [user = 0, system = 0] = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]
    ?.split(" ").slice(11, 13).map(Number) ?? [];
  return (user + system) / 100;
}

const seconds: number[] = [];
const processor: number[] = [];
for (let call = 0; call < Number(calls); call++) {
  const [start, began] = [performance.now(), processorTime()];
  tf.dispose(await network(...inputs));
  seconds.push((performance.now() - start) / 1000);
  processor.push(processorTime() - began);
}
await engine.dispose();
const status = Deno.readTextFileSync("/proc/self/status");
const peakMB = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024;
await Deno.stdout.write(
  new TextEncoder().encode(`${JSON.stringify({ seconds, processor, peakMB })}\n`),
);

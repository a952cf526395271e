import { dirname, resolve } from "@std/path";
import type { Parcel } from "../../engines/onnx/messages.ts";
import { type Session, startRuntime } from "../../engines/onnx/session.ts";
import type { Pixels } from "../../images/resample.ts";
import { type FeaturesPlugin, rowsFrom } from "./extractor.ts";

const options = {
  range: {
    type: "choice",
    choices: ["auto", "signed", "unit", "byte", "inception"],
    default: "auto",
    help: "of the network's input: signed is -1 to 1, unit 0 to 1, byte 0 to 255, inception " +
      "(x - 128) / 128; auto is inception after --preprocess fid or clean-fid, else signed",
  },
} as const;

/** From bytes to what the network reads. */
const RANGES: Readonly<Record<string, (byte: number) => number>> = {
  signed: (byte) => byte / 127.5 - 1,
  unit: (byte) => byte / 255,
  byte: (byte) => byte,
  inception: (byte) => (byte - 128) / 128,
};

/**
 * Any network as an ONNX file on ONNX Runtime's CPU: one input `[N, channels, height, width]`,
 * float32. The output called `features`, or the first one, is the features; `logits` and `spatial`
 * are what they are called.
 */
const onnx: FeaturesPlugin<typeof options> = {
  name: "onnx",
  summary: "a network as an ONNX file, such as inception.onnx",
  paper: "https://arxiv.org/abs/1512.00567", // Inception v3, the usual one
  options,
  async open({ source, preprocess, options: { range } }) {
    const model = await Deno.readFile(source);
    const runtime = await startRuntime();
    let session: Session;
    try {
      const threads = navigator.hardwareConcurrency;
      session = await runtime.open({ model, folder: dirname(resolve(source)), blobs: [] }, {
        threads,
      });
    } catch (cause) {
      await runtime.stop();
      const reason = cause instanceof Error ? cause.message.split("\n")[0] : cause;
      throw new TypeError(`Cannot use features ${source}: ${reason}`, { cause });
    }
    const scaled = preprocess === "none" ? "signed" : "inception";
    const scale = RANGES[range === "auto" ? scaled : range]!;
    try {
      const layout = layoutOf(session, source);
      return {
        extract: (pixels) => extract(session, layout, pixels, scale, source),
        dispose: () => runtime.stop(),
      };
    } catch (error) {
      await runtime.stop();
      throw error;
    }
  },
};
export default onnx;

/** What a network takes; sizes that are free are absent. */
interface Layout {
  readonly input: string;
  readonly batch?: number | undefined;
  readonly channels: 1 | 3;
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  readonly features: number;
  readonly spatial: number;
  readonly logits: number;
}

function layoutOf({ signature: { inputs, outputs } }: Session, source: string): Layout {
  const [input, ...more] = inputs;
  const fail = (what: string) =>
    new TypeError(
      `Cannot use features ${source}: ${what}; it must be one of float32, [N, 1 or 3, height, width]`,
    );
  if (input === undefined || more.length > 0) throw fail(`it has ${inputs.length} inputs`);
  const { name, type, shape } = input;
  if (type !== "float32") throw fail(`its input is of type ${type}`);
  const [batch, channels, height, width] = shape.map((size) =>
    typeof size === "number" && size > 0 ? size : undefined
  );
  if (shape.length !== 4 || (channels !== undefined && channels !== 1 && channels !== 3)) {
    throw fail(`its input is [${shape.join(", ")}]`);
  }
  const [spatial, logits] = [outputs.indexOf("spatial"), outputs.indexOf("logits")];
  const features = outputs.includes("features")
    ? outputs.indexOf("features")
    : outputs.findIndex((_, index) => index !== spatial && index !== logits);
  if (features < 0) throw new TypeError(`Cannot use features ${source}: no output holds features`);
  return { input: name, batch, channels: channels ?? 3, height, width, features, spatial, logits };
}

async function extract(
  session: Session,
  layout: Layout,
  { values, shape: [count, height, width, channels] }: Pixels,
  scale: (byte: number) => number,
  source: string,
) {
  if ((layout.height ?? height) !== height || (layout.width ?? width) !== width) {
    throw new RangeError(
      `Cannot see images of ${width}x${height} with features ${source}: it reads ${layout.width}x${layout.height}; --size, or --preprocess fid, brings them to that`,
    );
  }
  if (channels > layout.channels) {
    throw new RangeError(`Cannot see images in color with features ${source}: it reads grey ones`);
  }
  const area = height * width;
  const span = layout.channels * area;
  const step = layout.batch ?? count;
  const runs: (readonly Parcel[])[] = [];
  for (let start = 0; start < count; start += step) {
    const data = new Float32Array(step * span); // a last one that is not full has zeros
    for (let i = 0; i < Math.min(step, count - start); i++) {
      for (let c = 0; c < layout.channels; c++) {
        for (let pixel = 0; pixel < area; pixel++) {
          const from = ((start + i) * area + pixel) * channels + Math.min(c, channels - 1);
          data[i * span + c * area + pixel] = scale(values[from]!);
        }
      }
    }
    const dims = [step, layout.channels, height, width];
    runs.push(await session.run([{ name: layout.input, type: "float32", dims, data }]));
  }
  const read = (output: number) => {
    const parts = runs.map((parcels) => parcels[output]!);
    const size = parts[0]!.data.length / step;
    const all = new Float32Array(count * size);
    parts.forEach(({ data }, run) => {
      const rows = Math.min(step, count - run * step);
      all.set(data.subarray(0, rows * size), run * step * size);
    });
    return rowsFrom(count, all);
  };
  return {
    features: read(layout.features),
    spatial: layout.spatial < 0 ? undefined : read(layout.spatial),
    logits: layout.logits < 0 ? undefined : read(layout.logits),
  };
}

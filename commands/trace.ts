import { basename } from "@std/path";
import type * as tf from "tfjs";
import type { Computation } from "../engines/engine.ts";
import { type Edge, type Model as Graph, sizeOf } from "../engines/onnx/graph.ts";
import type { Place } from "../engines/onnx/protobuf.ts";
import type { InputForm } from "../engines/onnx/trace.ts";
import type { Weights } from "../models/weights.ts";
import type { Model } from "../pipeline/model.ts";
import { BLOCK, weightsInBlocks } from "../quantization/blocks.ts";
import { BITS, isBlocks, REDUCED } from "../quantization/names.ts";
import type { Scales } from "../quantization/scales.ts";
import type { MoreInput } from "../pipeline/unet.ts";
import { command, usage, UsageError } from "./_command.ts";
import { fileFlags, openOptions } from "./_file_flags.ts";

const LIMIT = 2e9; // bytes of weights; a protobuf message, and so an ONNX file, holds 2 ** 31 - 1
const SMALL = 1024; // bytes; smaller weights stay in the graph

/** `denoise trace`: a network as an ONNX file. */
export default command({
  name: "trace",
  summary: "writes a model's network as an ONNX file, for other programs",
  usage: "[MODEL]",
  description:
    "Writes a network with its weights as an ONNX file of standard operations. MODEL is a bundled " +
    "name (digits without it) or a model folder in the layout of diffusers. The inputs are sample " +
    "[N,C,H,W], timestep [N] and, of a network with classes, class_labels [N] (int32), of one that " +
    "reads texts, encoder_hidden_states [N,77,D]; the output " +
    "is out_sample, logits or gradient. The file's metadata holds the scheduler and the labels.",
  examples: [
    ["trace -o digits.onnx", "the UNet of digits"],
    ["trace runs/digits --batch 16 > digits.onnx", "for sixteen images at once"],
    ["trace --part classifier-gradient -o gradient.onnx", "the slope that guidance follows"],
  ],
  flags: {
    part: {
      type: "string",
      choices: ["unet", "classifier", "classifier-gradient"],
      default: "unet",
      help: "what is written; the gradient is that of log p(class | sample) by the sample",
    },
    precision: {
      type: "string",
      choices: ["f32", ...REDUCED],
      default: "f32",
      help:
        "int8: layers in bytes, by scales that quantize made; q8_0, q4_0: weights in 8 or 4 bits",
    },
    scales: {
      type: "string",
      value: "FILE",
      complete: "file",
      help: "scales of quantize for int8; those beside the model's weights without it",
    },
    batch: { type: "integer", min: 1, default: 1, help: "images at once: N of the inputs" },
    "external-data": {
      type: "string",
      choices: ["auto", "always", "never"],
      default: "auto",
      help: "weights in FILE.data beside FILE; auto: where they are too large for one file (2 GB)",
    },
    output: {
      type: "string",
      alias: "o",
      value: "FILE",
      complete: "file",
      help: "the file, or - for stdout; a pipe gets it without",
    },
    ...fileFlags,
  },
  async run({ flags, positional: [spec = "digits"], io }) {
    const { part, batch, output = "-", "external-data": external } = flags;
    if (output === "-" && external === "always") {
      throw new UsageError("Cannot write external data to a pipe: give -o FILE");
    }
    if (output === "") throw new UsageError("Cannot write to an empty name");
    if (output === "-" && io.stdoutIsTerminal) {
      throw new UsageError("Cannot write a model to a terminal: redirect stdout or give -o FILE");
    }
    const int8 = flags.precision === "int8";
    if (flags.scales !== undefined && !int8) {
      throw new UsageError(
        `Cannot use --scales with precision ${flags.precision}: scales are for int8`,
      );
    }
    if (int8 && part !== "unet") {
      throw new UsageError(`Cannot write the ${part} in int8: scales are of the unet alone`);
    }
    const { openModel } = await import("../pipeline/model.ts");
    const { openScales } = await import("../quantization/precision.ts");
    const model = await usage(() => openModel(spec, openOptions(flags)));
    const [scales, ...more] = int8 ? await openScales(model, flags.scales) : [];
    if (more.length > 0) {
      throw new UsageError(
        `Cannot write one graph of ${
          more.length + 1
        } groups of timesteps: quantize --groups 1 makes scales for all`,
      );
    }
    const plain = await networkOf(model, part);
    const { precision } = flags;
    const network = isBlocks(precision)
      ? { ...plain, weights: weightsInBlocks(plain.weights, BITS[precision]) }
      : plain;
    const size = bytesOfWeights(network.weights);
    const beside = external === "always" || (external === "auto" && size > LIMIT);
    if (size > LIMIT && (output === "-" || !beside)) {
      const mend = output === "-" ? "give -o FILE" : "allow --external-data";
      throw new UsageError(
        `Cannot write the ${part} of ${model.name} as one file: its weights take ${
          (size / 1e9).toFixed(1)
        } GB, and an ONNX file holds 2 GB; ${mend}`,
      );
    }
    const { bytes, data } = await encode(
      model,
      { ...network, scales: scales?.scales },
      batch,
      part,
      beside ? output : undefined,
    );
    if (output === "-") {
      await io.write(bytes);
      return 0;
    }
    const { writeAtomic } = await import("../images/atomic.ts");
    const mb = (size: number) => `${(size / 1e6).toFixed(1)} MB`;
    if (data !== undefined) await writeAtomic(data.path, data.parts());
    await writeAtomic(output, bytes);
    const files = data === undefined ? output : `${output} and ${data.path}`;
    io.log(`Wrote ${files} (${part} of ${model.name}, ${mb(bytes.length + (data?.size ?? 0))})`);
    return 0;
  },
});

/** Bytes of weights as they are written: in float32, or in blocks. */
function bytesOfWeights(weights: Weights): number {
  return [...weights.values()].reduce((sum, { shape, blocks }) => {
    const each = blocks === undefined ? 4 : blocks.bits / 8 + 4 / BLOCK;
    return sum + each * sizeOf(shape);
  }, 0);
}

/** A network with the names by which other programs know its inputs and its output. */
interface Network {
  readonly weights: Weights;
  readonly computation: Computation;
  /** `[height, width, channels]`. */
  readonly image: readonly [number, number, number];
  readonly inputs: readonly string[];
  readonly output: string;
  /** The layers that are computed in bytes. */
  readonly scales?: Scales | undefined;
  /** The forms of inputs that are neither an image nor one number an image. */
  readonly more?: readonly MoreInput[];
}

async function networkOf(
  { name, unet, classifier }: Model,
  part: "unet" | "classifier" | "classifier-gradient",
): Promise<Network> {
  if (part === "unet") {
    const { answer, weights, edge, stride, inChannels, more } = unet;
    const size = edge ?? stride;
    return {
      weights,
      computation: (scope, ...inputs) => [answer(scope, ...inputs as [tf.Tensor, tf.Tensor])],
      image: [size, size, inChannels],
      inputs: ["sample", "timestep", ...more.map(({ name }) => name)],
      more,
      output: "out_sample",
    };
  }
  if (classifier === undefined) {
    throw new Error(`Cannot trace the ${part} of ${name}: the model has no classifier/ folder`);
  }
  const { classifierGradient, encoderUNet } = await import("../models/encoder_unet.ts");
  const { config, weights } = classifier;
  const image = [config.image_size, config.image_size, config.in_channels] as const;
  if (part === "classifier") {
    return {
      weights,
      computation: (scope, ...inputs) => [
        encoderUNet(...[scope, config, ...inputs] as Parameters<typeof encoderUNet>),
      ],
      image,
      inputs: ["sample", "timestep"],
      output: "logits",
    };
  }
  return {
    weights,
    computation: (scope, ...inputs) => [
      classifierGradient(...[scope, config, ...inputs] as Parameters<typeof classifierGradient>),
    ],
    image,
    inputs: ["sample", "timestep", "class_labels"],
    output: "gradient",
  };
}

/** An ONNX file, and the weights beside it, which are read while they are written. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly data?: {
    readonly path: string;
    readonly size: number;
    parts(): Iterable<Uint8Array>;
  };
}

/** @param file Names the ONNX file where its weights are to stand beside it. */
async function encode(
  model: Model,
  { weights, computation, image: [height, width, channels], inputs, output, more = [], scales }:
    Network,
  batch: number,
  part: string,
  file: string | undefined,
): Promise<Encoded> {
  const tf = await import("tfjs");
  const { checkpointEdges } = await import("../engines/onnx/parameters.ts");
  const { bytesOf, encodeModel } = await import("../engines/onnx/protobuf.ts");
  const { inputName, outputName, traceComputation } = await import("../engines/onnx/trace.ts");
  tf.enableProdMode(); // silences tfjs' advertisement of its other backends
  await tf.setBackend("cpu");
  const toLast = (x: tf.Tensor) => tf.transpose(x, [0, 2, 3, 1]);
  const toFirst = (y: tf.Tensor) => y.rank === 4 ? tf.transpose(y, [0, 3, 1, 2]) : y;
  const channelsFirst: Computation = (scope, x, ...rest) => {
    if (x === undefined) throw new TypeError("A network takes a sample");
    return computation(scope, toLast(x), ...rest).map(toFirst);
  };
  const forms = inputs.map((name): InputForm => {
    if (name === "sample") return [batch, channels, height, width];
    const { shape, dtype } = more.find((input) => input.name === name) ?? {};
    if (shape !== undefined) return { shape: [batch, ...shape], dtype: dtype ?? "float32" };
    return { shape: [batch], dtype: name === "class_labels" ? "int32" : "float32" };
  });
  const traced = traceComputation(channelsFirst, checkpointEdges(weights, false), forms, "any", {
    scales,
  });
  const names = new Map([
    ...inputs.map((name, index) => [inputName(index), name] as const),
    [outputName(0), output] as const,
  ]);
  const graph = rename(traced.model, names);
  const outside = file === undefined ? undefined : layOut(graph, `${file}.data`, bytesOf);
  const bytes = await describe(encodeModel(graph, outside?.placeOf), {
    "denoise.model": model.name,
    "denoise.part": part,
    "denoise.scheduler": JSON.stringify(model.scheduler),
    "denoise.labels": JSON.stringify(model.labels),
  });
  return outside === undefined ? { bytes } : { bytes, data: outside };
}

/** The larger weights one after another in a file of their own, at most one of them in memory. */
function layOut(
  { initializers }: Graph,
  path: string,
  bytesOf: (edge: Edge) => Uint8Array,
) {
  const places = new Map<Edge, Place>();
  let size = 0;
  for (const edge of initializers) {
    const length = sizeOf(edge.dims) * (edge.type === "int4" ? 0.5 : edge.type === "int8" ? 1 : 4);
    if (edge.source?.kind !== "lazy" || length < SMALL) continue;
    places.set(edge, { location: basename(path), offset: size, length });
    size += length;
  }
  return {
    path,
    size,
    placeOf: (edge: Edge) => places.get(edge),
    *parts() {
      for (const edge of places.keys()) yield bytesOf(edge);
    },
  };
}

/** A graph whose edges have other names. */
function rename(
  { inputs, outputs, nodes, initializers }: Graph,
  names: Map<string, string>,
): Graph {
  const renamed = (edge: Edge): Edge => ({ ...edge, name: names.get(edge.name) ?? edge.name });
  return {
    inputs: inputs.map(renamed),
    outputs: outputs.map(renamed),
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((edge) => edge && renamed(edge)),
      outputs: node.outputs.map(renamed),
    })),
    initializers,
  };
}

/** An ONNX file with metadata: a message's fields may follow each other in any order. */
async function describe(
  model: Uint8Array,
  properties: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const { Writer } = await import("protobufjs/minimal.js");
  const writer = Writer.create();
  for (const [key, value] of Object.entries(properties)) {
    writer.uint32(14 << 3 | 2).fork(); // ModelProto.metadata_props
    writer.uint32(1 << 3 | 2).string(key).uint32(2 << 3 | 2).string(value).ldelim();
  }
  const more = writer.finish();
  const whole = new Uint8Array(model.length + more.length);
  whole.set(model);
  whole.set(more, model.length);
  return whole;
}

import type * as tf from "tfjs";
import type { Computation } from "../engines/engine.ts";
import type { Edge, Model as Graph } from "../engines/onnx/graph.ts";
import type { InputForm } from "../engines/onnx/trace.ts";
import type { Weights } from "../models/weights.ts";
import type { Model } from "../pipeline/model.ts";
import { command, UsageError } from "./_command.ts";

const LIMIT = 2 ** 31 - 1; // bytes of a protobuf message, and so of an ONNX file

/** `denoise trace`: a network as an ONNX file. */
export default command({
  name: "trace",
  summary: "writes a model's network as an ONNX file, for other programs",
  usage: "[MODEL]",
  description:
    "Writes a network with its weights as one ONNX file of standard operations. MODEL is a bundled " +
    "name (digits without it) or a model folder in the layout of diffusers. The inputs are sample " +
    "[N,C,H,W], timestep [N] and, of a network with classes, class_labels [N] (int32); the output " +
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
    batch: { type: "integer", min: 1, default: 1, help: "images at once: N of the inputs" },
    output: {
      type: "string",
      alias: "o",
      value: "FILE",
      complete: "file",
      help: "the file, or - for stdout; a pipe gets it without",
    },
  },
  async run({ flags: { part, batch, output = "-" }, positional: [spec = "digits"], io }) {
    if (output === "") throw new UsageError("Cannot write to an empty name");
    if (output === "-" && io.stdoutIsTerminal) {
      throw new UsageError("Cannot write a model to a terminal: redirect stdout or give -o FILE");
    }
    const { openModel } = await import("../pipeline/model.ts");
    const model = openModel(spec);
    const bytes = await encode(model, await networkOf(model, part), batch, part);
    if (output === "-") {
      await io.write(bytes);
      return 0;
    }
    const { writeAtomic } = await import("../images/atomic.ts");
    await writeAtomic(output, bytes);
    io.log(`Wrote ${output} (${part} of ${model.name}, ${(bytes.length / 1e6).toFixed(1)} MB)`);
    return 0;
  },
});

/** A network with the names by which other programs know its inputs and its output. */
interface Network {
  readonly weights: Weights;
  readonly computation: Computation;
  /** `[height, width, channels]`. */
  readonly image: readonly [number, number, number];
  readonly inputs: readonly string[];
  readonly output: string;
}

async function networkOf(
  { name, unet, classifier }: Model,
  part: "unet" | "classifier" | "classifier-gradient",
): Promise<Network> {
  if (part === "unet") {
    const { unet2d } = await import("../models/unet_2d.ts");
    const { config, weights } = unet;
    const edge = config.sample_size ?? 2 ** config.block_out_channels.length;
    const labelled = config.num_class_embeds !== null || config.class_embed_type !== null;
    return {
      weights,
      // The inputs below, which a computation of any number of inputs cannot type.
      computation: (scope, ...inputs) => [
        unet2d(...[scope, config, ...inputs] as Parameters<typeof unet2d>),
      ],
      image: [edge, edge, config.in_channels],
      inputs: ["sample", "timestep", ...labelled ? ["class_labels"] : []],
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

async function encode(
  model: Model,
  { weights, computation, image: [height, width, channels], inputs, output }: Network,
  batch: number,
  part: string,
): Promise<Uint8Array> {
  const tf = await import("tfjs");
  const { checkpointEdges } = await import("../engines/onnx/parameters.ts");
  const { encodeModel } = await import("../engines/onnx/protobuf.ts");
  const { inputName, outputName, traceComputation } = await import("../engines/onnx/trace.ts");
  const bytes = [...weights.values()].reduce(
    (sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1),
    0,
  );
  if (bytes > LIMIT) {
    throw new Error(
      `Cannot write the ${part} of ${model.name}: its weights take ${
        (bytes / 1e9).toFixed(1)
      } GB, and an ONNX file holds 2 GB`,
    );
  }
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
    return { shape: [batch], dtype: name === "class_labels" ? "int32" : "float32" };
  });
  const traced = traceComputation(channelsFirst, checkpointEdges(weights, false), forms, false);
  const names = new Map([
    ...inputs.map((name, index) => [inputName(index), name] as const),
    [outputName(0), output] as const,
  ]);
  return await describe(encodeModel(rename(traced.model, names)), {
    "denoise.model": model.name,
    "denoise.part": part,
    "denoise.scheduler": JSON.stringify(model.scheduler),
    "denoise.labels": JSON.stringify(model.labels),
  });
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

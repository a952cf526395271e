import { join } from "@std/path";
import type * as tf from "tfjs";
import type { Computation } from "../engines/engine.ts";
import type { InputForm } from "../engines/onnx/trace.ts";
import type { Weights } from "../models/weights.ts";
import type { Autoencoder } from "../pipeline/autoencoder.ts";
import type { TextEncoder } from "../pipeline/text.ts";
import type { UnClip } from "../pipeline/unclip.ts";
import type { UNet } from "../pipeline/unet.ts";
import type { Model, Part } from "../pipeline/model.ts";
import type { ParameterSpec } from "../models/scope.ts";
import { command, usage } from "./_command.ts";
import { fileFlags, openOptions } from "./_file_flags.ts";
import { type Row, table } from "./_help.ts";

/** What is wrong with one tensor of a checkpoint. */
export interface Misfit {
  readonly tensor: string;
  readonly problem: "missing" | "unexpected" | "shape" | "type";
  readonly expected?: readonly number[] | undefined;
  readonly found?: readonly number[] | string | undefined;
}

/** A network of a model, as the card shows it. */
interface NetworkCard {
  readonly class: string;
  readonly parameters: number;
  readonly tensors: number;
  readonly bytes: number;
  readonly types: readonly string[];
  readonly misfits: readonly Misfit[];
}

/** `denoise info`: a model's card. */
export default command({
  name: "info",
  summary: "prints a model's card and checks its weights",
  usage: "[MODEL]",
  description:
    "Prints what a model is: its networks, classes, noise schedule and how sample runs it. MODEL " +
    "is a bundled name (digits without it), a model folder in the layout of diffusers, or a file of " +
    "weights of OpenAI or of Stable Diffusion. Of the " +
    "weights only names, types and shapes are read and compared with config.json; the exit status " +
    "is 1 where they do not fit.",
  examples: [
    ["info", "the bundled digits"],
    ["info runs/digits", "a folder"],
    ["info --json | jq .unet.parameters", "for programs"],
  ],
  flags: { json: { type: "flag", help: "print one JSON object" }, ...fileFlags },
  async run({ flags, positional: [spec = "digits"], io }) {
    const { openModel } = await import("../pipeline/model.ts");
    const card = await cardOf(await usage(() => openModel(spec, openOptions(flags))));
    await io.write(flags.json ? JSON.stringify(card, null, 2) : draw(card, io.outStyle.bold));
    const misfits = partsOf(card).flatMap(([, network]) => network.misfits);
    if (misfits.length === 0) return 0;
    const count = misfits.length === 1 ? "1 tensor does" : `${misfits.length} tensors do`;
    throw new Error(`Cannot use the model ${card.name}: ${count} not fit config.json`);
  },
});

type Card = Awaited<ReturnType<typeof cardOf>>;

/** The networks of a model by the names of their folders. */
function partsOf({ unet, autoencoder, text, unclip, classifier }: Card): [string, NetworkCard][] {
  const parts: [string, NetworkCard | undefined][] = [
    ["unet", unet],
    ["autoencoder", autoencoder],
    ["text_encoder", text],
    ...Object.entries(unclip ?? {}),
    ["classifier", classifier],
  ];
  return parts.flatMap(([name, card]): [string, NetworkCard][] => card ? [[name, card]] : []);
}

async function cardOf(model: Model) {
  const tf = await import("tfjs");
  const { parameterization } = await import("../pipeline/prediction.ts");
  const { makePlan, specOf } = await import("../pipeline/plan.ts");
  const { familyOf, processOf } = await import("../schedules/mod.ts");
  tf.enableProdMode(); // silences tfjs' advertisement of its other backends
  await tf.setBackend("cpu");
  const { channelsOf, edgeOf, learnsVariance } = await import("../pipeline/model.ts");
  const { name, folder, unet, scheduler, classifier, labels, nullClass, recommended } = model;
  const { autoencoder, text, unclip } = model;
  const { type, learned } = parameterization(
    scheduler,
    learnsVariance(model),
  );
  const process = processOf(scheduler);
  const { timesteps, sigmaMax } = process;
  const noisiest = timesteps === undefined
    ? process.atSigma(sigmaMax)
    : process.atTime(timesteps - 1);
  const plan = await usage(() => makePlan(model, {}));
  return {
    name,
    folder,
    about: await readAbout(folder),
    unet: await networkCard(unet.kind, unet, await unetShapes(unet)),
    autoencoder: autoencoder && await networkCard(
      autoencoder.kind,
      autoencoder,
      await autoencoderShapes(autoencoder),
    ),
    text: text && await networkCard("CLIPTextModel", text, await textShapes(text)),
    unclip: unclip && await unclipCards(unclip),
    sampleSize: unet.edge === null ? null : edgeOf(model),
    channels: autoencoder?.config.out_channels ?? channelsOf(model),
    labels,
    nullClass: nullClass ?? null,
    schedule: {
      class: String(scheduler["_class_name"] ?? "unknown"),
      betas: timesteps === undefined
        ? null
        : Array.isArray(scheduler["trained_betas"])
        ? "trained_betas"
        : String(scheduler["beta_schedule"] ?? "linear"),
      process: timesteps === undefined ? familyOf(scheduler) : "vp",
      timesteps: timesteps ?? null,
      sigmaMax,
      prediction: type,
      variance: learned ? "learned" : "fixed",
      signalLeft: noisiest.alpha, // at the last timestep
    },
    classifier: classifier &&
      await networkCard("EncoderUNetModel", classifier, await classifierShapes(classifier)),
    sampling: {
      sampler: specOf(plan.sampler),
      steps: plan.steps,
      guidance: plan.guidances.map(specOf),
      spacing: plan.spacing ?? null,
      recommended: Object.keys(recommended).length > 0,
    },
  };
}

async function unetShapes({ answer, ...unet }: UNet): Promise<ParameterSpec[]> {
  const edge = unet.edge ?? unet.stride;
  return await shapes(
    (scope, ...inputs) => [answer(scope, ...inputs as [tf.Tensor, tf.Tensor])],
    [
      [1, edge, edge, unet.inChannels],
      [1],
      ...unet.more.map(({ shape, dtype }) => ({ shape: [1, ...shape], dtype })),
    ],
  );
}

async function autoencoderShapes(autoencoder: Autoencoder): Promise<ParameterSpec[]> {
  const { latentFactor, roundTrip } = await import("../pipeline/autoencoder.ts");
  const edge = 2 * latentFactor(autoencoder);
  return await shapes(
    (scope, image) => [roundTrip(scope, autoencoder, image as tf.Tensor4D)],
    [[1, edge, edge, autoencoder.config.in_channels]],
  );
}

async function textShapes({ config, weights }: TextEncoder): Promise<ParameterSpec[]> {
  const { clipText } = await import("../models/clip_text.ts");
  return await shapes(
    (scope, ids) => [clipText(scope, config, ids as tf.Tensor2D).last],
    [{ shape: [1, config.max_position_embeddings], dtype: "int32" }],
    (name) => weights.has(name),
  );
}

/** The networks around a decoder of unCLIP, by their folders. */
async function unclipCards(unclip: UnClip): Promise<Record<string, NetworkCard>> {
  const { prior, projection, superResolution: { first, last } } = unclip;
  return {
    prior: await networkCard("PriorTransformer", prior, await priorShapes(unclip)),
    text_proj: await networkCard("UnCLIPTextProjModel", projection, await projectionShapes(unclip)),
    super_res_first: await networkCard(first.kind, first, await unetShapes(first)),
    super_res_last: await networkCard(last.kind, last, await unetShapes(last)),
  };
}

async function priorShapes({ prior: { config } }: UnClip): Promise<ParameterSpec[]> {
  const { embeddingOf, priorTransformer } = await import("../models/prior_transformer.ts");
  const { embedding_dim: size, num_embeddings: tokens } = config;
  return await shapes((scope, ...inputs) => {
    const [x, t, pooled, text] = inputs as [tf.Tensor2D, tf.Tensor1D, tf.Tensor2D, tf.Tensor3D];
    return [embeddingOf(scope, config, priorTransformer(scope, config, x, t, { pooled, text }))];
  }, [[1, size], [1], [1, size], [1, tokens, size]]);
}

async function projectionShapes({ projection: { config } }: UnClip): Promise<ParameterSpec[]> {
  const { unClipTextProj } = await import("../models/unclip_text_proj.ts");
  const size = config.clip_embeddings_dim;
  return await shapes((scope, ...inputs) => {
    type Inputs = [tf.Tensor2D, tf.Tensor1D, tf.Tensor2D, tf.Tensor3D];
    const { text, labels } = unClipTextProj(scope, config, ...inputs as Inputs);
    return [text, labels];
  }, [[1, size], [1], [1, size], [1, 1, size]]);
}

async function classifierShapes(
  { config }: NonNullable<Model["classifier"]>,
): Promise<ParameterSpec[]> {
  const { encoderUNet } = await import("../models/encoder_unet.ts");
  const { image_size: edge, in_channels: channels } = config;
  return await shapes(
    (scope, x, t) => [encoderUNet(...[scope, config, x, t] as Parameters<typeof encoderUNet>)],
    [[1, edge, edge, channels], [1]],
  );
}

async function shapes(
  network: Computation,
  inputs: InputForm[],
  has?: (name: string, otherwise: boolean) => boolean,
): Promise<ParameterSpec[]> {
  const { shapesOf } = await import("../engines/onnx/shapes.ts");
  return shapesOf(network, inputs, has).parameters;
}

async function networkCard(
  name: string,
  { weights }: Pick<Part<unknown>, "weights">,
  specs: readonly ParameterSpec[],
): Promise<NetworkCard> {
  const { storedShape } = await import("../models/scope.ts");
  const { FLOAT_TYPES } = await import("../models/weights.ts");
  const stored = [...weights.values()];
  const files = new Set(stored.flatMap(({ file }) => file === undefined ? [] : [file.path]));
  const sizes = await Promise.all([...files].map(async (path) => (await Deno.stat(path)).size));
  const wanted = specs.map(({ name, shape, layout }) =>
    [name, storedShape(shape, layout)] as const
  );
  return {
    class: name,
    parameters: sum(stored.map(({ shape }) => shape.reduce((product, size) => product * size, 1))),
    tensors: weights.size,
    bytes: sum(sizes),
    types: [...new Set(stored.map(({ dtype }) => dtype))],
    misfits: findMisfits(weights, new Map(wanted), FLOAT_TYPES),
  };
}

/** All that is wrong with a checkpoint, by the stored shapes that its network asks for. */
export function findMisfits(
  weights: Weights,
  wanted: ReadonlyMap<string, readonly number[]>,
  types: readonly string[],
): Misfit[] {
  const ofNetwork = [...wanted].flatMap(([tensor, expected]): Misfit[] => {
    const found = weights.get(tensor);
    if (found === undefined) return [{ tensor, problem: "missing", expected }];
    if (String(found.shape) !== String(expected)) {
      return [{ tensor, problem: "shape", expected, found: found.shape }];
    }
    return types.includes(found.dtype) ? [] : [{ tensor, problem: "type", found: found.dtype }];
  });
  const others = [...weights.values()].filter(({ name }) => !wanted.has(name))
    .map(({ name, shape }): Misfit => ({ tensor: name, problem: "unexpected", found: shape }));
  return [...ofNetwork, ...others];
}

function draw(card: Card, bold: (text: string) => string): string {
  const { unet, autoencoder, text, unclip, labels, nullClass, schedule, classifier, sampling } =
    card;
  const size = card.sampleSize === null ? "any size" : `${card.sampleSize}x${card.sampleSize}`;
  const color = { 1: "grey", 3: "RGB" }[card.channels] ?? `${card.channels} channels`;
  const known = labels.length > 16
    ? `${labels.length} classes, ${labels.slice(0, 8).join(", ")}, …`
    : labels.join(", ");
  const classes = nullClass === null ? known : `${known}, and a null class (${nullClass})`;
  const way = [
    sampling.sampler,
    `${sampling.steps} steps${sampling.spacing === null ? "" : `, ${sampling.spacing}`}`,
    sampling.guidance.join(" + ") || "no guidance",
  ].join("; ");
  const left = Number(schedule.signalLeft.toPrecision(2));
  const rows: Row[] = [
    ["folder", card.folder],
    ["network", describeNetwork(unet)],
    ...autoencoder === undefined ? [] : [["latents", describeNetwork(autoencoder)] as const],
    ...text === undefined ? [] : [["texts", describeNetwork(text)] as const],
    ...Object.entries(unclip ?? {}).map(([name, part]) => [name, describeNetwork(part)] as const),
    ["images", `${size}, ${color}`],
    ["classes", labels.length === 0 ? "none" : classes],
    [
      "schedule",
      schedule.timesteps === null
        ? `${schedule.process}, up to sigma ${schedule.sigmaMax}`
        : `${schedule.betas}, ${schedule.timesteps} timesteps; alpha ends at ${left}`,
    ],
    ["predicts", `${schedule.prediction}, with ${schedule.variance} variance`],
    ["classifier", classifier === undefined ? "none" : describeNetwork(classifier)],
    ["sampling", `${way} (${sampling.recommended ? "as its maker recommends" : "defaults"})`],
  ];
  const problems = partsOf(card)
    .flatMap(([part, { misfits }]) => misfits.map((it) => `  ${part}: ${explain(it)}`));
  return [
    bold(card.name),
    ...card.about.map((line) => `  ${line}`),
    "",
    table(rows),
    ...problems.length === 0 ? [] : ["", bold("Tensors that do not fit config.json:"), ...problems],
  ].join("\n");
}

function describeNetwork({ class: name, parameters, tensors, bytes, types }: NetworkCard): string {
  const count = parameters.toLocaleString("en-US");
  const [scale, unit] = bytes < 1e6 ? [1e3, "kB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  const size = `${(bytes / scale).toFixed(1)} ${unit}`;
  return `${name}, ${count} parameters in ${tensors} tensors, ${size} of ${types.join(" and ")}`;
}

function explain({ tensor, problem, expected = [], found = [] }: Misfit): string {
  const [wanted, there] = [expected, found].map((it) =>
    typeof it === "string" ? it : `[${it.join(", ")}]`
  );
  switch (problem) {
    case "missing":
      return `${tensor} ${wanted} is missing`;
    case "unexpected":
      return `${tensor} ${there} is no part of the network`;
    case "shape":
      return `${tensor} is ${there}, it must be ${wanted}`;
    case "type":
      return `${tensor} is of type ${there}, it must be of floats`;
  }
}

/** The first heading and the first paragraph of a model's README, if it has one. */
async function readAbout(folder: string): Promise<string[]> {
  for (const name of ["README.md", "MODEL_CARD.md"]) {
    let text: string;
    try {
      text = await Deno.readTextFile(join(folder, name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const body = text.replace(/^---\r?\n.*?\n---\r?\n/s, ""); // the card's YAML
    const parts = body.split(/\r?\n\s*\n/).map((part) => part.trim())
      .filter((part) => /^[#\p{L}\p{N}]/u.test(part));
    return parts.slice(0, 2).flatMap((part) => part.replace(/^#+\s*/, "").split(/\r?\n/))
      .slice(0, 6);
  }
  return [];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

import type { Command, Flags } from "./_command.ts";

/** A command's line in the overview and the way to load it. */
export interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly default: Command<Flags> }>;
}

/** The commands, each loaded only when it is called. */
export const commands: Readonly<Record<string, Entry>> = {
  sample: {
    summary: "draws images from a model",
    load: () => import("./sample.ts"),
  },
  sweep: {
    summary: "compares samplers, guidances and steps on one labelled sheet and a page",
    load: () => import("./sweep.ts"),
  },
  invert: {
    summary: "finds the noise that pictures come from (DDIM inversion)",
    load: () => import("./invert.ts"),
  },
  interpolate: {
    summary: "draws the images between two, through their noise",
    load: () => import("./interpolate.ts"),
  },
  forward: {
    summary: "shows an image turning into noise (DDPM, equation 4)",
    load: () => import("./forward.ts"),
  },
  train: {
    summary: "trains a UNet on images (DDPM, Algorithm 1)",
    load: () => import("./train.ts"),
  },
  "train-classifier": {
    summary: "trains a classifier of noisy images, for classifier guidance (ADM, section 4.1)",
    load: () => import("./train_classifier.ts"),
  },
  evaluate: {
    summary: "measures samples: FID, KID, precision and recall, and more",
    load: () => import("./evaluate.ts"),
  },
  quantize: {
    summary: "measures a model's layers, so that sample can compute them in int8",
    load: () => import("./quantize.ts"),
  },
  info: {
    summary: "prints a model's card and checks its weights",
    load: () => import("./info.ts"),
  },
  pull: {
    summary: "downloads a model from the hub, for use without a network",
    load: () => import("./pull.ts"),
  },
  verify: {
    summary: "runs a model on recorded inputs and compares with what its origin gave",
    load: () => import("./verify.ts"),
  },
  convert: {
    summary: "writes a model of any format as a folder that diffusers loads",
    load: () => import("./convert.ts"),
  },
  trace: {
    summary: "writes a model's network as an ONNX file, for other programs",
    load: () => import("./trace.ts"),
  },
  list: {
    summary: "lists samplers, guidances, schedules, metrics, features, engines and models",
    load: () => import("./list.ts"),
  },
  metadata: {
    summary: "prints the settings that a PNG was made with",
    load: () => import("./metadata.ts"),
  },
  completions: {
    summary: "prints a completion script for bash, zsh or fish",
    load: () => import("./completions.ts"),
  },
};

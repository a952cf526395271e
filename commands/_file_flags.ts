/** What files of weights do not say of themselves. */
import { isWeightsFile } from "../models/formats/open.ts";
import type { OpenOptions } from "../pipeline/model.ts";
import type { Settings } from "../pipeline/settings.ts";
import type { Values } from "./_command.ts";

const group = "Models in one file";

/** The flags of commands that open models. */
export const fileFlags = {
  "model-flags": {
    type: "string",
    value: "TEXT",
    help:
      'of OpenAI\'s files, as their tools are told: "--image_size 64 --noise_schedule cosine …"',
    group,
  },
  classifier: {
    type: "string",
    value: "FILE|FOLDER",
    complete: "file",
    help: "the classifier that guidance follows, in place of the model's own",
    group,
  },
  prediction: {
    type: "string",
    choices: ["epsilon", "v_prediction"],
    help: "what Stable Diffusion 2 predicts, which its weights do not say",
    group,
  },
  tokenizer: {
    type: "string",
    value: "FOLDER",
    complete: "folder",
    help: "the tokenizer of Stable Diffusion; tokenizer/ beside the file without it",
    group,
  },
} as const;

/** How a model is opened by these flags. */
export function openOptions(
  flags: Values<typeof fileFlags> & { readonly variant?: string | undefined },
): OpenOptions {
  const { "model-flags": modelFlags, classifier, prediction, tokenizer, variant } = flags;
  return { modelFlags, classifier, prediction, tokenizer, variant };
}

/**
 * How a run that is repeated opens a model: what was typed, else what it was told. A folder says itself
 * what a file of weights does not.
 */
export function repeatedOptions(
  spec: string,
  typed: OpenOptions,
  repeated: Settings | undefined,
): OpenOptions {
  const variant = typed.variant ?? repeated?.variant;
  if (!isWeightsFile(spec)) return { ...typed, variant };
  return {
    ...typed,
    variant,
    modelFlags: typed.modelFlags ?? repeated?.modelFlags,
    prediction: typed.prediction ?? repeated?.prediction,
  };
}

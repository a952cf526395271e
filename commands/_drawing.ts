/** Flags of `sample` for commands that draw images on the way to something else. */
import { factorOf, type Model } from "../pipeline/model.ts";
import sample from "./sample.ts";

const { flags } = sample;

/** How images are drawn, with a seed that is fixed unless given. @param group Their heading in help */
export const drawingFlags = (group: string) => ({
  class: { ...flags.class, group },
  steps: { ...flags.steps, group },
  sampler: { ...flags.sampler, group },
  guidance: { ...flags.guidance, group },
  unconditional: { ...flags.unconditional, group },
  seed: {
    type: "string",
    value: "N",
    default: "0",
    help: "of the first image, image i has N + i",
    group,
  },
  rng: { ...flags.rng, group },
  spacing: { ...flags.spacing, group },
  timesteps: { ...flags.timesteps, group },
  sigmas: { ...flags.sigmas, group },
} as const);

/** Images at once where nobody says: fewer of models whose x are not pixels. */
export function batchSizeOf(
  model: Model,
  { "batch-size": typed }: { readonly "batch-size": number },
  given: (flag: "batch-size") => boolean,
): number {
  return given("batch-size") || factorOf(model) === 1 ? typed : 1;
}

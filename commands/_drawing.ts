/** Flags of `sample` for commands that draw images on the way to something else. */
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

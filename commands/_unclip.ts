/** The runs before and behind the decoder of an unCLIP. */
import type { Wishes } from "../pipeline/plan.ts";
import type { Settings } from "../pipeline/settings.ts";
import type { Values } from "./_command.ts";

const group = "unCLIP";

/** The flags that only models of unCLIP have. */
export const unclipFlags = {
  "prior-steps": {
    type: "integer",
    min: 1,
    help: "levels on the way to CLIP's embedding of an image; 25 without it",
    group,
  },
  "prior-scale": {
    type: "number",
    min: 0,
    help: "how hard that embedding follows the prompt; 4 without it, 1 is off",
    group,
  },
  "super-res-steps": {
    type: "integer",
    min: 1,
    help: "levels on the way from the decoder's small image to the large one; 7 without it",
    group,
  },
} as const;

/** What was typed of them, else what is repeated. */
export function unclipWishes(
  flags: Values<typeof unclipFlags>,
  repeated: Settings | undefined,
): Pick<Wishes, "priorSteps" | "priorScale" | "superResSteps"> {
  return {
    priorSteps: flags["prior-steps"] ?? repeated?.unclip?.priorSteps,
    priorScale: flags["prior-scale"] ?? repeated?.unclip?.priorScale,
    superResSteps: flags["super-res-steps"] ?? repeated?.unclip?.superResSteps,
  };
}

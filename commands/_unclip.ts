/** The runs before and behind the decoder of an unCLIP. */
import type { Model } from "../pipeline/model.ts";
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

/** What was typed of them, else what is repeated where the model is one of unCLIP, too. */
export function unclipWishes(
  { unclip }: Model,
  flags: Values<typeof unclipFlags>,
  repeated: Settings | undefined,
): Pick<Wishes, "priorSteps" | "priorScale" | "superResSteps"> {
  const own = unclip && repeated?.unclip;
  return {
    priorSteps: flags["prior-steps"] ?? own?.priorSteps,
    priorScale: flags["prior-scale"] ?? own?.priorScale,
    superResSteps: flags["super-res-steps"] ?? own?.superResSteps,
  };
}

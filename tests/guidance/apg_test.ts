import { assert, assertEquals } from "@std/assert";
import apg from "../../guidance/apg.ts";
import cfg from "../../guidance/cfg.ts";
import { fromX0 } from "../../plugin.ts";
import ddim from "../../samplers/ddim.ts";
import { testGuidance } from "../laws.ts";
import { choose, closedForm, distance, drawn, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";
import { AT, guideOf, row, valuesOf } from "./_guide.ts";

testGuidance(apg, {
  settings: [{ scale: 10, norm: 2 }, { eta: 1, norm: 0, momentum: 0.5 }],
  neutral: { scale: 1 },
});

const X = row(1, -2, 0.5);
const LABELLED = [[0.5, -1, 0.25], [0.1, 0.9, -0.4], [1, 1, -1]];
const FREE = [[0.25, 1, -0.5], [0.6, -0.7, 0.2], [-1, 0.5, 0]];

/** Algorithm 1 of the paper, with normalized_guidance of its appendix, in doubles. */
function transcribed(
  { scale, eta, norm, momentum }: { scale: number; eta: number; norm: number; momentum: number },
): number[][] {
  let average = [0, 0, 0];
  return LABELLED.map((labelled, step) => {
    average = labelled.map((value, i) =>
      value - (FREE[step]?.[i] ?? NaN) + momentum * (average[i] ?? NaN)
    );
    const factor = norm > 0 ? Math.min(1, norm / Math.hypot(...average)) : 1;
    const difference = average.map((value) => value * factor);
    const unit = labelled.map((value) => value / Math.hypot(...labelled));
    const dot = difference.reduce((sum, value, i) => sum + value * (unit[i] ?? NaN), 0);
    return labelled.map((value, i) => {
      const parallel = dot * (unit[i] ?? NaN);
      const orthogonal = (difference[i] ?? NaN) - parallel;
      return value + (scale - 1) * (orthogonal + eta * parallel);
    });
  });
}

Deno.test("apg() is Algorithm 1 of its paper, over several steps", async () => {
  for (
    const options of [
      { scale: 4, eta: 0, norm: 15, momentum: -0.75 },
      { scale: 8, eta: 0.5, norm: 0.7, momentum: -0.5 },
      { scale: 2, eta: 1, norm: 0, momentum: 0.3 },
    ]
  ) {
    const expected = transcribed(options);
    let history: Parameters<typeof apg.guide>[2];
    for (const [step, labelled] of LABELLED.entries()) {
      const free = fromX0(X, AT, row(...FREE[step] ?? []));
      const made = await apg.guide(
        fromX0(X, AT, row(...labelled)),
        guideOf({ x: X, options, unconditional: () => Promise.resolve(free) }),
        history,
      );
      assert(distance(valuesOf(made.x0), expected[step] ?? []) < 1e-5);
      history = made.history as typeof history;
    }
  }
});

const mixture = {
  weights: [0.5, 0.5],
  means: [[0.7, -0.3], [-0.4, 0.5]],
  deviations: [[0.3], [0.4]],
};
const conditions = { network: Int32Array.of(0, 1, 1) };
const input = () => ({ sampler: choose(ddim), path: linearPath(6), noise: noiseOf(3, [1, 1, 2]) });

Deno.test("apg() with eta=1, no limit and no momentum is cfg()", async () => {
  const draw = (guided: ReturnType<typeof guide>) =>
    drawn({
      ...input(),
      predict: closedForm({ mixture, conditions, guidances: [guided] }).predict,
    });
  const ours = await draw(guide(apg, { scale: 3, eta: 1, norm: 0, momentum: 0 }));
  assert(distance(ours, await draw(guide(cfg, { scale: 3 }))) < 1e-5);
});

Deno.test("apg() remembers nothing from one run to the next, and something within one", async () => {
  const draw = (momentum: number) => {
    const { predict } = closedForm({ mixture, conditions, guidances: [guide(apg, { momentum })] });
    return async () => await drawn({ ...input(), predict });
  };
  const run = draw(0.5);
  const first = await run();
  assertEquals(await run(), first);
  assert(distance(first, await draw(0)()) > 1e-3);
});

import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import sag from "../../guidance/sag.ts";
import { fromX0, type Guidance, type Images } from "../../plugin.ts";
import fixture from "../fixtures/guidance/sag.json" with { type: "json" };
import { AT, guideOf, row, valuesOf } from "./_guide.ts";
import { answers, ENGINES } from "./_network.ts";
import { testGuidance } from "../laws.ts";
import { cleanOf, closedForm, distance, guide } from "../pipeline/_closed_form.ts";
import { linearPath, noiseOf } from "../pipeline/_closed_form.ts";

testGuidance(sag, {
  settings: [{ scale: 2 }, { blur: 3, threshold: 0.5 }],
  neutral: { scale: 0 },
});

const SIZE = 6;
const mixture = {
  weights: [1],
  means: [Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i))],
  deviations: [[0.4, 0.2, 0.3]],
};

/** A place of an edge, mirrored without its border as PyTorch's `reflect` does. */
function mirrored(place: number): number {
  if (place < 0) return -place;
  return place < SIZE ? place : 2 * (SIZE - 1) - place;
}

/** The blur, written out. */
function blurred(image: ArrayLike<number>, deviation: number): number[] {
  const radius = Math.min(Math.ceil(4 * deviation), SIZE - 1);
  const offsets = Array.from({ length: 2 * radius + 1 }, (_, i) => i - radius);
  const weightOf = (offset: number) => Math.exp(-(offset ** 2) / (2 * deviation ** 2));
  const total = offsets.reduce((sum, offset) => sum + weightOf(offset), 0) ** 2;
  return Array.from({ length: SIZE * SIZE }, (_, place) => {
    const [row, column] = [Math.floor(place / SIZE), place % SIZE];
    let sum = 0;
    for (const down of offsets) {
      for (const across of offsets) {
        const at = mirrored(row + down) * SIZE + mirrored(column + across);
        sum += weightOf(down) * weightOf(across) * (image[at] ?? NaN);
      }
    }
    return sum / total;
  });
}

Deno.test("sag() adds what a blur at the places of attention changes, as its equations", async () => {
  const labels = Int32Array.of(0);
  const guidances = [guide(sag, { scale: 1.5, blur: 0.8, threshold: 1 })];
  const received = (place: number) => place % 4 === 0 ? 2.5 : 0.5;
  const form = { mixture, conditions: { network: labels }, guidances, received };
  const { predict, calls, looks } = closedForm(form);
  const [, at] = linearPath(4);
  if (at === undefined) throw new RangeError("The path is too short");
  const { alpha, sigma } = at;
  const x = noiseOf(1, [SIZE, SIZE, 1]).draw();
  const images: Images = tf.tensor4d(x, [1, SIZE, SIZE, 1]);
  const { x0, eps } = await predict(images, at, 0.25);
  // Equations 14 to 17, in doubles.
  const noisy = { size: SIZE * SIZE, at, labels };
  const epsOf = (x: ArrayLike<number>) => {
    const clean = cleanOf(mixture, { ...noisy, x });
    return clean.map((value, i) => ((x[i] ?? NaN) - alpha * value) / sigma);
  };
  const clean = cleanOf(mixture, { ...noisy, x });
  const own = epsOf(x);
  const soft = blurred(clean, 0.8);
  const degraded = clean.map((value, i) => {
    const mixed = received(i) > 1 ? soft[i] ?? NaN : value;
    return alpha * mixed + sigma * (own[i] ?? NaN);
  });
  const other = epsOf(degraded);
  const expected = own.map((value, i) => value + 1.5 * (value - (other[i] ?? NaN)));
  assert(distance(eps.dataSync(), expected) < 1e-5);
  const images0 = expected.map((value, i) => ((x[i] ?? NaN) - sigma * value) / alpha);
  assert(distance(x0.dataSync(), images0) < 1e-4);
  assertEquals([calls.length, looks.length], [2, 1]);
});

Deno.test("sag() blurs and renoises the unguided prediction, and moves what other guidances made", async () => {
  const x = row(1, -2);
  const unguided = fromX0(x, AT, row(0.25, 0.75));
  let seen: number[] = [];
  const made = await sag.guide(
    fromX0(x, AT, row(0.5, -1)),
    guideOf({
      x,
      unguided,
      attention: () => Promise.resolve(row(0.5, 0.5)), // so that nothing is blurred
      again(x) {
        seen = valuesOf(x);
        return Promise.resolve(fromX0(x, AT, row(0, 1)));
      },
      options: { scale: 2, blur: 1, threshold: 1 },
    }),
  );
  assert(distance(seen, valuesOf(x)) < 1e-6);
  assert(distance(valuesOf(made.x0), [0.5 + 2 * 0.25, -1 + 2 * -0.25]) < 1e-6);
});

for (const engine of ENGINES) {
  Deno.test(`sag() is that of diffusers' pipeline on ${engine}`, async () => {
    let degraded: Images | undefined;
    const spy: Guidance = {
      ...sag,
      guide: (prediction, input, history) =>
        sag.guide(
          prediction,
          {
            ...input,
            again: async (x) => await input.again(degraded = x),
          } as Parameters<typeof sag.guide>[1],
          history,
        ),
    };
    const kept = () => degraded ? [degraded] : [];
    const [eps = [], seen = []] = await answers(engine, fixture.x, [guide(spy)], kept);
    assert(distance(seen, fixture.degraded) < 2e-5, "the masked images are off");
    const apart = distance(eps, fixture.guided);
    assert(apart < 5e-5, `eps is off by ${apart}`);
  });
}

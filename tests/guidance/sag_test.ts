import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "tfjs";
import sag from "../../guidance/sag.ts";
import { combine, fromEps, fromX0, type Guidance, type Images } from "../../plugin.ts";
import { testGuidance } from "../laws.ts";
import { closedForm, distance, guide, noiseOf } from "../pipeline/_closed_form.ts";
import { AT, guideOf, row, valuesOf } from "./_guide.ts";
import expected from "../fixtures/guidance/sag.json" with { type: "json" };
import { answers, ENGINES } from "./_network.ts";

testGuidance(sag, {
  settings: [{ threshold: 0.5, sigma: 3, radius: 1 }, { scale: 2 }],
  neutral: { scale: 0 },
});

const DEFAULTS = { scale: 0.75, threshold: 1, sigma: 1, radius: 4 };

Deno.test("sag() is eps + s (eps - eps of what is blurred), where attention is high", async () => {
  const [height, width] = [4, 6];
  const shape: [number, number, number, number] = [1, height, width, 1];
  const [x0, eps, made, other] = [1, 2, 3, 4].map((seed) =>
    tf.tensor4d(noiseOf(1, [height, width, 1], seed).draw(), shape)
  ) as [Images, Images, Images, Images];
  const x = combine([AT.alpha, x0], [AT.sigma, eps]);
  // The map has half the resolution of x; 1 is not above the threshold.
  const map = [1.5, 1, 0.5, 0.2, 3, 1.01];
  let seen: number[] = [];
  const guided = await sag.guide(
    fromX0(x, AT, made),
    guideOf({
      x,
      unguided: fromX0(x, AT, x0),
      attention: () => Promise.resolve(tf.tensor4d(map, [1, 2, 3, 1])),
      again(x) {
        seen = valuesOf(x);
        return Promise.resolve(fromEps(x, AT, other));
      },
      options: DEFAULTS,
    }),
  );
  // In doubles: the blur of a normal distribution, mirrored at the edges, only where it is masked.
  const clean = valuesOf(x0);
  const mirror = (i: number, size: number): number =>
    i < 0 ? mirror(-i, size) : i >= size ? mirror(2 * (size - 1) - i, size) : i;
  const degraded = clean.map((value, at) => {
    const [top, left] = [Math.floor(at / width), at % width];
    if ((map[3 * (top >> 1) + (left >> 1)] ?? NaN) <= 1) return value;
    let [sum, all] = [0, 0];
    for (let i = -4; i <= 4; i++) {
      for (let j = -4; j <= 4; j++) {
        const weight = Math.exp(-(i * i + j * j) / 2);
        sum += weight * (clean[width * mirror(top + i, height) + mirror(left + j, width)] ?? NaN);
        all += weight;
      }
    }
    return sum / all;
  });
  const noise = valuesOf(fromX0(x, AT, x0).eps);
  const again = degraded.map((value, i) => AT.alpha * value + AT.sigma * (noise[i] ?? NaN));
  assert(distance(seen, again) < 1e-6);
  const worse = valuesOf(other);
  const wanted = valuesOf(fromX0(x, AT, made).eps).map((eps, i) =>
    eps + 0.75 * ((noise[i] ?? NaN) - (worse[i] ?? NaN))
  );
  const apart = distance(valuesOf(guided.eps), wanted);
  assert(apart < 1e-5, `off by ${apart}`);
});

Deno.test("sag() is finite where nothing of the image is left", async () => {
  const at = { t: 999, alpha: 0, sigma: 1 };
  const x = row(1, -2);
  const made = await sag.guide(
    fromX0(x, at, row(0.5, -1)),
    guideOf({
      x,
      at,
      unguided: fromX0(x, at, row(0.5, -1)),
      attention: () => Promise.resolve(row(2, 0)),
      again: (x) => Promise.resolve(fromX0(x, at, row(0.25, 0))),
      options: DEFAULTS,
    }),
  );
  assert(valuesOf(made.x0).every(Number.isFinite));
});

Deno.test("sag() refuses a network without self-attention in its middle", () => {
  const mixture = { weights: [1], means: [[0]], deviations: [[1]] };
  assertThrows(
    () => closedForm({ mixture, guidances: [guide(sag)], layers: ["up_blocks.0.attentions.0"] }),
    TypeError,
    "there is no self-attention in the middle of its network",
  );
});

for (const engine of ENGINES) {
  Deno.test(`sag() is that of diffusers' pipeline on ${engine}`, async () => {
    let [map, degraded]: tf.Tensor[] = [];
    const spy: Guidance = {
      ...sag,
      guide: (prediction, input, history) =>
        sag.guide(
          prediction,
          {
            ...input,
            attention: async () => map = await input.attention(),
            again: async (x) => await input.again(degraded = x),
          } as Parameters<typeof sag.guide>[1],
          history,
        ),
    };
    const kept = () => [map, degraded].filter((each) => each !== undefined);
    const [eps = [], attention = [], seen = []] = await answers(
      engine,
      expected.x,
      [guide(spy)],
      kept,
    );
    assertEquals(attention.length, expected.attention.length);
    assert(distance(attention, expected.attention) < 2e-5, "the map is off");
    assert(distance(seen, expected.degraded) < 2e-5, "the masked images are off");
    const apart = distance(eps, expected.guided);
    assert(apart < 5e-5, `eps is off by ${apart}`);
  });
}

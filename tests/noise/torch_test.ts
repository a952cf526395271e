import { assert, assertEquals, assertThrows } from "@std/assert";
import { resumeTorch, torchGenerator } from "../../noise/torch.ts";
import { readFixture } from "../_safetensors.ts";
import cases from "../fixtures/rng/cases.json" with { type: "json" };
import twister from "../fixtures/rng/mt19937.json" with { type: "json" };

const expected = readFixture("rng/expected.safetensors");

/** torch's vectorized logarithm, sine and cosine differ from exact ones by so much. */
const VECTOR_NOISE = 2e-6;

/** torch's double precision functions are exact to the last digit or two. */
const DOUBLE_NOISE = 1e-12;

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

function assertClose(actual: ArrayLike<number>, name: string, tolerance: number): void {
  const { data } = expected(name);
  assertEquals(actual.length, data.length, name);
  const worst = data.reduce(
    (max, value, i) => Math.max(max, Math.abs(value - (actual[i] ?? NaN))),
    0,
  );
  assert(worst <= tolerance, `${name} is off by ${worst}`);
}

Deno.test("torchGenerator() gives the words of the Mersenne Twister", () => {
  for (const [seed, words] of Object.entries(twister.outputs)) {
    const { word } = torchGenerator(BigInt(seed));
    assertEquals(words.map(word), words, `seed ${seed}`);
  }
});

Deno.test("torchGenerator() seeds with the low 32 bits", () => {
  const words = twister.outputs["42"];
  const { word } = torchGenerator((0xfffffffen << 32n) + 42n);
  assertEquals(words.map(word), words);
});

Deno.test("torchGenerator() draws the randn and rand of torch", () => {
  for (const seed of cases.seeds) {
    for (const shape of cases.shapes) {
      const count = product(shape);
      const name = `seed${seed}.${shape.join("x")}`;
      const noise = count < 16 ? 0 : VECTOR_NOISE;
      assertClose(torchGenerator(seed).randn(count), `randn.f32.${name}`, noise);
      assertClose(torchGenerator(seed).rand(count), `rand.f32.${name}`, 0);
    }
    for (const count of [4, 15, 16]) {
      const name = `seed${seed}.${count}`;
      assertClose(torchGenerator(seed).randnDouble(count), `randn.f64.${name}`, DOUBLE_NOISE);
      assertClose(torchGenerator(seed).randDouble(count), `rand.f64.${name}`, 0);
    }
  }
});

Deno.test("torchGenerator() draws the randint and randperm of torch", () => {
  for (const seed of cases.seeds) {
    assertClose(torchGenerator(seed).randint(0, 1000, 8), `randint.0_1000.seed${seed}.8`, 0);
    assertClose(torchGenerator(seed).integers(8, 1000), `randint.0_1000.seed${seed}.8`, 0);
    assertClose(torchGenerator(seed).randperm(20), `randperm.seed${seed}.20`, 0);
  }
});

Deno.test("torchGenerator() draws a sequence of mixed calls as torch does", () => {
  const { seed, calls } = cases.sequence;
  let generator = torchGenerator(seed);
  for (const [i, [operation, shape]] of calls.entries()) {
    const count = product(shape as number[]);
    const name = `sequence.${i}.${operation}`;
    if (operation === "randn") {
      assertClose(generator.randn(count), name, count < 16 ? 0 : VECTOR_NOISE);
    } else if (operation === "rand") {
      assertClose(generator.rand(count), name, 0);
    } else {
      assertClose(generator.randint(0, 1000, count), name, 0);
    }
    generator = resumeTorch(JSON.parse(JSON.stringify(generator.state()))); // exact at every point
  }
});

Deno.test("torchGenerator() draws a batch from one generator as torch does", () => {
  const { single_seed, shape } = cases.randn_tensor;
  const images = torchGenerator(single_seed).randn(product(shape));
  assertClose(images, "randn_tensor.single", VECTOR_NOISE);
});

Deno.test("torchGenerator() takes 64 bits for ranges from 2^28 on", () => {
  const [high = 0, low = 0, third = 0] = twister.outputs["42"];
  const generator = torchGenerator(42);
  const [wide] = generator.randint(-5, 2 ** 28 - 5, 1);
  assertEquals(wide, Number(((BigInt(high) << 32n) + BigInt(low)) % 2n ** 28n) - 5);
  assertEquals(generator.randint(10, 2 ** 28 + 9, 1)[0], third % (2 ** 28 - 1) + 10);
});

Deno.test("torchGenerator() rejects what torch would do otherwise or not at all", () => {
  assertThrows(
    () => torchGenerator(0).randint(3, 3, 1),
    RangeError,
    "Cannot draw integers from 3 to 3: the limits must be safe integers",
  );
  assertThrows(
    () => torchGenerator(0).randperm(214748364),
    RangeError,
    "Cannot permute 214748364 integers as torch: the count must be below 214748364",
  );
  assertThrows(() => torchGenerator(0).integers(1, 0), RangeError, "Cannot draw integers below 0");
  assertThrows(() => torchGenerator(-1), RangeError, "Cannot use -1 as a seed");
});

Deno.test("resumeTorch() rejects what is no state of a Mersenne Twister", () => {
  const state = torchGenerator(0).state();
  assertThrows(() => resumeTorch({ ...state, words: [1] }), RangeError, "1 words and index 624");
  assertThrows(() => resumeTorch({ ...state, index: 625 }), RangeError, "index 625");
  assertThrows(() => resumeTorch({ ...state, seed: `${2n ** 64n}` }), RangeError, "as a seed");
});

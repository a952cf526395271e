import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  imageNoise,
  imageSeeds,
  type NoiseKind,
  noiseStream,
  resumeImageNoise,
  resumeNoise,
} from "../../noise/mod.ts";
import { readFixture } from "../_safetensors.ts";
import cases from "../fixtures/rng/cases.json" with { type: "json" };

const KINDS: readonly NoiseKind[] = ["philox", "torch"];

Deno.test("imageNoise() gives the noise of diffusers with one torch generator an image", () => {
  const expected = readFixture("rng/expected.safetensors");
  const { seeds, shape: [batch = 0, channels = 0, height = 0, width = 0] } = cases.randn_tensor;
  const noise = imageNoise("torch", seeds, [height, width, channels]);
  for (const name of ["randn_tensor.list", "randn_tensor.list_second_call"]) {
    const planes = expected(name).data;
    const images = noise.draw();
    let worst = 0;
    for (let n = 0; n < batch; n++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          for (let c = 0; c < channels; c++) {
            const plane = planes[((n * channels + c) * height + y) * width + x] ?? NaN;
            const image = images[((n * height + y) * width + x) * channels + c] ?? NaN;
            worst = Math.max(worst, Math.abs(plane - image));
          }
        }
      }
    }
    assert(worst <= 2e-6, `${name} is off by ${worst}`); // torch's own code paths differ by 1.2e-6
  }
});

Deno.test("imageNoise() gives an image the same noise in every batch", () => {
  for (const kind of KINDS) {
    for (const seed of [3, 2n ** 53n - 1n]) {
      const together = imageNoise(kind, imageSeeds(seed, 3), [5, 4, 3]);
      const alone = imageSeeds(seed, 3).map((own) => imageNoise(kind, [own], [5, 4, 3]));
      assertEquals(together.shape, [3, 5, 4, 3]);
      for (let draw = 0; draw < 2; draw++) {
        assertEquals([...together.draw()], alone.flatMap((image) => [...image.draw()]));
      }
    }
  }
});

Deno.test("resumeImageNoise() and resumeNoise() continue exactly", () => {
  for (const kind of KINDS) {
    const noise = imageNoise(kind, [1, 2], [3, 3, 1]);
    noise.draw();
    const states = JSON.parse(JSON.stringify(noise.state()));
    assertEquals(resumeImageNoise(states, [3, 3, 1]).draw(), noise.draw());
    const stream = noiseStream(kind, 9);
    stream.normal(3);
    const resumed = resumeNoise(JSON.parse(JSON.stringify(stream.state())));
    assertEquals(resumed.normal(3), stream.normal(3));
    assertEquals(resumed.uniform(3), stream.uniform(3));
    assertEquals(resumed.integers(3, 10), stream.integers(3, 10));
  }
});

Deno.test("noiseStream() has many streams of philox and one of torch", () => {
  assertEquals(noiseStream("philox", 1, 0).normal(4), noiseStream("philox", 1).normal(4));
  assert(noiseStream("philox", 1, 1).normal(1)[0] !== noiseStream("philox", 1).normal(1)[0]);
  assertThrows(
    () => noiseStream("torch", 1, 1),
    RangeError,
    "Cannot use stream 1 of a torch generator: it has only stream 0",
  );
});

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { extractors } from "../../evaluation/features/mod.ts";
import { readHistory } from "../../evaluation/history.ts";
import { type Evidence, sideOf } from "../../evaluation/metric.ts";
import accuracy from "../../evaluation/metrics/accuracy.ts";
import fidInfinity from "../../evaluation/metrics/fid_infinity.ts";
import { metrics } from "../../evaluation/metrics/mod.ts";
import { frechetDistance } from "../../evaluation/algebra/frechet.ts";
import { gaussianOf } from "../../evaluation/algebra/gaussian.ts";
import { loadStatistics } from "../../evaluation/statistics.ts";
import { encodeNpz, readNpz } from "../../training/data/npz.ts";
import { check } from "../commands/_main.ts";
import { features } from "./_formula.ts";

const evidence = (samples: Evidence["samples"], reference = samples): Evidence => ({
  samples,
  reference,
  distances: () => Promise.resolve(),
});

Deno.test("every file of metrics/ and features/ is in its list under its name", async () => {
  const files = async (folder: string) =>
    (await Array.fromAsync(Deno.readDir(new URL(`../../evaluation/${folder}`, import.meta.url))))
      .map(({ name }) => name.replace(/\.ts$/, "")).sort();
  assertEquals(
    metrics.map(({ name }) => name).sort(),
    (await files("metrics")).filter((name) => name !== "mod"),
  );
  assertEquals(
    Object.keys(extractors).sort(),
    (await files("features")).filter((name) => !["mod", "extractor"].includes(name)),
  );
  for (const [name, load] of Object.entries(extractors)) {
    assertEquals((await load()).default.name, name);
  }
});

Deno.test("accuracy counts images with a class, and tells its error", async () => {
  const logits = { rows: 5, columns: 2, values: Float32Array.of(1, 0, 0, 1, 3, 2, 0, 1, 0, 9) };
  const side = (labels: number[]) =>
    evidence(sideOf({ count: 5, logits, labels: Int32Array.from(labels) }));
  const [figure] = await accuracy.measure(side([0, 1, 1, 1, -1]));
  assertEquals(figure?.value, 0.75);
  assertAlmostEquals(figure?.error ?? 0, Math.sqrt(0.75 * 0.25 / 4), 1e-12);
  assertEquals(await accuracy.measure(side([-1, -1, -1, -1, -1])), []);
  await assertRejects(
    async () => await accuracy.measure(side([0, 0, 0, 2, 0])),
    RangeError,
    "the samples have a class 2, the features name 2",
  );
});

Deno.test("FID∞ of few images is on average nearer to the FID of many than their FID is", async () => {
  const reference = sideOf({ count: 4000, features: features(4000, 16, 50, 0) });
  const many = features(4000, 16, 70, 0.05);
  const wanted = frechetDistance(gaussianOf(many), reference.gaussian!());
  const [biased, extrapolated]: [number[], number[]] = [[], []];
  for (const seed of [60, 160, 260, 360, 460, 560]) {
    const samples = sideOf({ count: 200, features: features(200, 16, seed, 0.05) });
    biased.push(frechetDistance(samples.gaussian!(), reference.gaussian!()));
    const [figure] = await fidInfinity.measure(evidence(samples, reference));
    extrapolated.push(figure!.value);
  }
  const bias = (values: number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length - wanted;
  assert(bias(biased) > 0.08, `${bias(biased)}`);
  assert(Math.abs(bias(extrapolated)) < 0.5 * bias(biased), `${bias(extrapolated)}`);
  const enough = sideOf({ count: 10_000, features: features(10_000, 2, 60, 0) });
  assertEquals(await fidInfinity.measure(evidence(enough)), []);
});

check("npz files hold arrays of every type as they were", async (folder) => {
  const arrays = {
    bytes: { shape: [2, 3], data: Uint8Array.of(0, 1, 2, 253, 254, 255) },
    singles: { shape: [3], data: Float32Array.of(-1.5, 0, 3e-9) },
    doubles: { shape: [1, 2], data: Float64Array.of(Math.PI, -1e300) },
    words: { shape: [2], data: Int32Array.of(-7, 2 ** 31 - 1) },
    longs: { shape: [2, 1], data: BigInt64Array.of(-1n, 2n ** 62n) },
  };
  const path = join(folder, "all.npz");
  await Deno.writeFile(path, encodeNpz(arrays));
  const npz = await readNpz(path);
  assertEquals(npz.names, Object.keys(arrays));
  for (const [name, array] of Object.entries(arrays)) assertEquals(await npz.read(name), array);
  await assertRejects(() => npz.read("none"), SyntaxError, "Cannot find none");
  assertEquals(encodeNpz(arrays), encodeNpz(arrays));
});

check("statistics that do not fit together are refused", async (folder) => {
  const path = join(folder, "odd.npz");
  const write = (dims: number) =>
    Deno.writeFile(
      path,
      encodeNpz({
        mu: { shape: [2], data: new Float64Array(2) },
        sigma: { shape: [dims, dims], data: new Float64Array(dims * dims) },
      }),
    );
  await write(3);
  await assertRejects(
    () => loadStatistics(path),
    SyntaxError,
    "mu has 2 numbers, sigma the shape [3,3]",
  );
  await write(2);
  assertEquals((await loadStatistics(path))?.about, undefined);
  await Deno.writeFile(path, encodeNpz({ arr_0: { shape: [1], data: new Uint8Array(1) } }));
  assertEquals(await loadStatistics(path), undefined);
});

check("readHistory() takes the lines of a log that have figures", async (folder) => {
  assertEquals(await readHistory(folder), []);
  await Deno.mkdir(join(folder, "training"));
  const start = { loss: 1, norm: 1, rate: 1, seconds: 1 };
  const lines = [
    { step: 50, ...start },
    { step: 100, ...start, samples: 10, fid: 4, kid: 0.5 },
    { step: 200, ...start, samples: 10, fid: 3, bands: [1, 2] },
  ];
  const text = lines.map((line) => JSON.stringify(line)).join("\n") + '\n{"step": 25';
  await Deno.writeTextFile(join(folder, "training", "log.jsonl"), text);
  assertEquals(await readHistory(folder), [
    { step: 100, figures: { fid: 4, kid: 0.5 } },
    { step: 200, figures: { fid: 3 } },
  ]);
});

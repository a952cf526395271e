import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import { forwardLevels } from "../../commands/forward.ts";
import { encodePng, readChunks } from "../../images/png.ts";
import { alphasCumprodOf } from "../../schedules/mod.ts";
import { check, filesOf, readPng, readPngs, refuse, succeed } from "./_main.ts";
import { writeTiny } from "./_tiny.ts";

const linear = alphasCumprodOf({ beta_schedule: "linear" });

Deno.test("forwardLevels() goes from clean to the last timestep, even in t", () => {
  const levels = forwardLevels(linear, 5, "t");
  assertEquals(levels.map(({ t }) => t), [-1, 249, 499, 749, 999]);
  assertEquals([levels[0]?.alpha, levels[0]?.sigma], [1, 0]);
  assertAlmostEquals(levels[4]?.alpha ?? 0, Math.sqrt(linear[999] ?? 0));
  assertEquals(forwardLevels(linear, 2, "t").map(({ t }) => t), [-1, 999]);
  const all = forwardLevels(linear, 1001, "t").map(({ t }) => t);
  assertEquals(all, Array.from({ length: 1001 }, (_, i) => i - 1));
});

Deno.test("forwardLevels() goes by equal steps in logSNR", () => {
  const zero = alphasCumprodOf({ beta_schedule: "linear", rescale_betas_zero_snr: true });
  for (const schedule of [linear, zero]) {
    const levels = forwardLevels(schedule, 9, "logsnr");
    assertEquals([levels.length, levels[1]?.t, levels.at(-1)?.t], [9, 0, 999]);
    const ratios = levels.slice(1, -1).map(({ alpha, sigma }) => 2 * Math.log(alpha / sigma));
    const step = (ratios[0] ?? 0) - (ratios[1] ?? 0);
    for (let i = 1; i < ratios.length; i++) {
      assertAlmostEquals((ratios[i - 1] ?? 0) - (ratios[i] ?? 0), step, 1e-9);
    }
    for (const { t, alpha, sigma } of levels.slice(1)) {
      assertAlmostEquals(alpha ** 2 + sigma ** 2, 1, 1e-12);
      const [below, above] = [schedule[Math.floor(t)], schedule[Math.ceil(t)]];
      assert(alpha ** 2 <= (below ?? 0) + 1e-12 && alpha ** 2 >= (above ?? 1) - 1e-12);
    }
  }
  assertEquals(forwardLevels(zero, 9, "logsnr").at(-1)?.alpha, 0);
  assertEquals(forwardLevels(linear, 2, "logsnr").map(({ t }) => t), [-1, 999]);
  assertEquals(forwardLevels([0.5], 2, "logsnr").map(({ t }) => t), [-1, 0]);
});

/** A grey wedge, whose every byte is known. */
async function writeWedge(folder: string, channels: 1 | 3 = 1): Promise<string> {
  const pixels = Uint8Array.from({ length: 32 * 24 * channels }, (_, i) => i % 256);
  const path = join(folder, "wedge.png");
  await Deno.writeFile(path, encodePng(pixels, { width: 32, height: 24, channels }));
  return path;
}

for (const channels of [1, 3] as const) {
  check(`forward -o file.png draws a strip of ${channels} channels`, async (folder) => {
    const image = await writeWedge(folder, channels);
    const path = join(folder, "strip.png");
    const { stdout, stderr } = await succeed("forward", image, "-o", path, "--seed", "3");
    assertEquals([stdout.length, stderr], [0, `Wrote ${path} (8 pictures, seed 3)\n`]);
    const strip = await readPng(path);
    assertEquals([strip.width, strip.height, strip.channels], [8 * 34 + 2, 28, channels]);
    const { levels, schedule, noise, seed } = JSON.parse(strip.text.forward ?? "");
    assertEquals([levels.length, schedule, noise, seed], [8, "linear", "shared", "3"]);
    assert(strip.text.parameters?.includes("t: clean 142 285"), strip.text.parameters);
  });
}

check("forward mixes the image with one noise by alpha and sigma", async (folder) => {
  const image = await writeWedge(folder);
  const draw = async (...args: string[]) =>
    readPngs((await succeed("forward", image, "--separate", "--seed", "3", ...args)).stdout);
  const shared = await draw("--steps", "4");
  const [clean] = shared;
  assertEquals(clean?.pixels, (await readPng(image)).pixels);
  // The noise that a picture reveals, where it was not clipped.
  const noiseOf = (picture: typeof clean) => {
    const [{ alpha, sigma }] = JSON.parse(picture?.text.forward ?? "").levels;
    return Array.from(picture?.pixels ?? [], (value, i) => {
      const x0 = (clean?.pixels[i] ?? 0) / 127.5 - 1;
      return value === 0 || value === 255 ? undefined : (value / 127.5 - 1 - alpha * x0) / sigma;
    });
  };
  const differences = (a: typeof clean, b: typeof clean) => {
    const other = noiseOf(b);
    return noiseOf(a).flatMap((value, i) =>
      value === undefined || other[i] === undefined ? [] : Math.abs(value - (other[i] ?? 0))
    );
  };
  const same = differences(shared[2], shared[3]);
  assert(same.length > 200 && Math.max(...same) < 0.02, `${Math.max(...same)}`);
  const fresh = await draw("--steps", "4", "--fresh");
  const other = differences(fresh[2], fresh[3]);
  assert(other.reduce((sum, value) => sum + value, 0) / other.length > 0.3);
  assertEquals(await draw("--steps", "4"), shared);
  const torch = await draw("--steps", "4", "--rng", "torch");
  assertNotEquals(torch[2]?.pixels, shared[2]?.pixels);
  const cosine = await draw("--steps", "4", "--schedule", "cosine");
  assertEquals(JSON.parse(cosine[0]?.text.forward ?? "").schedule, "squaredcos_cap_v2");
  assertNotEquals(cosine[2]?.pixels, shared[2]?.pixels);
});

check("forward --animate writes frames of one noise, to a file or a pipe", async (folder) => {
  const image = await writeWedge(folder);
  const path = join(folder, "run.png");
  const args = ["forward", image, "--animate", "--steps", "5", "--seed", "1"];
  await succeed(...args, "-o", path);
  const bytes = await Deno.readFile(path);
  const chunks = readChunks(bytes);
  assertEquals(chunks.find(({ type }) => type === "acTL")?.data[3], 5);
  assertEquals(chunks.filter(({ type }) => type === "fcTL").length, 5);
  assertEquals((await readPng(path)).width, 32);
  for (const to of [[], ["-o", "-"]]) assertEquals((await succeed(...args, ...to)).stdout, bytes);
  await refuse(2, "an animation is one file", ...args, "-o", join(folder, "out/"));
  await refuse(2, "an animation is one file", ...args, "--separate");
  assertEquals(await filesOf(folder), ["run.png", "wedge.png"]);
});

check("forward -o folder/ writes one file a picture", async (folder) => {
  const image = await writeWedge(folder);
  await succeed("forward", image, "-o", join(folder, "out/"), "--steps", "3");
  assertEquals(await filesOf(join(folder, "out")), ["000000.png", "000001.png", "000002.png"]);
  const { text } = await readPng(join(folder, "out", "000002.png"));
  assertEquals(JSON.parse(text.forward ?? "").levels.map(({ t }: { t: number }) => t), [999]);
});

check("forward scales large images, or as it is told", async (folder) => {
  const path = join(folder, "large.png");
  const size = { width: 300, height: 600, channels: 1 } as const;
  await Deno.writeFile(path, encodePng(new Uint8Array(300 * 600).fill(90), size));
  const { stdout, stderr } = await succeed("forward", path, "--separate", "--steps", "2");
  const [{ width, height } = { width: 0, height: 0 }] = readPngs(stdout);
  assertEquals([width, height], [128, 256]);
  assert(stderr.startsWith("Scaled 300x600 to 128x256; --size gives"), stderr);
  const sized = await succeed("forward", path, "--separate", "--steps", "2", "--size", "10");
  assertEquals([readPngs(sized.stdout)[0]?.height, sized.stderr], [10, ""]);
});

check("forward --model takes the schedule of a model", async (folder) => {
  const image = await writeWedge(folder);
  const model = join(folder, "tiny");
  await writeTiny(model);
  const { stdout } = await succeed("forward", image, "--model", model, "--by", "logsnr");
  const { schedule, model: name, timesteps, by } = JSON.parse(
    readPngs(stdout)[0]?.text.forward ?? "",
  );
  assertEquals([schedule, name, timesteps, by], ["linear", "tiny", 1000, "logsnr"]);
  const args = ["forward", image, "--model", model];
  await refuse(2, "the schedule is the model's", ...args, "--schedule", "linear");
  await refuse(2, "Cannot use --timesteps with --model", ...args, "--timesteps", "10");
});

check("forward fails in one sentence", async (folder) => {
  const image = await writeWedge(folder);
  const to = ["-o", join(folder, "x.png")];
  await refuse(2, "Cannot run forward without IMAGE", "forward");
  await refuse(2, "--steps=1: it must be at least 2", "forward", image, ...to, "--steps", "1");
  await refuse(2, "at most 1001 pictures", "forward", image, ...to, "--steps", "2000");
  await refuse(2, "did you mean cosine?", "forward", image, ...to, "--schedule", "cosin");
  await refuse(2, "as a seed", "forward", image, ...to, "--seed", "x");
  const beta = ["--schedule", "linear_openai", "--timesteps", "9"];
  await refuse(2, "noise schedule with beta", "forward", image, ...to, ...beta);
  await refuse(1, "no such file", "forward", join(folder, "none.png"), ...to);
  await refuse(1, "Cannot find the model", "forward", image, ...to, "--model", folder + "/none");
  await refuse(2, "name that ends in .png", "forward", image, "-o", join(folder, "x.gif"));
  await refuse(1, "Cannot write", "forward", image, "-o", join(image, "x.png"));
  const text = join(folder, "text.jpg");
  await Deno.writeTextFile(text, "no image at all");
  await refuse(1, "Cannot decode", "forward", text, ...to);
  assertEquals(await filesOf(folder), ["text.jpg", "wedge.png"]);
});

check("forward fails in one sentence where a JPEG is cut short", async (folder) => {
  const { default: sharp } = await import("sharp");
  const options = { create: { width: 64, height: 64, channels: 3, background: "red" } } as const;
  const whole = await sharp(options).jpeg().toBuffer();
  const path = join(folder, "cut.jpg");
  for (const share of [0.2, 0.95]) {
    await Deno.writeFile(path, whole.subarray(0, Math.floor(whole.length * share)));
    await refuse(1, "Cannot decode", "forward", path, "-o", join(folder, "x.png"));
  }
});

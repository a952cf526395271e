import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { readScales } from "../../quantization/file.ts";
import type { Scales } from "../../quantization/scales.ts";
import { check, denoise, readPng, refuse, succeed } from "./_main.ts";
import { writeTiny } from "./_tiny.ts";

const PATH = ["--steps", "2", "-n", "2"];
const BESIDE = ["--external-data", "always"];
const DRAW = ["--steps", "2", "-n", "2", "--seed", "5", "--engine", "onnx", "--threads", "1"];

/** The scales in a file that has them for all timesteps. */
function scalesIn(path: string): Scales {
  const [{ scales } = { scales: new Map() }, ...more] = readScales(path).groups;
  assertEquals(more, []);
  return scales;
}

/** A test that gets a folder and a tiny model in it. */
function checkTiny(name: string, fn: (folder: string, model: string) => Promise<void>): void {
  check(name, async (folder) => {
    const model = join(folder, "tiny");
    await writeTiny(model);
    await fn(folder, model);
  });
}

/** What a traced tiny model answers. */
async function answerOf(path: string): Promise<Float32Array> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1 });
  const x = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
  const { out_sample: y } = await session.run({
    sample: new Tensor("float32", x, [1, 1, 8, 8]),
    timestep: new Tensor("float32", Float32Array.of(500), [1]),
    class_labels: new Tensor("int32", Int32Array.of(1), [1]),
  });
  await session.release();
  return y?.data as Float32Array;
}

/** `|a - b| / |b|`. */
function errorOf(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((value, i) => value - (b[i] ?? NaN))) / Math.hypot(...b);
}

checkTiny("quantize writes scales beside the weights, the same each time", async (_, model) => {
  const path = join(model, "unet", "quantization.json");
  const { stderr, stdout } = await succeed("quantize", model, ...PATH);
  assertStringIncludes(stderr, `Wrote ${path} (`);
  assertEquals(stdout.length, 0);
  const { calibration } = readScales(path);
  const scales = scalesIn(path);
  assert(scales.has("down_blocks.0.resnets.0.conv1") && scales.has("mid_block.attentions.0.to_q"));
  const names = [...scales.keys()].join();
  assert(!/conv_in|conv_out|time_emb/.test(names), names);
  assertEquals(scales.get("up_blocks.1.resnets.0.conv_shortcut")?.input.length, 2);
  assertEquals([calibration["images"], calibration["steps"]], [2, 2]);
  const text = await Deno.readTextFile(path);
  await succeed("quantize", model, ...PATH);
  assertEquals(await Deno.readTextFile(path), text);
});

checkTiny(
  "quantize leaves layers in float32 by name, and chooses ranges",
  async (folder, model) => {
    const [all, some] = [join(folder, "all.json"), join(folder, "some.json")];
    await succeed("quantize", model, ...PATH, "-o", all);
    await succeed(
      ...["quantize", model, ...PATH, "-o", some, "--float", "up_blocks", "--uncorrected"],
      ...["--ranges", "percentile", "--percentile", "95"],
    );
    const [left, right] = [scalesIn(all), scalesIn(some)];
    assert(![...right.keys()].some((name) => name.includes("up_blocks")));
    assert(right.size < left.size && right.size > 0);
    const name = "down_blocks.0.resnets.0.conv1";
    const width = (scales: typeof left) => {
      const [low, high] = scales.get(name)?.input[0] ?? [0, 0];
      return high - low;
    };
    assert(width(right) < width(left));
    assertEquals(right.get(name)?.correction, undefined);
    await refuse(1, "--float leaves no layer", "quantize", model, ...PATH, "--float", "block");
    const unused = ["--percentile", "99"];
    await refuse(2, "Cannot use --percentile with --ranges minmax", "quantize", model, ...unused);
  },
);

checkTiny("quantize --report prints each layer's error, the worst first", async (folder, model) => {
  const out = join(folder, "scales.json");
  const some = ["--float", "up_blocks", "--float", "attentions"]; // a graph each
  const { stdout } = await succeed("quantize", model, ...PATH, ...some, "-o", out, "--report");
  const [, ...lines] = new TextDecoder().decode(stdout).trimEnd().split("\n");
  const rows = lines.map((line) => /^ *(\S+) % {2}(\S+)$/.exec(line)?.slice(1) ?? []);
  assertEquals(
    rows.map(([, name]) => name).sort(),
    [...scalesIn(out).keys()].sort(),
  );
  const errors = rows.map(([error]) => Number(error));
  assert(errors.every((error, i) => error >= 0 && error <= (errors[i - 1] ?? Infinity)));
  assert((errors[0] ?? 0) > 0);
});

checkTiny(
  "sample computes in int8, keeps that in the PNG and repeats it",
  async (folder, model) => {
    const [int8, f32, again] = ["int8", "f32", "again"].map((name) => join(folder, `${name}.png`));
    const [a = "", b = "", c = ""] = [int8, f32, again];
    await refuse(1, "there are no scales at", "sample", model, ...DRAW, "--precision", "int8");
    await succeed("quantize", model, ...PATH);
    await succeed("sample", model, ...DRAW, "-o", a, "--precision", "int8");
    await succeed("sample", model, ...DRAW, "-o", b, "--precision", "f32");
    const [left, right] = [await readPng(a), await readPng(b)];
    assertNotEquals(left.pixels, right.pixels);
    assertEquals(JSON.parse(left.text.denoise ?? "").precision, "int8");
    assertStringIncludes(left.text.parameters ?? "", "Precision: int8");
    assertEquals(JSON.parse(right.text.denoise ?? "").precision, undefined);
    await succeed("sample", model, "--from", a, "--engine", "onnx", "--threads", "1", "-o", c);
    assertEquals(await Deno.readFile(c), await Deno.readFile(a));
    // What was drawn in float32 is repeated in float32, whatever lies beside the model now.
    await succeed("sample", model, "--from", b, "--engine", "onnx", "--threads", "1", "-o", c);
    assertEquals(await Deno.readFile(c), await Deno.readFile(b));
  },
);

checkTiny("an image in int8 does not depend on its batch", async (folder, model) => {
  await succeed("quantize", model, ...PATH);
  const draw = async (name: string, ...args: string[]) => {
    const path = join(folder, name);
    await succeed("sample", model, ...DRAW, "--precision", "int8", "-o", path, ...args);
    return (await readPng(path)).pixels;
  };
  const whole = await draw("whole.png");
  assertEquals(await draw("split.png", "--batch-size", "1"), whole);
});

checkTiny("scales of other weights are refused by name", async (folder, model) => {
  const out = join(folder, "old.json");
  await succeed("quantize", model, ...PATH, "-o", out);
  await writeTiny(model, {
    spoil: (tensors) => tensors.get("conv_in.weight")?.values.fill(0.5),
  });
  await refuse(
    1,
    `the scales in "${out}" are of other weights`,
    ...["sample", model, ...DRAW, "--scales", out],
  );
  await Deno.rename(out, join(model, "unet", "quantization.json"));
  const image = join(folder, "x.png");
  const { stderr } = await succeed("sample", model, ...DRAW, "-o", image);
  assertStringIncludes(stderr, "Computing in float32: the scales in");
});

checkTiny("int8 is refused where it would not be used", async (_, model) => {
  await succeed("quantize", model, ...PATH);
  const int8 = ["--precision", "int8"];
  await refuse(1, "does not compute in bytes", "sample", model, ...int8, "--engine", "cpu");
  const unused = ["--scales", "x.json", "--precision", "f32"];
  await refuse(2, "Cannot use --scales with precision f32", "sample", model, ...unused);
  await refuse(2, "Cannot use --scales with precision f32", "trace", model, "--scales", "x.json");
  await refuse(
    2,
    "in int8: scales are of the unet",
    "trace",
    model,
    ...int8,
    "--part",
    "classifier",
  );
  await refuse(
    2,
    "Cannot use --precision with bpd",
    ...["evaluate", model, "-r", "mnist#test", "--metric", "bpd", ...int8],
  );
});

checkTiny("sample -v says why it computes in float32", async (folder, model) => {
  const image = join(folder, "x.png");
  const { stderr } = await succeed("sample", model, ...DRAW, "-o", image, "-v");
  assertStringIncludes(stderr, "Precision: float32: tiny has no scales for int8");
});

checkTiny("trace --precision int8 writes bytes that ONNX Runtime reads", async (folder, model) => {
  await succeed("quantize", model, ...PATH);
  const [int8, f32] = [join(folder, "int8.onnx"), join(folder, "f32.onnx")];
  await succeed("trace", model, "--precision", "int8", "-o", int8);
  await succeed("trace", model, "-o", f32);
  const error = errorOf(await answerOf(int8), await answerOf(f32));
  assert(error > 0 && error < 0.1, `${error}`);
  const text = new TextDecoder("latin1").decode(await Deno.readFile(int8));
  assert(text.includes("QLinearConv") && text.includes("MatMulInteger"));
  assert(!text.includes("com.microsoft"));
});

checkTiny("sample holds weights in blocks, without scales", async (folder, model) => {
  const draw = async (precision: string, ...args: string[]) => {
    const path = join(folder, `${precision}.png`);
    await succeed("sample", model, ...DRAW, "--precision", precision, "-o", path, ...args);
    return await readPng(path);
  };
  const [f32, eight, four] = [await draw("f32"), await draw("q8_0"), await draw("q4_0")];
  assertEquals(JSON.parse(eight.text.denoise ?? "").precision, "q8_0");
  assertStringIncludes(four.text.parameters ?? "", "Precision: q4_0");
  const distance = ({ pixels }: typeof f32) =>
    Math.hypot(...pixels.map((value, i) => Math.abs(value - (f32.pixels[i] ?? 0))));
  assert(distance(four) > 2 * distance(eight) && distance(eight) > 0);
  assertEquals((await draw("q8_0", "--batch-size", "1")).pixels, eight.pixels);
  const again = join(folder, "again.png");
  const from = ["--from", join(folder, "q4_0.png"), "--engine", "onnx", "--threads", "1"];
  await succeed("sample", model, ...from, "-o", again);
  assertEquals((await readPng(again)).pixels, four.pixels);
  const refused = ["sample", model, "--precision", "q8_0"];
  await refuse(1, "Cannot hold the weights of tiny in q8_0", ...refused, "--engine", "cpu");
  await refuse(2, "Cannot use --scales with precision q8_0", ...refused, "--scales", "x.json");
});

checkTiny("trace writes weights in blocks, in operations of ONNX", async (folder, model) => {
  const sizes: number[] = [];
  const answers: Float32Array[] = [];
  for (const [precision, more] of [["f32", []], ["q8_0", BESIDE], ["q4_0", []]] as const) {
    const path = join(folder, `${precision}.onnx`);
    await succeed("trace", model, "--precision", precision, "-o", path, ...more);
    answers.push(await answerOf(path));
    const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
    assertEquals(text.includes("DequantizeLinear"), precision !== "f32");
    assert(!text.includes("com.microsoft"));
    const data = await Deno.stat(`${path}.data`).catch(() => ({ size: 0 }));
    sizes.push((await Deno.stat(path)).size + data.size);
  }
  const [exact, eight, four] = answers.map((answer) => errorOf(answer, answers[0] ?? answer));
  assertEquals(exact, 0);
  assert(eight && eight > 0 && eight < 0.01 && four && four > 2 * eight && four < 0.2);
  const [f32 = 0, q8 = 0, q4 = 0] = sizes;
  assert(q8 < 0.7 * f32 && q4 < q8, sizes.join());
});

check("quantize refuses a model that there is not", async () => {
  const { code, stderr } = await denoise("quantize", "nothing/there");
  assertEquals(code, 1);
  assertStringIncludes(stderr, 'Cannot find the model "nothing/there"');
});

checkTiny("groups of timesteps are drawn with scales of their own", async (folder, model) => {
  const path = join(model, "unet", "quantization.json");
  await succeed("quantize", model, "--steps", "4", "-n", "2", "--groups", "2");
  const { groups } = readScales(path);
  assertEquals(groups.map(({ below }) => below), [749, Infinity]); // of 999, 749, 499 and 249
  const draw = async (name: string) => {
    const image = join(folder, name);
    const args = ["sample", model, ...DRAW.slice(2), "--steps", "4", "-o", image, "-v"];
    const { stderr } = await succeed(...args);
    assertStringIncludes(stderr, "in 2 groups of timesteps");
    return (await readPng(image)).pixels;
  };
  const own = await draw("own.png");
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, text.replace('"below": 749', '"below": 0'));
  assertNotEquals(await draw("last.png"), own); // the second group's for all
  await refuse(
    2,
    "Cannot write one graph of 2 groups",
    ...["trace", model, "--precision", "int8"],
  );
});

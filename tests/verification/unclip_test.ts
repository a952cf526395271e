import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { roundedLevels } from "../../pipeline/float32.ts";
import { openModel } from "../../pipeline/model.ts";
import { posterior } from "../../schedules/mod.ts";
import { check, denoise, filesOf, readPng, refuse, succeed } from "../commands/_main.ts";
import { readFixture } from "../_safetensors.ts";
import { changeWeight, unCLIP } from "./_copy.ts";

const parse = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));

for (const run of ["guided", "unguided", "decoder-guided"]) {
  check(`verify draws what unCLIP of diffusers drew (${run})`, async (folder) => {
    const { stdout, stderr } = await succeed("verify", await unCLIP(run, folder), "--json");
    const [{ compared, ignored }] = parse(stdout);
    assertEquals([ignored, stderr], [[], ""]);
    assertEquals(compared.map(({ name }: { name: string }) => name), [
      "prompt_embeds",
      "timesteps",
      "traj",
      "image_embeddings",
      "image_small",
      "images",
    ]);
    // Of two kernels of PyTorch the guided run is 2.6e-5 apart.
    const { difference } = compared.at(-1);
    assert(difference.size < 1e-4, `${difference.size}`);
  });
}

/** A tensor of each part, and what it changes. */
const CHANGED = [
  ["prior", "prd_embedding", "traj image_embeddings image_small images"],
  ["text_proj", "embedding_proj.bias", "traj image_small images"],
  ["super_res_first", "conv_out.bias", "images"],
  ["super_res_last", "conv_in.bias", "images"],
] as const;

check("verify fails where one weight of a part of unCLIP is another", async (folder) => {
  const model = await unCLIP("unguided", folder);
  for (const [part, name, found] of CHANGED) {
    const path = join(model, part, "diffusion_pytorch_model.safetensors");
    const bytes = await Deno.readFile(path);
    await changeWeight(path, name, 3);
    const { code, stdout } = await denoise("verify", model, "--json");
    const [{ compared }] = parse(stdout);
    const differing = compared.filter((
      it: { difference: { size: number }; tolerance: number },
    ) => it.difference.size > it.tolerance);
    assertEquals([code, differing.map(({ name }: { name: string }) => name).join(" ")], [1, found]);
    await Deno.writeFile(path, bytes);
  }
  await succeed("verify", model);
});

const PROMPT = ["--prompt", "a photo of a small red cat"];
const STEPS = ["--steps", "6", "--prior-steps", "5", "--super-res-steps", "4"];
const SEED = ["--rng", "torch", "--seed", "3"];

/** Compares the PNGs of a folder with the images of a run. */
async function assertDrawn(out: string, run: string): Promise<void> {
  const { data, shape } = readFixture(`unclip/${run}/expected.safetensors`)("images");
  const [count = 0] = shape;
  const span = data.length / count;
  for (let image = 0; image < count; image++) {
    const { pixels } = await readPng(join(out, `00000${image}.png`));
    pixels.forEach((byte, i) => {
      const wanted = 255 * (data[image * span + i] ?? NaN);
      assert(Math.abs(byte - wanted) <= 0.5 + 0.03, `byte ${i} is ${byte}, not ${wanted}`);
    });
  }
}

check("sample draws what unCLIP of diffusers drew, and repeats it from its PNG", async (folder) => {
  const model = await unCLIP("guided", folder);
  const out = join(folder, "out/");
  await succeed("sample", model, ...PROMPT, ...STEPS, ...SEED, "-n", "2", "-o", out);
  await assertDrawn(out, "guided"); // at diffusers' own scales
  const plain = ["--guidance", "cfg,scale=1", "--prior-scale", "1", "--batch-size", "2"];
  const free = join(folder, "free/");
  await succeed("sample", model, ...PROMPT, ...STEPS, ...SEED, ...plain, "-n", "2", "-o", free);
  await assertDrawn(free, "unguided");
  assertEquals(await filesOf(free), ["000000.png", "000001.png"]);
  const second = join(free, "000001.png");
  const { stdout } = await succeed("metadata", second);
  const text = new TextDecoder().decode(stdout);
  assert(text.includes("Prior: 5 steps at scale 1, Super-resolution: 4 steps"), text);
  const again = join(folder, "again.png");
  await succeed("sample", model, "--from", second, "-o", again);
  assertEquals((await readPng(again)).pixels, (await readPng(second)).pixels);
  // Of another model only what it has is repeated.
  const other = ["--from", second, "--guidance", "none", "--class", "3"];
  await succeed("sample", "digits", ...other, "--dry-run");
});

check("sample draws with unCLIP in any precision, size and from a picture", async (folder) => {
  const model = await unCLIP("guided", folder);
  const out = join(folder, "a.png");
  const few = ["--steps", "2", "--prior-steps", "2", "--super-res-steps", "2", "--seed", "1"];
  await succeed("sample", model, ...PROMPT, ...few, "-o", out);
  const full = join(folder, "full");
  await succeed("convert", model, "--dtype", "f32", "-o", full);
  const same = join(folder, "b.png");
  await succeed("sample", full, ...PROMPT, ...few, "-o", same);
  assertEquals((await readPng(same)).pixels, (await readPng(out)).pixels);
  const wide = join(folder, "wide.png");
  const begun = ["--init", out, "--strength", "0.5", "--width", "24", "--negative", "a dog"];
  await succeed("sample", model, ...PROMPT, ...few, ...begun, "-o", wide);
  const { width, height } = await readPng(wide);
  assertEquals([width, height], [24, 16]);
});

check("the decoder of an unCLIP says what it is told", async (folder) => {
  const { unet } = openModel(await unCLIP("guided", folder));
  assertEquals(unet.more.map(({ name, shape }) => [name, shape]), [
    ["encoder_hidden_states", [3 + 77, 8]],
    ["class_labels", [16]],
    ["attention_mask", [3 + 77]],
  ]);
});

check("an unCLIP says what it lacks, and what it does not take", async (folder) => {
  const model = await unCLIP("guided", folder);
  const drawn = ["sample", model, ...PROMPT];
  await refuse(2, "without a text: give one with --prompt", "sample", model);
  await refuse(
    2,
    "Cannot use --prior-steps with this model",
    "sample",
    "digits",
    "--prior-steps",
    "3",
  );
  await refuse(
    2,
    "Cannot use --prior-scale with this model",
    "sample",
    "digits",
    "--prior-scale",
    "3",
  );
  await refuse(2, "Cannot space 1001 steps over 1000", ...drawn, "--super-res-steps", "1001");
  await refuse(2, "must be at least 1", ...drawn, "--prior-steps", "0");
  await refuse(2, "it must be a multiple of 4", ...drawn, "--width", "30");
  await refuse(1, "no model that enlarges", ...drawn, "--low-res", "x.png");
  await refuse(2, "its prior draws an embedding", "interpolate", "1", "2", "--model", model);
  const index = join(model, "model_index.json");
  const values = JSON.parse(await Deno.readTextFile(index));
  await Deno.rename(join(model, "text_proj"), join(folder, "text_proj"));
  await refuse(1, "it has a decoder/ and no text_proj/", ...drawn);
  await Deno.rename(join(folder, "text_proj"), join(model, "text_proj"));
  await Deno.rename(join(model, "prior"), join(folder, "prior"));
  const variation = { ...values, _class_name: "UnCLIPImageVariationPipeline" };
  await Deno.writeTextFile(index, JSON.stringify(variation));
  await refuse(1, "only UnCLIPPipeline is known", ...drawn);
  await Deno.rename(join(folder, "prior"), join(model, "prior"));
  const config = join(model, "text_proj", "config.json");
  const projection = JSON.parse(await Deno.readTextFile(config));
  await Deno.writeTextFile(config, JSON.stringify({ ...projection, clip_embeddings_dim: 16 }));
  await refuse(1, "text_proj's clip_embeddings_dim is 16", ...drawn);
});

Deno.test("roundedLevels() weighs as UnCLIPScheduler does, and else as the posterior", () => {
  const level = (t: number, signal: number) => ({
    t,
    alpha: Math.sqrt(signal),
    sigma: Math.sqrt(1 - signal),
  });
  // alpha-bar of the cosine schedule at timesteps 999, 799, 400 and 0.
  const [noisy, high, middle] = [
    level(999, 2.4288e-9),
    level(799, 0.0940456),
    level(400, 0.645988),
  ];
  const first = posterior(...roundedLevels(noisy, high));
  assertEquals(first.x, 0); // 1.5e-4 but for float32
  assertAlmostEquals(first.x0, posterior(noisy, high).x0, 1e-6);
  const [rounded, exact] = [posterior(...roundedLevels(high, middle)), posterior(high, middle)];
  for (const weight of ["x", "x0", "variance", "beta"] as const) {
    assertAlmostEquals(rounded[weight], exact[weight], 1e-6);
  }
  const clean = { t: -1, alpha: 1, sigma: 0 };
  const last = posterior(...roundedLevels(level(0, 1 - 4.128422482e-5), clean));
  assertAlmostEquals(last.x0, 0.9994723, 1e-6); // what torch says
  assertEquals(last.variance, 0);
  assertEquals(roundedLevels(high, high), [high, high]);
});

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as tf from "tfjs";
import { openEngine } from "../../engines/mod.ts";
import { loadImage } from "../../images/load.ts";
import { toBitmaps } from "../../images/pixels.ts";
import { encodePng } from "../../images/png.ts";
import { psnr } from "../../images/psnr.ts";
import { loadDenoiser } from "../../pipeline/denoiser.ts";
import { openModel } from "../../pipeline/model.ts";
import { denoise as command } from "../cli/_run.ts";
import { readFixture } from "../_safetensors.ts";
import { assemble, stableDiffusion } from "../verification/_copy.ts";
import { check, filesOf, readPng, readPngs, refuse, succeed } from "./_main.ts";

const FAST = ["--steps", "2", "--seed", "1"];

check(
  "sample draws the prompt that diffusers drew, and repeats it from its PNG",
  async (folder) => {
    const model = await stableDiffusion(folder);
    const out = join(folder, "cat.png");
    const fixed = ["--seed", "0", "--rng", "torch", "--steps", "5"];
    await succeed("sample", model, "--prompt", "a photo of a small red cat", ...fixed, "-o", out);
    const { data } = readFixture("pipeline-sd/expected.safetensors")("images");
    const { pixels } = await readPng(out);
    pixels.forEach((byte, i) => {
      const wanted = 255 * (data[i] ?? NaN);
      assert(Math.abs(byte - wanted) <= 0.5 + 0.255, `byte ${i} is ${byte}, not ${wanted}`);
    });
    const { stdout } = await succeed("metadata", out);
    const text = new TextDecoder().decode(stdout);
    assert(text.includes("a photo of a small red cat\n  Steps: 5"), text);
    assert(text.includes("Guidance: cfg,scale=7.5"), text);
    const again = join(folder, "again.png");
    await succeed("sample", model, "--from", out, "-o", again);
    assertEquals((await readPng(again)).pixels, pixels);
  },
);

check("sample draws each line of a file, one image like the same prompt alone", async (folder) => {
  const model = await stableDiffusion(folder);
  const lines = join(folder, "prompts.txt");
  await Deno.writeTextFile(lines, "a cat\n\n  two blue dogs  \n");
  const out = join(folder, "out/");
  await succeed("sample", model, "--prompt-file", lines, "-n", "2", ...FAST, "-o", out);
  assertEquals(await filesOf(out), ["000000.png", "000001.png", "000002.png", "000003.png"]);
  const alone = join(folder, "alone.png");
  const seeded = ["--steps", "2", "--seed", "4"];
  await succeed("sample", model, "--prompt", "two blue dogs", ...seeded, "-o", alone);
  assertEquals(
    (await readPng(join(out, "000003.png"))).pixels,
    (await readPng(alone)).pixels,
  );
});

check(
  "sample draws lines of standard input as they come, the model loaded once",
  async (folder) => {
    const model = await stableDiffusion(folder);
    const flags = ["--prompt-file", "-", "-n", "2", ...FAST];
    const child = command(["sample", model, ...flags], undefined, "piped").spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("a cat\ntwo blue"));
    await writer.write(new TextEncoder().encode(" dogs"));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const images = readPngs(stdout);
    assertEquals(images.length, 4);
    const alone = join(folder, "alone.png");
    const seeded = ["--steps", "2", "--seed", "4"];
    await succeed("sample", model, "--prompt", "two blue dogs", ...seeded, "-o", alone);
    assertEquals(images[3]?.pixels, (await readPng(alone)).pixels);
  },
);

check(
  "sample guides away from --negative, leaves layers out and takes other sizes",
  async (folder) => {
    const model = await stableDiffusion(folder);
    const draw = async (name: string, ...flags: string[]) => {
      const out = join(folder, `${name}.png`);
      await succeed("sample", model, "--prompt", "a cat", ...FAST, ...flags, "-o", out);
      return await readPng(out);
    };
    const plain = await draw("plain");
    for (const flags of [["--negative", "dogs"], ["--clip-skip", "1"], ["--guidance", "none"]]) {
      const { pixels } = await draw(flags.join(""), ...flags);
      assert(pixels.some((byte, i) => byte !== plain.pixels[i]), `${flags} changes nothing`);
    }
    const same = await draw("sequential", "--cfg-batch", "sequential", "--batch-size", "3");
    assertEquals(same.pixels, plain.pixels);
    const wide = await draw("wide", "--width", "24");
    assertEquals([wide.width, wide.height], [24, 16]);
    const tiled = await draw("tiled", "--tile", "16", "--width", "32");
    assertEquals([tiled.width, tiled.height], [32, 16]);
  },
);

check("sample says what a model's prompts lack", async (folder) => {
  const model = await stableDiffusion(folder);
  await refuse(2, "without a text: give one with --prompt", "sample", model);
  await refuse(2, "it reads no texts", "sample", "digits", "--prompt", "a cat");
  await refuse(2, "it reads no texts", "sample", "digits", "--negative", "a cat");
  const two = ["--prompt", "a", "--prompt-file", "b"];
  await refuse(2, "together with --prompt-file", "sample", model, ...two);
  await refuse(2, "it must be a multiple of 4", "sample", model, "--prompt", "a", "--width", "30");
  await refuse(2, "has no classes", "sample", model, "--prompt", "a", "--class", "3");
  const long = "a cat ".repeat(60);
  const out = join(folder, "x.png");
  const { stderr } = await succeed("sample", model, "--prompt", long, ...FAST, "-o", out);
  assert(stderr.includes("The text encoder does not read the end of"), stderr);
});

check("sample fills a hole and enlarges an image", async (folder) => {
  const picture = join(folder, "picture.png");
  const few = ["--steps", "1", "--seed", "1"];
  await succeed("sample", "digits", "--class", "8", "--steps", "2", "-o", picture);
  const inpaint = await assemble("sd-inpaint", folder);
  await refuse(2, "give both with --init and --mask", "sample", inpaint, "--prompt", "x");
  const shown = ["--init", picture, "--mask", picture];
  const out = join(folder, "out.png");
  await succeed("sample", inpaint, "--prompt", "x", ...shown, ...few, "-o", out);
  assertEquals((await readPng(out)).width, 16);
  const upscale = await assemble("sd-upscale", folder);
  await refuse(2, "give it images with --low-res", "sample", upscale, "--prompt", "x");
  const [level, low] = [["--noise-level", "10"], ["--low-res", out]];
  const large = join(folder, "large.png");
  await succeed("sample", upscale, "--prompt", "x", ...low, ...level, ...few, "-o", large);
  assertEquals((await readPng(large)).width, 64);
  await refuse(2, "it is told no level", "sample", inpaint, "--prompt", "x", ...shown, ...level);
});

check("sample begins with a picture also where it works on latents", async (folder) => {
  const model = await stableDiffusion(folder);
  const picture = join(folder, "picture.png");
  await succeed("sample", "digits", "--class", "8", "--steps", "2", "-o", picture);
  const out = join(folder, "out.png");
  const some = ["--prompt", "a cat", "--init", picture, "--steps", "4", "--seed", "1"];
  await succeed("sample", model, ...some, "--strength", "0.5", "-o", out);
  const again = join(folder, "again.png");
  await succeed("sample", model, "--from", out, "-o", again);
  assertEquals((await readPng(again)).pixels, (await readPng(out)).pixels);
});

check("invert and interpolate work on latents and by texts", async (folder) => {
  const model = await stableDiffusion(folder);
  const picture = join(folder, "picture.png");
  await succeed("sample", "digits", "--class", "8", "--steps", "2", "-o", picture);
  const asked = ["--model", model, "--prompt", "a cat"];
  await refuse(2, "without a text: give one with --prompt", "invert", picture, "--model", model);
  const noise = join(folder, "noise.safetensors");
  await succeed("invert", picture, ...asked, "--steps", "40", "--refine", "8", "-o", noise);
  const out = join(folder, "back.png");
  await succeed("sample", model, "--noise", noise, "-o", out); // which says the prompt
  const back = await readPng(out);
  const engine = await openEngine("onnx");
  const { codec } = loadDenoiser(openModel(model), engine);
  const { pixels } = await loadImage(picture, { width: 16, height: 16, channels: 3 });
  const x = await codec.encode(tf.tensor4d(pixels, [1, 16, 16, 3]), () => tf.zeros([1, 8, 8, 4]));
  const { data, shape } = await codec.decode(x);
  await engine.dispose();
  const [passed] = toBitmaps(data, shape); // through the autoencoder alone
  assert(passed && psnr(back, passed) > 30, `${passed && psnr(back, passed)} dB`);
  const frames = join(folder, "frames/");
  const few = ["--steps", "2", "--negative", "a dog"];
  await succeed("interpolate", "5", "9", ...asked, ...few, "-n", "3", "-o", frames);
  for (const [frame, seed] of [["000000", "5"], ["000002", "9"]] as const) {
    await succeed("sample", model, "--prompt", "a cat", ...few, "--seed", seed, "-o", out);
    const end = await readPng(join(frames, `${frame}.png`));
    assertEquals(end.pixels, (await readPng(out)).pixels);
  }
  const two = ["--prompt", "a dog"];
  await refuse(2, "all images between show one text", "interpolate", "1", "2", ...asked, ...two);
  const upscale = await assemble("sd-upscale", folder);
  const other = ["--model", upscale, "--prompt", "a"];
  await refuse(2, "it is shown an image beside x", "invert", picture, ...other);
});

check("sample keeps a part of a picture also where it works on latents", async (folder) => {
  const model = await stableDiffusion(folder);
  const [picture, mask] = [join(folder, "picture.png"), join(folder, "mask.png")];
  const size = { width: 16, height: 16 };
  const pixels = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 7) % 256);
  await Deno.writeFile(picture, encodePng(pixels, { ...size, channels: 3 }));
  // A hole that covers no latent whole: from 5,5 to 8,8 of blocks of two.
  const isOpen = (i: number) => [i % 16, Math.floor(i / 16)].every((at) => at >= 5 && at < 8);
  const hole = Uint8Array.from({ length: 16 * 16 }, (_, i) => isOpen(i) ? 255 : 0);
  await Deno.writeFile(mask, encodePng(hole, { ...size, channels: 1 }));
  const some = ["--prompt", "a cat", "--init", picture, "--seed", "1", "--steps", "4"];
  const draw = async (name: string, ...flags: string[]) => {
    const out = join(folder, `${name}.png`);
    await succeed("sample", model, ...some, "--mask", mask, ...flags, "-o", out);
    const drawn = await readPng(out);
    drawn.pixels.forEach((byte, i) => {
      if (!isOpen(Math.floor(i / 3))) assertEquals(byte, pixels[i]);
    });
    return drawn.pixels.filter((_, i) => isOpen(Math.floor(i / 3)));
  };
  const drawn = await draw("drawn");
  const old = pixels.filter((_, i) => isOpen(Math.floor(i / 3)));
  assert(drawn.every((byte, i) => byte === old[i]) === false, "nothing was drawn");
  const ways = [["--inpaint", "repaint,jump=2,resample=2"], ["--strength", "0.5"]];
  for (const flags of ways) assert(String(await draw("other", ...flags)) !== String(drawn));
  const both = join(folder, "both/"); // each from the latents that its own seed draws
  const two = ["--mask", mask, "-n", "2", "--batch-size", "2", "-o", both];
  await succeed("sample", model, ...some, ...two);
  assertEquals(
    (await readPng(join(both, "000000.png"))).pixels,
    (await readPng(join(folder, "drawn.png"))).pixels,
  );
});

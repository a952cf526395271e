import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { encodePng } from "../../images/png.ts";
import { folderOf } from "../_parity.ts";
import { check, filesOf, readPng, refuse, succeed } from "./_main.ts";

const FLAGS =
  "--image_size 8 --noise_schedule linear --num_head_channels 16 --timestep_respacing 4";
const common = ["--engine", "cpu", "--seed", "7", "--class", "3"];

/** A diffusion model and a classifier as OpenAI saves them. */
async function writeFiles(folder: string): Promise<{ model: string; classifier: string }> {
  const [model, classifier] = [join(folder, "model.pt"), join(folder, "classifier.pt")];
  await Deno.copyFile(`${folderOf("openai-unet-legacy-pt")}/model.pt`, model);
  const from = folderOf("openai-classifier-attention");
  await Deno.copyFile(`${from}/model.safetensors`, classifier); // known by its first bytes
  await Deno.copyFile(`${from}/config.json`, join(folder, "classifier.json"));
  return { model, classifier };
}

check("sample draws from OpenAI's file as from a folder with its configuration", async (folder) => {
  const { model } = await writeFiles(folder);
  const out = join(folder, "a.png");
  const { stderr } = await succeed(
    ...["sample", model, ...common, "-o", out],
    ...["--model-flags", `${FLAGS} --dropout 0.1`],
  );
  assertStringIncludes(stderr, "These model flags change no image: dropout");
  const copy = join(folder, "copy");
  await Deno.mkdir(join(copy, "scheduler"), { recursive: true });
  await Deno.mkdir(join(copy, "unet"));
  const unet = folderOf("openai-unet-legacy-pt");
  await Deno.copyFile(`${unet}/config.json`, join(copy, "unet", "config.json"));
  await Deno.copyFile(model, join(copy, "unet", "diffusion_pytorch_model.bin"));
  await Deno.writeTextFile(
    join(copy, "scheduler", "scheduler_config.json"),
    JSON.stringify({ _class_name: "DDPMScheduler", variance_type: "learned_range" }),
  );
  const other = join(folder, "b.png");
  await succeed("sample", copy, ...common, "--spacing", "4", "--sampler", "ddpm", "-o", other);
  assertEquals((await readPng(out)).pixels, (await readPng(other)).pixels);
});

check("sample repeats what a file does not say from its PNG", async (folder) => {
  const { model } = await writeFiles(folder);
  const [out, again] = [join(folder, "a.png"), join(folder, "b.png")];
  await succeed("sample", model, ...common, "--model-flags", FLAGS, "-o", out);
  await succeed("sample", model, "--engine", "cpu", "--from", out, "-o", again);
  assertEquals((await readPng(again)).pixels, (await readPng(out)).pixels);
  const cosine = FLAGS.replace("linear", "cosine");
  await succeed(
    ...["sample", model, "--engine", "cpu", "--from", out, "-o", again],
    ...["--model-flags", cosine],
  );
  assert(String((await readPng(again)).pixels) !== String((await readPng(out)).pixels));
  const { stdout } = await succeed("metadata", again, "--json");
  const { denoise } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(denoise.modelFlags, cosine);
  await succeed("sample", "digits", "--from", out, "--dry-run"); // which says itself
});

check("sample follows a classifier from a file of its own", async (folder) => {
  const { model, classifier } = await writeFiles(folder);
  const draw = ["sample", model, ...common, "--model-flags", FLAGS];
  const [free, guided, stronger] = ["free", "guided", "stronger"].map((it) =>
    join(folder, `${it}.png`)
  );
  await succeed(...draw, "-o", free!);
  await succeed(...draw, "--classifier", classifier, "-o", guided!);
  await succeed(
    ...draw,
    "--classifier",
    classifier,
    "--guidance",
    "classifier,scale=90",
    "-o",
    stronger!,
  );
  const [a, b, c] = await Promise.all([free!, guided!, stronger!].map(readPng));
  assert(String(a!.pixels) !== String(b!.pixels) && String(b!.pixels) !== String(c!.pixels));
  const { stdout } = await succeed("metadata", guided!);
  assertStringIncludes(new TextDecoder().decode(stdout), "classifier,scale=1");
  await refuse(
    2,
    "Cannot use --classifier by itself",
    ...draw,
    "--classifier",
    classifier,
    "--guidance",
    "none",
    "-o",
    free!,
  );
});

check("sample reads what a file does not say from a file beside it", async (folder) => {
  const { model } = await writeFiles(folder);
  const partly = "--image_size 8 --num_head_channels 16";
  await refuse(1, "do not say noise_schedule", "sample", model, "--model-flags", partly);
  const beside = {
    image_size: 8,
    noise_schedule: "linear",
    num_head_channels: 16,
    timestep_respacing: "ddim3",
  };
  await Deno.writeTextFile(join(folder, "model.json"), JSON.stringify(beside));
  const { stdout } = await succeed("sample", model, ...common, "--dry-run");
  assertEquals(new TextDecoder().decode(stdout).trim().split("\n").length, 5); // head, 4 levels
  await refuse(2, "Cannot use --image_sise", "sample", model, "--model-flags", "--image_sise 8");
  await refuse(1, "--num_channels is 64", "sample", model, "--model-flags", "--num_channels 64");
  await Deno.writeTextFile(join(folder, "model.json"), JSON.stringify({ channels: 3 }));
  await refuse(1, "Cannot use channels: no model", "sample", model);
  await refuse(1, "Cannot use --model-flags with", "sample", "digits", "--model-flags", FLAGS);
});

check(
  "sample enlarges the images of a folder in turn, and keeps where they were",
  async (folder) => {
    const model = folderOf("openai-superres");
    await Deno.mkdir(join(folder, "small"));
    await Deno.mkdir(join(folder, "empty"));
    for (const level of [0, 255]) {
      const pixels = new Uint8Array(4 * 4 * 3).fill(level);
      const png = encodePng(pixels, { width: 4, height: 4, channels: 3 });
      await Deno.writeFile(join(folder, "small", `${level}.png`), png);
    }
    const draw = ["sample", model, "--engine", "cpu", "--steps", "3", "--seed"];
    await succeed(
      ...draw,
      "1",
      "--low-res",
      join(folder, "small"),
      "--separate",
      "-o",
      join(folder, "out/"),
    );
    assertEquals(await filesOf(join(folder, "out")), ["000000.png", "000001.png"]);
    const [dark, light] = await Promise.all(
      ["000000.png", "000001.png"].map((name) => readPng(join(folder, "out", name))),
    );
    assertEquals([dark!.width, dark!.height], [8, 8]);
    // The second image by itself: the same noise beside another image is another picture.
    const again = join(folder, "again.png");
    await succeed(
      ...draw,
      "2",
      "--low-res",
      join(folder, "small", "255.png"),
      "-o",
      again,
    );
    assertEquals((await readPng(again)).pixels, light!.pixels);
    await succeed(...draw, "2", "--low-res", join(folder, "small", "0.png"), "-o", again);
    assert(String((await readPng(again)).pixels) !== String(light!.pixels));
    await refuse(2, "give it images with --low-res", ...draw, "1");
    await refuse(1, "is no model that enlarges images", "sample", "digits", "--low-res", folder);
    await refuse(1, "holds none", ...draw, "1", "--low-res", join(folder, "empty"), "--dry-run");
  },
);

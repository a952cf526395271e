import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { check, denoise, succeed } from "../commands/_main.ts";
import { assemble, stableDiffusion } from "./_copy.ts";

const PIPELINES = [
  "ldm",
  "ldm-sr",
  "pndm",
  "score-sde-ve",
  "sd-img2img",
  "sd-inpaint",
  "sd-mask",
  "sd-pndm",
  "sd-upscale",
  "sd-v",
];

for (const name of PIPELINES) {
  check(`verify draws what the pipeline ${name} of diffusers drew`, async (folder) => {
    const copy = await assemble(name, folder);
    const { stdout, stderr } = await succeed("verify", copy, "--json");
    const [{ kind, compared, ignored }] = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals([kind, ignored, stderr], ["pipeline", [], ""]);
    assertEquals(compared.map(({ name }: { name: string }) => name), ["images"]);
  });
}

check("verify follows Stable Diffusion from the tokens to the pixels", async (folder) => {
  const copy = await stableDiffusion(folder);
  const { stdout } = await succeed("verify", copy, "--json");
  const [{ compared }] = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(compared.map(({ name }: { name: string }) => name), [
    "input_ids",
    "prompt_embeds",
    "negative_prompt_embeds",
    "initial_latent",
    "timesteps",
    "latents",
    "decoded",
    "images",
  ]);
  const info = join(copy, "info.json");
  const run = JSON.parse(await Deno.readTextFile(info));
  await Deno.writeTextFile(info, JSON.stringify({ ...run, prompt: "a photo of a small red dog" }));
  const wrong = await denoise("verify", copy);
  assertEquals(wrong.code, 1);
  assert(wrong.stderr.includes("input_ids differs"), wrong.stderr);
});

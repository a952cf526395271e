import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { writeTiny } from "../commands/_tiny.ts";
import { check, readPng, refuse, succeed } from "../commands/_main.ts";
import { type Behavior, serveHub } from "./_server.ts";

/** A hub that has the tiny model as owner/name, and an empty cache. */
async function withHub(folder: string, use: (behavior: Behavior) => Promise<void>): Promise<void> {
  const source = join(folder, "source");
  await writeTiny(source);
  const names = [
    "model_index.json",
    "labels.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
  ];
  const files = Object.fromEntries(
    names.map((name) => [name, Deno.readFileSync(join(source, name))]),
  );
  await using server = serveHub({ files, large: new Set(names.slice(4)) });
  const variables = { HF_ENDPOINT: server.endpoint, HF_HOME: join(folder, "home") };
  try {
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    await use(server.behavior);
  } finally {
    for (const name of Object.keys(variables)) Deno.env.delete(name);
  }
}

check(
  "sample downloads a model of the hub once, then needs no network",
  (folder) =>
    withHub(folder, async (behavior) => {
      const [one, two, three] = ["a.png", "b.png", "c.png"].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ];
      const few = ["--steps", "2", "--seed", "3", "-n", "1"];
      await refuse(1, "the network is not to be used", "sample", "owner/name", "--offline");
      const { stderr } = await succeed("sample", "owner/name", ...few, "-o", one);
      assertStringIncludes(stderr, "Downloading owner/name (1 MB)");
      behavior.hides = 500;
      const again = await succeed("sample", "owner/name", ...few, "-o", two);
      assert(!again.stderr.includes("Downloading"), again.stderr);
      await succeed("sample", "--from", one, "-o", three);
      const { pixels } = await readPng(one);
      assertEquals((await readPng(two)).pixels, pixels);
      assertEquals((await readPng(three)).pixels, pixels);
      const info = await succeed("info", "owner/name", "--json");
      assertEquals(JSON.parse(new TextDecoder().decode(info.stdout)).name, "owner/name");
    }),
);

check(
  "pull prints the folder of a model, and others say how to come by it",
  (folder) =>
    withHub(folder, async () => {
      await refuse(1, "denoise pull owner/name downloads it", "info", "owner/name");
      const { stdout } = await succeed("pull", "owner/name", "--revision", "v2");
      const path = new TextDecoder().decode(stdout).trim();
      assertEquals(
        await Deno.stat(join(path, "unet", "config.json")).then((it) => it.isFile),
        true,
      );
      await succeed("info", "owner/name@v2");
      await refuse(1, "denoise pull owner/name downloads it", "info", "owner/name");
      await refuse(2, "it goes with OWNER/NAME", "sample", "digits", "--revision", "v2");
      await refuse(2, 'Cannot download "digits"', "pull", "digits");
    }),
);

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import { encodePng, readChunks } from "../../images/png.ts";
import { readSafetensors } from "../../models/safetensors.ts";
import { check, filesOf, readPng, readPngs, refuse, succeed } from "./_main.ts";
import { writeTiny } from "./_tiny.ts";

const FAST = ["--engine", "cpu", "--steps", "4"];

/** What a test of editing works with. */
interface Bench {
  readonly folder: string;
  readonly model: string;
  /** A picture of 8x8, a mask whose lower half is white, one of another size. */
  readonly picture: string;
  readonly mask: string;
  readonly small: string;
  readonly at: (name: string) => string;
  readonly sample: (...args: string[]) => ReturnType<typeof succeed>;
}

function checkEdit(name: string, fn: (bench: Bench) => Promise<void>): void {
  check(name, async (folder) => {
    const at = (name: string) => join(folder, name);
    const model = at("tiny");
    await writeTiny(model);
    const gray = async (name: string, edge: number, value: (i: number) => number) => {
      const pixels = Uint8Array.from({ length: edge ** 2 }, (_, i) => value(i));
      await Deno.writeFile(at(name), encodePng(pixels, { width: edge, height: edge, channels: 1 }));
      return at(name);
    };
    await fn({
      folder,
      model,
      at,
      picture: await gray("picture.png", 8, (i) => (i * 37) % 256),
      mask: await gray("mask.png", 8, (i) => i < 32 ? 0 : 255),
      small: await gray("small.png", 5, (i) => i < 12 ? 0 : 255),
      sample: (...args) => succeed("sample", model, ...FAST, ...args),
    });
  });
}

const EDITS = {
  "--init": (b: Bench) => ["--init", b.picture, "--strength", "0.5"],
  "--mask": (b: Bench) => ["--init", b.picture, "--mask", b.mask],
  "--inpaint repaint": (b: Bench) => [
    ...["--init", b.picture, "--mask", b.mask],
    ...["--inpaint", "repaint,jump=2,resample=2", "--sampler", "ddpm"],
  ],
  "--place": (b: Bench) => ["--init", b.picture, "--place", "-3,2"],
  "--variations": () => ["--variations", "0.4"],
} as const;

for (const [name, edit] of Object.entries(EDITS)) {
  checkEdit(
    `sample ${name} depends on seed and index alone, and is repeated by --from`,
    async (bench) => {
      const { at, sample, folder, model } = bench;
      const args = [...edit(bench), "--seed", "5", "-n", "3"];
      await sample(...args, "-o", at("whole/"));
      await sample(...args, "-o", at("parts/"), "--batch-size", "1", "--shard", "1/2");
      await sample(...args, "-o", at("parts/"), "--shard", "2/2");
      const names = await filesOf(at("whole"));
      assertEquals(names, await filesOf(at("parts")));
      const pixels = async (path: string) => [...(await readPng(join(folder, path))).pixels];
      for (const file of names) {
        const whole = await pixels(`whole/${file}`);
        assertEquals(await pixels(`parts/${file}`), whole);
        const one = ["--from", at(`whole/${file}`), "--engine", "cpu", "-o", at("again.png")];
        await succeed("sample", model, ...one);
        assertEquals(await pixels("again.png"), whole);
      }
      assertNotEquals(await pixels("whole/000000.png"), await pixels("whole/000001.png"));
      await sample("--seed", "5", "-n", "3", "-o", at("plain/"));
      assertNotEquals(await pixels("whole/000001.png"), await pixels("plain/000001.png"));
    },
  );
}

checkEdit("sample --mask keeps the bytes of black pixels and draws white ones", async (bench) => {
  const { at, sample } = bench;
  const before = [...(await readPng(bench.picture)).pixels];
  for (const way of ["--mask", "--inpaint repaint"] as const) {
    await sample(...EDITS[way](bench), "--seed", "1", "-n", "1", "-o", at("x.png"));
    const { pixels } = await readPng(at("x.png"));
    assertEquals([...pixels.slice(0, 32)], before.slice(0, 32));
    assertNotEquals([...pixels.slice(32)], before.slice(32));
  }
  await sample(...EDITS["--place"](bench), "--seed", "1", "-n", "1", "-o", at("x.png"));
  const { pixels } = await readPng(at("x.png"));
  for (let y = 2; y < 8; y++) {
    assertEquals([...pixels.slice(8 * y, 8 * y + 5)], before.slice(8 * (y - 2) + 3, 8 * (y - 1)));
  }
});

checkEdit(
  "sample --init goes down the last steps of the path, as --dry-run shows",
  async (bench) => {
    const rows = async (...args: string[]) =>
      new TextDecoder().decode((await bench.sample("--dry-run", ...args)).stdout).trim().split("\n")
        .slice(1).map((row) => row.trim().split(/\s+/)[1]);
    const all = await rows();
    assertEquals(await rows("--init", bench.picture, "--strength", "0.5"), all.slice(2));
    assertEquals(await rows("--init", bench.picture), all.slice(2)); // int(4 * 0.6)
    assertEquals(await rows(...EDITS["--mask"](bench)), all);
    assertEquals(
      (await rows(...EDITS["--inpaint repaint"](bench))).length,
      all.length + 3, // up to the second level once, then its two steps again
    );
  },
);

checkEdit(
  "sample --variations 0 draws the image of the seed, 1 those of the other seeds",
  async (bench) => {
    const { at, sample } = bench;
    const images = async (...args: string[]) => {
      const typed = ["--class", "cat", "--seed", "3", "-n", "2", "--separate", ...args, "-o", "-"];
      return readPngs((await sample(...typed)).stdout).map(({ pixels }) => [...pixels]);
    };
    const [first, second] = await images();
    assertEquals(await images("--variations", "0"), [first, first]);
    assertEquals(await images("--variations", "1"), [first, second]);
    assertEquals(await filesOf(at("")), ["mask.png", "picture.png", "small.png", "tiny"]);
  },
);

checkEdit("sample --from repeats an edit of the very same file only", async (bench) => {
  const { at, sample, model, picture } = bench;
  await sample("--init", picture, "--seed", "1", "-n", "1", "-o", at("x.png"));
  assertMatch((await readPng(at("x.png"))).text.parameters ?? "", /Denoising strength: 0.6/);
  await Deno.copyFile(bench.mask, picture);
  const again = ["sample", model, "--from", at("x.png"), "--engine", "cpu", "-o", at("y.png")];
  await refuse(2, "it is not the file of the settings", ...again);
  await succeed(...again, "--init", picture);
  await Deno.remove(picture);
  await refuse(2, "there is no such file", ...again);
});

checkEdit("editing refuses what does not go together in one sentence", async (bench) => {
  const { picture, mask, small, model, folder, at } = bench;
  await Deno.writeTextFile(at("notes.txt"), "no picture");
  const cases: readonly [readonly string[], string][] = [
    [["--mask", mask], "Cannot use --mask without --init"],
    [["--strength", "0.5"], "Cannot use --strength without --init"],
    [["--place", "1,1"], "Cannot use --place without --init"],
    [["--init", picture, "--inpaint", "replace"], "without --mask or --place"],
    [["--init", picture, "--strength", "1.5"], "must be between 0 and 1"],
    [["--init", picture, "--strength", "0"], "above 0 and at most 1"],
    [["--init", picture, "--strength", "0.2"], "less than one step is left"],
    [["--init", picture, "--place", "2"], "X,Y in whole pixels"],
    [["--init", picture, "--place", "2,2", "--strength", "0.5"], "nothing lies under"],
    [["--init", picture, "--place", "9,0"], "lie outside"],
    [["--init", picture, "--mask", small], "it has 5x5 pixels, it must have 8x8"],
    [["--init", picture, "--mask", mask, "--inpaint", "fill"], "replace or repaint"],
    [["--init", picture, "--mask", mask, "--inpaint", "repaint"], "jump must be smaller"],
    [["--init", picture, "--mask", mask, "--sampler", "dpm_adaptive"], "chooses its levels"],
    [["--init", at("notes.txt")], "Cannot decode"],
    [["--init", at("none.png")], "there is no such file"],
    [["--init", folder], "it is no file"],
    [["--init", picture, "--noise", at("none.safetensors")], "there is no such file"],
    [["--noise", picture], "it is no safetensors file"],
    [["--variations", "2"], "must be between 0 and 1"],
  ];
  for (const [args, message] of cases) {
    await refuse(2, message, "sample", model, ...FAST, "--seed", "1", ...args, "-o", at("x.png"));
  }
});

checkEdit(
  "invert writes noise that sample --noise begins with, settings and all",
  async (bench) => {
    const { at, model, picture, sample } = bench;
    const noise = at("noise.safetensors");
    const inverted = ["--model", model, "--class", "dog,cat", "--engine", "cpu", "--steps", "20"];
    const { stdout } = await succeed(
      "invert",
      picture,
      bench.mask,
      ...inverted,
      "--check",
      "-o",
      noise,
    );
    assertMatch(new TextDecoder().decode(stdout), /^0\t-?[\d.]+ dB\n1\t-?[\d.]+ dB\n$/);
    assertEquals(readSafetensors(noise).tensors.get("noise")?.shape, [2, 1, 8, 8]);
    await succeed("sample", model, "--noise", noise, "--engine", "cpu", "-o", at("back/"));
    const { text } = await readPng(at("back/000001.png"));
    const { steps, classes, guidance, edit } = JSON.parse(text.denoise ?? "");
    assertEquals([steps, classes, guidance, edit.noise.index], [20, ["cat"], ["none"], 1]);
    await succeed(
      "sample",
      model,
      "--from",
      at("back/000001.png"),
      "--engine",
      "cpu",
      "-o",
      at("one.png"),
    );
    const [whole, one] = [await readPng(at("back/000001.png")), await readPng(at("one.png"))];
    assertEquals(one.pixels, whole.pixels);
    await sample("--noise", noise, "--variations", "0.5", "--seed", "1", "-o", at("varied.png"));
    await writeTiny(at("rgb"), { config: { in_channels: 3, out_channels: 3 } });
    await refuse(2, "it is of 8x8x1, the model draws 8x8x3", "sample", at("rgb"), "--noise", noise);
    await refuse(2, "ends in .safetensors", "invert", picture, "--model", model, "-o", at("x.png"));
    await refuse(
      2,
      'Cannot find class "horse"',
      "invert",
      picture,
      "--model",
      model,
      "--class",
      "horse",
    );
  },
);

checkEdit(
  "interpolate leads from one seed's image to another's, as frames or as one APNG",
  async (bench) => {
    const { at, model, sample } = bench;
    const between = (...args: string[]) =>
      succeed("interpolate", ...args, "--model", model, ...FAST, "--guidance", "none");
    const { stdout } = await between("3", "9", "--class", "cat,dog", "-n", "4", "-o", "-");
    const frames = readPngs(stdout).map(({ pixels }) => [...pixels]);
    assertEquals(frames.length, 4);
    for (const [seed, name, frame] of [["3", "cat", 0], ["9", "dog", 3]] as const) {
      await sample(
        "--seed",
        seed,
        "--class",
        name,
        "--guidance",
        "none",
        "-n",
        "1",
        "-o",
        at("x.png"),
      );
      assertEquals([...(await readPng(at("x.png"))).pixels], frames[frame]);
    }
    await between("3", "9", "--class", "cat,dog", "-n", "4", "-o", at("frames/"));
    assertEquals((await filesOf(at("frames"))).length, 4);
    assertEquals([...(await readPng(at("frames/000002.png"))).pixels], frames[2]);
    await between(bench.picture, "9", "-n", "3", "-o", at("morph.png"));
    const chunks = readChunks(await Deno.readFile(at("morph.png")));
    assertEquals(chunks.filter(({ type }) => type === "fcTL").length, 3);
    await refuse(
      2,
      "ddim leads back",
      "interpolate",
      bench.picture,
      "9",
      "--model",
      model,
      "--sampler",
      "ddpm",
    );
    await refuse(
      2,
      "there are two ends",
      "interpolate",
      "1",
      "2",
      "--model",
      model,
      "--class",
      "cat,dog,cat",
    );
    await refuse(2, "ends in .png", "interpolate", "1", "2", "--model", model, "-o", at("x.gif"));
    await refuse(2, "it is for pictures", "interpolate", "1", "2", "--refine", "1");
    await refuse(
      2,
      "their noise is found",
      "interpolate",
      bench.picture,
      bench.mask,
      "--rng",
      "torch",
    );
    await refuse(2, "between 0 and 2^64", "interpolate", "1", "99999999999999999999");
    assert(!(await filesOf(at(""))).includes("x.gif"));
  },
);

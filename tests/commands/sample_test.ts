import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { join, relative, toFileUrl } from "@std/path";
import { encodePng, readChunks } from "../../images/png.ts";
import {
  assertClose,
  check,
  denoise,
  filesOf,
  readPng,
  readPngs,
  refuse,
  succeed,
} from "./_main.ts";
import { LABELS, writeTiny } from "./_tiny.ts";

const FAST = ["--engine", "cpu", "--steps", "3", "--seed", "5"];

/** A test that gets a tiny model's folder and a function that samples from it. */
function checkSample(
  name: string,
  fn: (
    folder: string,
    sample: (...args: string[]) => ReturnType<typeof succeed>,
    model: string,
  ) => Promise<void>,
): void {
  check(`sample ${name}`, async (folder) => {
    const model = join(folder, "tiny");
    await writeTiny(model);
    await fn(folder, (...args) => succeed("sample", model, ...FAST, ...args), model);
  });
}

checkSample("-o file.png writes a sheet of one image a class", async (folder, sample) => {
  const path = join(folder, "new", "x.png"); // its folder is made
  const { stdout, stderr } = await sample("-o", path);
  assertEquals([stdout.length, stderr], [0, `Wrote ${path} (seed 5)\n`]);
  const { width, height, channels, text } = await readPng(path);
  assertEquals([width, height, channels], [32, 12, 1]);
  const { model, seed, count, classes } = JSON.parse(text.denoise ?? "");
  assertEquals([model, seed, count, classes], ["tiny", "5", 3, LABELS]);
  assertEquals(await filesOf(join(folder, "new")), ["x.png"]);
});

checkSample("-o folder/ writes numbered files with their own settings", async (folder, sample) => {
  const out = join(folder, "out/");
  await sample("-o", out, "-n", "4", "--batch-size", "3");
  assertEquals(await filesOf(out), ["000000.png", "000001.png", "000002.png", "000003.png"]);
  const { width, height, text } = await readPng(join(out, "000002.png"));
  const { seed, count, classes } = JSON.parse(text.denoise ?? "");
  assertEquals([width, height, seed, count, classes], [8, 8, "7", 1, ["fish"]]);
});

checkSample("-o - and a pipe get the file's bytes and no others", async (folder, sample) => {
  const path = join(folder, "x.png");
  await sample("-o", path);
  const expected = await Deno.readFile(path);
  for (const to of [[], ["-o", "-"], ["--output=-", "-v"]]) {
    assertEquals((await sample(...to)).stdout, expected);
  }
});

checkSample("--separate gives one PNG an image", async (folder, sample) => {
  await sample("-o", join(folder, "out/"));
  const names = await filesOf(join(folder, "out"));
  const files = await Promise.all(names.map((name) => Deno.readFile(join(folder, "out", name))));
  const { stdout } = await sample("--separate");
  assertEquals([...stdout], files.flatMap((bytes) => [...bytes]));
  assertEquals(readPngs(stdout).length, 3);
  await sample("--separate", "-o", join(folder, "x.png"));
  assertEquals(await Deno.readFile(join(folder, "x-0002.png")), files[2]);
});

checkSample("gives the same bytes for the same seed, others for another", async (_, sample) => {
  const args = ["--sampler", "ddpm", "-n", "2"];
  const { stdout } = await sample(...args);
  assertEquals((await sample(...args)).stdout, stdout);
  const torch = (await sample(...args, "--rng", "torch")).stdout;
  assertNotEquals(readPngs(torch)[0]?.pixels, readPngs(stdout)[0]?.pixels);
  const [a] = readPngs((await sample("--class", "cat")).stdout);
  const [b] = readPngs((await sample("--class", "dog")).stdout);
  assertNotEquals(a?.pixels, b?.pixels, "the class must matter");
});

for (const rng of ["philox", "torch"]) {
  checkSample(
    `with ${rng} draws image i of a batch as the single image of seed + i`,
    async (_folder, _sample, model) => {
      const sample = async (seed: string, ...more: string[]) => {
        const { stdout } = await succeed(
          ...["sample", model, "--engine", "cpu", "--steps", "3", "--sampler", "ddpm"],
          ...["--class", "dog", "--separate", "--rng", rng, "--seed", seed, ...more],
        );
        return readPngs(stdout);
      };
      const batch = await sample("18446744073709551611", "-n", "8", "--batch-size", "5");
      const seeds = ["18446744073709551611", "18446744073709551615", "0", "2"]; // 2^64 wraps
      for (const [i, index] of [0, 4, 5, 7].entries()) {
        const [single] = await sample(seeds[i] ?? "", "-n", "1");
        const whole = batch[index];
        assert(single !== undefined && whole !== undefined);
        assertClose(single, whole);
      }
      assertNotEquals(batch[0]?.pixels, batch[1]?.pixels);
    },
  );
}

checkSample("--shard parts together are the whole, byte for byte", async (folder, sample) => {
  const args = ["-n", "5", "--sampler", "ddpm", "-o"];
  await sample(...args, join(folder, "whole/"));
  for (const part of ["1/2", "2/2"]) {
    await sample(...args, join(folder, "parts/"), "--shard", part, "--batch-size", "2");
  }
  const names = await filesOf(join(folder, "whole"));
  assertEquals([await filesOf(join(folder, "parts")), names.length], [names, 5]);
  for (const name of names) {
    assertEquals(
      await Deno.readFile(join(folder, "parts", name)),
      await Deno.readFile(join(folder, "whole", name)),
    );
  }
});

checkSample("--shard takes each image once, also where parts are empty", async (folder, sample) => {
  for (const part of ["1/4", "2/4", "3/4", "4/4"]) {
    await sample("-n", "2", "-o", join(folder, `${part[0]}/`), "--shard", part);
  }
  const found = await Promise.all(["1", "2", "3", "4"].map((i) => filesOf(join(folder, i))));
  assertEquals(found.flat().sort(), ["000000.png", "000001.png"]);
});

checkSample("--dry-run prints the path and draws nothing", async (folder, sample, model) => {
  const { stdout } = await sample("--dry-run", "-o", join(folder, "x.png"));
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) =>
    line.trim().split(/\s+/)
  );
  assertEquals(lines[0], ["step", "t", "alpha", "sigma", "logSNR"]);
  assertEquals(lines.slice(1).map(([step, t]) => [step, t]), [
    ["0", "999"],
    ["1", "666"],
    ["2", "332"],
    ["3", "-"],
  ]);
  for (const [, , alpha, sigma] of lines.slice(1)) {
    assert(Math.abs(Math.hypot(Number(alpha), Number(sigma)) - 1) < 1e-5);
  }
  assertEquals(await filesOf(folder), ["tiny"]);
  const { stdout: json } = await succeed("sample", model, "--steps", "2", "--dry-run", "--json");
  const path: { alpha: number }[] = JSON.parse(new TextDecoder().decode(json));
  assertEquals([path.length, path.at(-1)?.alpha], [3, 1]);
});

checkSample("--json prints settings and files, and no image bytes", async (folder, sample) => {
  const path = join(folder, "x.png");
  const { stdout } = await sample("--json", "-o", path);
  const { seed, steps, sampler, files, drawn } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals([seed, steps, sampler, files, drawn], ["5", 3, "ddim,eta=0", [path], 3]);
});

checkSample("--json leaves no room for images on stdout", async (_, _sample, model) => {
  await refuse(2, "--json", "sample", model, ...FAST, "--json", "-o", "-");
});

checkSample("--from repeats a run", async (folder, sample, model) => {
  const [first, again] = [join(folder, "a.png"), join(folder, "b.png")];
  await sample("-o", first, "--sampler", "ddpm,variance=large", "--rng", "torch", "--class", "2,0");
  await succeed("sample", model, "--from", first, "--engine", "cpu", "-o", again);
  assertEquals(await Deno.readFile(again), await Deno.readFile(first));
  await succeed("sample", model, "--from", first, "--engine", "cpu", "-o", again, "--steps", "2");
  const { text } = await readPng(again);
  const { steps, classes, rng } = JSON.parse(text.denoise ?? "");
  assertEquals([steps, classes, rng], [2, ["fish", "cat"], "torch"]);
});

checkSample(
  "--spacing takes a rule, which the PNG keeps and --from repeats",
  async (folder, sample) => {
    const [first, again] = [join(folder, "a.png"), join(folder, "b.png")];
    await sample("--spacing", "karras,rho=5,final=sigma_min", "-o", first);
    const { spacing } = JSON.parse((await readPng(first)).text.denoise ?? "");
    assertEquals(
      spacing,
      "karras,rho=5,sigma_min=0,sigma_max=0,t=fractional,final=sigma_min,start=auto",
    );
    await sample("--from", first, "-o", again);
    assertEquals((await readPng(again)).text.denoise, (await readPng(first)).text.denoise);
    assertEquals((await readPng(again)).pixels, (await readPng(first)).pixels);
  },
);

checkSample(
  "--timesteps and --sigmas say the levels, and --from repeats them",
  async (folder, _, model) => {
    const fixed = ["--engine", "cpu", "--seed", "5", "-n", "1"];
    const draw = async (name: string, ...args: string[]) => {
      const path = join(folder, name);
      await succeed("sample", model, ...fixed, ...args, "-o", path);
      const png = await readPng(path);
      return { path, pixels: png.pixels, settings: JSON.parse(png.text.denoise ?? "") };
    };
    const listed = await draw("a.png", "--timesteps", "900,400,20");
    assertEquals([listed.settings.steps, listed.settings.timesteps], [3, [900, 400, 20]]);
    const again = await draw("b.png", "--from", listed.path);
    assertEquals([again.pixels, again.settings], [listed.pixels, listed.settings]);
    const sigmas = await draw("c.png", "--from", listed.path, "--sigmas", "20,2,0");
    assertEquals([sigmas.settings.steps, sigmas.settings.timesteps], [2, undefined]);
    const stretched = await draw("d.png", "--from", sigmas.path, "--steps", "3");
    assertEquals(stretched.settings.sigmas.length, 4);
    assertEquals((await draw("e.png", "--from", stretched.path)).settings, stretched.settings);
    const respaced = await draw("f.png", "--from", listed.path, "--spacing", "ddim4");
    assertEquals([respaced.settings.steps, respaced.settings.spacing], [4, "ddim4"]);
  },
);

checkSample("refuses levels that it cannot visit", async (_, __, model) => {
  const refused: [string, string[]][] = [
    ['"x" is no number', ["--sigmas", "3,x"]],
    ['"" is no number', ["--timesteps", "3,"]],
    ["timesteps must fall", ["--timesteps", "3,30"]],
    ["timestep 1000: it must be between 0 and 999", ["--timesteps", "1000,3"]],
    ["Cannot use spacing and timesteps together", ["--timesteps", "9", "--spacing", "karras"]],
    ["did you mean karras?", ["--spacing", "karas"]],
  ];
  for (const [message, flags] of refused) await refuse(2, message, "sample", model, ...flags);
});

checkSample("tells what a scheduler says and is not followed", async (folder, _, model) => {
  const path = join(model, "scheduler/scheduler_config.json");
  const config = { ...JSON.parse(await Deno.readTextFile(path)), solver_ordre: 2, solver_order: 3 };
  await Deno.writeTextFile(path, JSON.stringify(config));
  const { stderr } = await succeed("sample", model, ...FAST, "-o", join(folder, "x.png"));
  assertStringIncludes(stderr, "The scheduler of tiny says solver_ordre=2, which is not followed");
  assert(!stderr.includes("solver_order="));
});

checkSample("--from repeats one image of a folder", async (folder, sample, model) => {
  const out = join(folder, "out/");
  await sample("-o", out, "--sampler", "ddpm");
  const { stdout } = await succeed(
    ...["sample", model, "--engine", "cpu", "--from", join(out, "000001.png")],
  );
  assertEquals(stdout, await Deno.readFile(join(out, "000001.png")));
});

checkSample("--from refuses a PNG without settings, and damaged ones", async (folder, _, model) => {
  const path = join(folder, "x.png");
  const one = { width: 1, height: 1, channels: 1 } as const;
  const texts: [Record<string, string>, string][] = [
    [{}, "holds no settings"],
    [{ denoise: "{" }, "are damaged"],
    [{ denoise: "null" }, "are damaged"],
    [{ denoise: '{"seed":"1"}' }, "are damaged"],
  ];
  for (const [text, message] of texts) {
    await Deno.writeFile(path, encodePng(Uint8Array.of(0), one, text));
    await refuse(1, message, "sample", model, "--from", path);
  }
  await Deno.writeTextFile(path, "GIF89a, or so it says");
  await refuse(1, "no PNG", "sample", model, "--from", path);
});

checkSample(
  "--from refuses classes that the model does not have",
  async (folder, sample, model) => {
    const path = join(folder, "x.png");
    await sample("-o", path, "--class", "dog");
    await Deno.writeTextFile(join(model, "labels.json"), '["a","b","c"]');
    const { code, stderr } = await denoise("sample", model, "--engine", "cpu", "--from", path);
    assertEquals([code > 0, stderr.includes("dog")], [true, true], stderr);
  },
);

checkSample("--from runs no code that the PNG names", async (folder, _, model) => {
  const code = "globalThis.attacked = true;";
  const [path, file] = [join(folder, "x.png"), join(folder, "evil.js")];
  await Deno.writeTextFile(file, code);
  const specs = [
    `data:text/javascript,${code}`,
    file,
    relative(".", file),
    toFileUrl(file).href,
    `x,${"/..".repeat(20)}${file}`, // what follows the comma can be no option, so it is a path
    " " + file,
  ];
  const size = { width: 1, height: 1, channels: 1 } as const;
  const common = { model: "tiny", seed: "1", count: 1, classes: ["cat"], steps: 2, rng: "philox" };
  for (const spec of specs) {
    for (const named of [{ sampler: spec, guidance: [] }, { sampler: "ddim", guidance: [spec] }]) {
      const text = { denoise: JSON.stringify({ ...common, unconditional: false, ...named }) };
      await Deno.writeFile(path, encodePng(Uint8Array.of(0), size, text));
      const { code } = await denoise("sample", model, "--engine", "cpu", "--from", path);
      assert(!("attacked" in globalThis), `the PNG's code has run: ${spec}`);
      assertNotEquals(code, 0);
    }
  }
});

checkSample("--trajectory animates the run, one frame a step", async (folder, sample) => {
  const path = join(folder, "run.png");
  await sample("-o", join(folder, "x.png"), "--trajectory", path, "--batch-size", "2");
  const chunks = readChunks(await Deno.readFile(path));
  const count = chunks.find(({ type }) => type === "acTL")?.data[3];
  assertEquals([count, chunks.filter(({ type }) => type === "fcTL").length], [3, 3]);
  // What viewers without animation show is the result.
  assertEquals((await readPng(path)).pixels, (await readPng(join(folder, "x.png"))).pixels);
});

checkSample("--class takes names, numbers and none", async (_, sample) => {
  const { stdout } = await sample("--class", "dog");
  assertEquals((await sample("--class", " 1")).stdout, stdout);
  assertNotEquals(readPngs((await sample("--class", "none")).stdout), readPngs(stdout));
  const [sheet] = readPngs((await sample("--class", "cat,none", "-n", "5")).stdout);
  assertEquals(JSON.parse(sheet?.text.denoise ?? "").classes, ["cat", "none"]);
});

checkSample("--unconditional ignores the class", async (_, sample) => {
  const args = ["--unconditional", "--guidance", "none", "--class"];
  const [cat] = readPngs((await sample(...args, "cat")).stdout);
  const [none] = readPngs((await sample("--guidance", "none", "--class", "none")).stdout);
  assertEquals(cat?.pixels, none?.pixels);
});

checkSample("--guidance cfg moves the images, at scale 1 it does not", async (_, sample) => {
  const pixels = async (...args: string[]) => readPngs((await sample(...args)).stdout)[0]?.pixels;
  const plain = await pixels("--guidance", "clip");
  assertEquals(await pixels("--guidance", "cfg,scale=1", "--guidance", "clip"), plain);
  assertNotEquals(await pixels("--guidance", "cfg,scale=4", "--guidance", "clip"), plain);
});

check("sample --guidance classifier follows the model's classifier", async (folder) => {
  await writeTiny(folder, { classifier: true });
  const sample = async (...args: string[]) =>
    readPngs((await succeed("sample", folder, ...FAST, "--class", "cat", ...args)).stdout)[0];
  const plain = await sample("--guidance", "none");
  const guided = await sample("--guidance", "classifier,scale=20");
  assertNotEquals(guided?.pixels, plain?.pixels);
});

check("sample numbers the classes of a model without labels", async (folder) => {
  await writeTiny(folder);
  await Deno.remove(join(folder, "labels.json"));
  const { stdout } = await succeed("sample", folder, ...FAST);
  assertEquals(JSON.parse(readPngs(stdout)[0]?.text.denoise ?? "").classes, ["0", "1", "2", "3"]);
});

checkSample("without -o and a terminal writes to the pipe, quietly", async (_, sample) => {
  const { stderr } = await sample("-q", "-n", "1");
  assertEquals(stderr, "");
});

checkSample("--help shows the options of the plugins that are named", async () => {
  const { stdout } = await succeed("sample", "--sampler", "ddim", "--guidance", "cfg", "--help");
  const text = new TextDecoder().decode(stdout);
  assertStringIncludes(text, "Options of ddim");
  assertMatch(text, /scale=NUMBER\|LIST +s: 1 is off/);
});

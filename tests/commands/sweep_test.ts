import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs";
import { join } from "@std/path";
import { readPngText } from "../../images/png.ts";
import { denoise as spawn } from "../cli/_run.ts";
import { writeImages } from "../evaluation/_images.ts";
import { assertClose, check, denoise, filesOf, readPng, refuse, succeed } from "./_main.ts";
import { writeTiny } from "./_tiny.ts";

const FAST = ["--engine", "cpu"];
const AXES = ["--guidance", "cfg,scale=1..3", "--sampler", "ddim,ddpm", "--steps", "2,4"];

interface CellJson {
  readonly values: Record<string, string>;
  readonly settings: Record<string, unknown>;
  readonly seconds: number;
  readonly calls: number;
  readonly file: string;
  readonly failure?: string;
  readonly figures?: Record<string, { value: number }>;
}

const cellsOf = ({ stdout }: { stdout: Uint8Array }): CellJson[] =>
  JSON.parse(new TextDecoder().decode(stdout)).cells;

/** The cells that are kept in a folder; none where there is no such folder. */
const pictures = async (folder: string) =>
  (await filesOf(folder).catch((): string[] => []))
    .filter((name) => /^[^.].*\.png$/.test(name) && !name.endsWith("-film.png"));

/** A test that gets a folder with a tiny model, and a function that sweeps with it. */
function checkSweep(
  name: string,
  fn: (
    folder: string,
    sweep: (...args: string[]) => ReturnType<typeof succeed>,
    model: string,
  ) => Promise<void>,
): void {
  check(`sweep ${name}`, async (folder) => {
    const model = join(folder, "tiny");
    await writeTiny(model);
    const cells = ["--cells", join(folder, "kept")];
    const two = (args: string[]) => args.includes("-n") ? [] : ["-n", "2"];
    const sweep = (...args: string[]) =>
      succeed("sweep", model, ...FAST, ...two(args), ...cells, ...args);
    await fn(folder, sweep, model);
  });
}

checkSweep(
  "writes a sheet and a page, and keeps each cell with its settings",
  async (folder, sweep) => {
    const path = join(folder, "sheet.png");
    const result = await sweep(...AXES, "-o", path, "--json");
    assertMatch(result.stderr, /Wrote .*sheet\.png and .*sheet\.html \(12 of 12 cells\)/);
    const { axes, files } = JSON.parse(new TextDecoder().decode(result.stdout));
    assertEquals(axes, { across: "cfg scale", down: "sampler", blocks: ["steps"] });
    assertEquals(files, [path, join(folder, "sheet.html")]);
    const { width, height, channels, text } = await readPng(path);
    assert(width > 3 * 128 && height > 4 * 128 / 2 && channels === 1, `${width}x${height}`);
    assertStringIncludes(text.parameters ?? "", "2 images a cell");

    const cells = cellsOf(result);
    assertEquals(cells.length, 12);
    for (const { values, settings, calls, file } of cells) {
      assertEquals(String(settings.steps), values.steps);
      assertEquals(String(settings.sampler).split(",")[0], values.sampler);
      assertEquals([settings.seed, settings.count], ["0", 2], "the same seeds in every cell");
      assertEquals(calls, Number(values.steps));
      const { denoise = "" } = readPngText(await Deno.readFile(file));
      assertEquals(JSON.parse(denoise).guidance, settings.guidance);
    }
    assertEquals(
      await pictures(join(folder, "kept")),
      cells.map(({ file }) => file.split("/").at(-1)).sort(),
    );
  },
);

checkSweep("draws what sample draws", async (folder, sweep, model) => {
  const [cell] = cellsOf(
    await sweep("--steps", "3,2", "--sampler", "ddpm", "--json", "-o", join(folder, "x.png")),
  );
  const image = join(folder, "image.png");
  await succeed("sample", model, "--from", cell?.file ?? "", "-o", image, "--engine", "cpu");
  const picture = await readPng(cell?.file ?? "");
  assertClose(picture, await readPng(image));
  const film = await readPng((cell?.file ?? "").replace(".png", "-film.png"));
  const width = film.width / 3; // a picture for each step
  assertEquals([width, film.height], [picture.width, picture.height]);
  const last = film.pixels.filter((_, i) => i % film.width >= 2 * width);
  assertEquals(last, picture.pixels);
});

checkSweep("takes up cells, also those of another sweep", async (folder, sweep) => {
  const first = await sweep("--steps", "2,3", "-o", join(folder, "a/"));
  assert(!first.stderr.includes("Took up"));
  const { stderr } = await sweep("--steps", "2..5", "-o", join(folder, "b/"), "--json");
  assertStringIncludes(stderr, `Took up 2 of 4 cells from ${join(folder, "kept")}`);
  assertEquals(await filesOf(join(folder, "b")), ["sheet.html", "sheet.png"]);
  const again = await sweep("--steps", "2..5", "-o", join(folder, "c/"));
  assertStringIncludes(again.stderr, "Took up 4 of 4 cells");
  const sheets = ["b", "c"].map((name) => Deno.readFile(join(folder, name, "sheet.png")));
  assertEquals(...await Promise.all(sheets) as [Uint8Array, Uint8Array]);
  await sweep("--steps", "2,3", "-n", "1", "-o", join(folder, "d/"));
  assertEquals((await pictures(join(folder, "kept"))).length, 6, "other images, other cells");
});

checkSweep("draws anew what an edited plugin or model changes", async (folder, sweep, model) => {
  const mine = join(folder, "mine.js");
  const write = (factor: number) =>
    Deno.writeTextFile(
      mine,
      `export default { name: "mine", summary: "-", options: {}, async step({ x, from, predict }) {
        const { x0 } = await predict(x, from);
        return { x: x0.mul(${factor}) };
      } };`,
    );
  await write(1);
  const run = () => sweep("--sampler", `ddim,${mine}`, "--steps", "2", "-o", join(folder, "x/"));
  await run();
  assertStringIncludes((await run()).stderr, "Took up 2 of 2");
  await write(0.5);
  assertStringIncludes((await run()).stderr, "Took up 1 of 2");
  const scheduler = join(model, "scheduler", "scheduler_config.json");
  await Deno.writeTextFile(
    scheduler,
    (await Deno.readTextFile(scheduler)).replace("linear", "scaled_linear"),
  );
  assert(!(await run()).stderr.includes("Took up"));
});

check("a sweep that was killed goes on where it stopped", async (folder) => {
  await writeTiny(join(folder, "tiny"));
  const args = ["sweep", "tiny", ...FAST, "-n", "1", "--steps", "12..16", "--sampler", "ddim,ddpm"];
  const child = spawn([...args, "-o", "out/"], folder).spawn();
  const kept = () => pictures(join(folder, "out", "cells"));
  while ((await kept()).length < 2) await new Promise((done) => setTimeout(done, 5));
  child.kill("SIGKILL");
  await Promise.all([child.status, child.stdout.cancel(), child.stderr.cancel()]);
  const before = await kept();
  assert(before.length < 10, "it was killed too late");
  assert(!(await exists(join(folder, "out", "sheet.png"))));
  const { code, stderr } = await spawn([...args, "-o", "out/"], folder).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 0, said);
  assertStringIncludes(said, `Took up ${before.length} of 10 cells`);
  assertStringIncludes(said, "(10 of 10 cells)");
});

check("Ctrl-C writes the cells that a sweep has made", async (folder) => {
  await writeTiny(join(folder, "tiny"));
  const args = ["sweep", "tiny", ...FAST, "-n", "1", "--steps", "12..16", "--sampler", "ddim,ddpm"];
  const child = spawn([...args, "-o", "out/", "--json"], folder).spawn();
  const output = child.output();
  const kept = () => pictures(join(folder, "out", "cells"));
  while ((await kept()).length < 2) await new Promise((done) => setTimeout(done, 5));
  child.kill("SIGINT");
  const { code, stdout, stderr } = await output;
  assertEquals(code, 130);
  const said = new TextDecoder().decode(stderr);
  const [, made = ""] = said.match(/\((\d+) of 10 cells\)/) ?? [];
  assert(Number(made) >= 1 && Number(made) < 10, said);
  assertEquals(cellsOf({ stdout }).filter(({ file }) => file !== undefined).length, Number(made));
  const page = await Deno.readTextFile(join(folder, "out", "sheet.html"));
  assertEquals(page.match(/not drawn/g)?.length, 10 - Number(made));
});

checkSweep("--dry-run lists cells with the calls that they then make", async (folder, sweep) => {
  const args = ["--sampler", "ddim,heun", "--steps", "2,3", "--spacing", "karras,rho=7"];
  const { stdout, stderr } = await sweep(...args, "--dry-run", "--json");
  const listed: { values: Record<string, string>; calls: number }[] = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  assertEquals(listed.map(({ calls }) => calls), [2, 3, 3, 5]);
  assertStringIncludes(stderr, "4 cells, 13 calls of the network");
  assert(!(await exists(join(folder, "kept"))), "nothing is drawn");
  const drawn = cellsOf(await sweep(...args, "--json", "-o", join(folder, "x.png")));
  assertEquals(drawn.map(({ calls }) => calls), listed.map(({ calls }) => calls));
  const table = new TextDecoder().decode((await sweep(...args, "--dry-run")).stdout);
  assertMatch(table, /^sampler +steps +calls +images\nddim +2 +2 +2\n/);
});

checkSweep("--measure adds figures to the page and to --json", async (folder, sweep, model) => {
  await writeTiny(model, { classifier: true });
  const images = join(folder, "images.npz");
  await writeImages(images, { count: 16 });
  const measure = ["--measure", "8", "-r", images, "--features", join(model, "classifier")];
  const args = [
    "--guidance",
    "cfg,scale=1,4",
    "--steps",
    "2",
    ...measure,
    "-o",
    join(folder, "x/"),
  ];
  const cells = cellsOf(await sweep(...args, "--json"));
  for (const { figures = {} } of cells) {
    const { accuracy, recall, precision, fid } = figures;
    assert([accuracy, recall, precision].every((it) => it && it.value >= 0 && it.value <= 1));
    assert(fid && fid.value > 0);
  }
  const page = await Deno.readTextFile(join(folder, "x", "sheet.html"));
  assertStringIncludes(page, "Of 8 images a cell");
  assertEquals(page.match(/<svg/g)?.length, 5);
  assertEquals(cellsOf(await sweep(...args, "--json")), cells, "nothing is drawn twice");
});

checkSweep("leaves out a cell that cannot be drawn and goes on", async (folder, _, model) => {
  const args = [
    "--guidance",
    "cfg,scale=1,1e30",
    "--steps",
    "2",
    "--json",
    "-o",
    join(folder, "x.png"),
  ];
  const kept = ["--cells", join(folder, "kept")];
  const result = await denoise("sweep", model, ...FAST, ...kept, ...args);
  assertEquals(result.code, 1);
  assertMatch(result.stderr, /warning: Left out cfg scale 1e\+?30: .*stopped being finite/);
  assertStringIncludes(result.stderr, "(1 of 2 cells)");
  const [good, bad] = cellsOf(result);
  assertEquals([good?.failure, bad?.file], [undefined, undefined]);
  assertStringIncludes(bad?.failure ?? "", "stopped being finite");
  const none = ["--guidance", "cfg,scale=1e29,1e30", "--steps", "2", "-o", join(folder, "y.png")];
  const { code, stderr } = await denoise("sweep", model, ...FAST, ...kept, ...none);
  assertEquals(code, 1);
  assertMatch(stderr, /^error: Image 0 stopped being finite/m);
  assert(!(await exists(join(folder, "y.png"))));
});

checkSweep("compares models, classes, seeds and paths", async (folder, sweep, model) => {
  await writeTiny(join(folder, "other"), { config: { layers_per_block: 2 } });
  const cells = cellsOf(
    await sweep(
      join(folder, "other"),
      ...["--class", "cat + dog,fish", "--seed", "3,7", "--spacing", "trailing,leading"],
      ...["--steps", "2", "--json", "-o", join(folder, "x.png")],
    ),
  );
  assertEquals(cells.length, 16);
  assertEquals(new Set(cells.map(({ file }) => file)).size, 16);
  assertEquals(
    new Set(cells.map(({ values }) => values.model)),
    new Set([model, join(folder, "other")]),
  );
  const classes = cells.map(({ settings }) => (settings.classes as string[]).join());
  assertEquals(new Set(classes), new Set(["cat,dog", "fish"]));
});

checkSweep("refuses what cannot be swept", async (folder, _, model) => {
  const start = ["sweep", model, ...FAST];
  await refuse(2, "Cannot sweep over one cell", ...start);
  await refuse(
    2,
    "= 160,000 cells: at most 400",
    ...start,
    "--steps",
    "1..400",
    "--seed",
    "1..400",
  );
  await refuse(2, "did you mean ddpm?", ...start, "--sampler", "ddim,ddmp");
  await refuse(2, "scale must be at least 0", ...start, "--guidance", "cfg,scale=-1..3");
  await refuse(2, 'Cannot find class "bird"', ...start, "--class", "cat,bird");
  await refuse(
    2,
    "Cannot use --reference without --measure",
    ...start,
    "--steps",
    "1,2",
    "-r",
    "mnist",
  );
  await refuse(2, "without --reference", ...start, "--steps", "1,2", "--measure", "5");
  await refuse(2, "to stdout: give -o", ...start, "--steps", "1,2", "--json", "-o", "-");
  await refuse(2, 'Cannot lay "size" out', ...start, "--steps", "1,2", "--across", "size");
  await refuse(1, "Cannot find the model", "sweep", join(folder, "none"), "--steps", "1,2");
  const images = join(folder, "images.npz");
  await writeImages(images, { edge: 12 });
  const measure = ["--measure", "5", "-r", images, "-o", join(folder, "x.png")];
  await refuse(2, "whose images are 8x8 grey, against", ...start, "--steps", "1,2", ...measure);
});

checkSweep("draws in the precision of sample", async (folder, _, model) => {
  const [sheet, image] = [join(folder, "x.png"), join(folder, "image.png")];
  const args = ["-n", "2", "--engine", "onnx", "--threads", "1"];
  const swept = [...args, "--steps", "2,3", "--cells", join(folder, "kept"), "-o", sheet, "--json"];
  await succeed("quantize", model, "--steps", "2", "-n", "2", "--threads", "1");
  const drawn = new Set<string>();
  for (const precision of ["q4_0", "int8", "f32"]) {
    const [cell] = cellsOf(await succeed("sweep", model, ...swept, "--precision", precision));
    assertEquals(cell?.settings["precision"], precision === "f32" ? undefined : precision);
    const { pixels } = await readPng(cell?.file ?? "");
    drawn.add(pixels.join());
    const same = ["--steps", "2", "--seed", "0", "--precision", precision, "-o", image];
    await succeed("sample", model, ...args, ...same);
    assertEquals(pixels, (await readPng(image)).pixels, precision);
  }
  assertEquals(drawn.size, 3);
  const refused = ["sweep", model, "--steps", "2,3", "--precision", "q8_0"];
  await refuse(1, "q8_0: plain JavaScript", ...refused, ...FAST);
  const unused = "Cannot use --scales with precision q8_0";
  await refuse(2, unused, ...refused, "--scales", "x.json");
});

Deno.test("sweep --help has the options of the plugins that are listed", async () => {
  const args = [
    "--sampler",
    "ddim,heun",
    "--guidance",
    "cfg,scale=1..3 + clip",
    "--spacing",
    "karras",
  ];
  const { stdout } = await succeed("sweep", ...args, "--help");
  const text = new TextDecoder().decode(stdout);
  for (const name of ["ddim", "heun", "cfg", "clip", "karras"]) {
    assertStringIncludes(text, `Options of ${name} (`);
  }
});

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { denoise as spawn } from "../cli/_run.ts";
import { check, filesOf, readPng, refuse, succeed } from "../commands/_main.ts";
import { writeTiny } from "../commands/_tiny.ts";
import { encodeNpz, readNpz } from "../../training/data/npz.ts";
import { stableDiffusion } from "../verification/_copy.ts";
import { writeImages } from "./_images.ts";

const PIXELS = ["--features", "pixels", "--engine", "cpu"];

/** The figures of a command that must succeed. */
async function figures(...args: string[]) {
  const { stdout, stderr } = await succeed("evaluate", ...args, "--json");
  const report = JSON.parse(new TextDecoder().decode(stdout));
  return { report, stderr, values: report.figures as Record<string, { value: number }> };
}

check("evaluate finds nothing between images and themselves", async (folder) => {
  const images = join(folder, "images.npz");
  await writeImages(images);
  const { values, report, stderr } = await figures(images, "-r", images, ...PIXELS);
  assertAlmostEquals(values.fid!.value, 0, 1e-9);
  for (const name of ["precision", "recall", "coverage"]) assertEquals(values[name]!.value, 1);
  assertAlmostEquals(values.neighbor_distance!.value, 0, 1e-3);
  assert(values.kid!.value <= 0, "an unbiased estimate of 0 goes below it");
  assertEquals([report.samples.count, report.reference.count, report.dims], [40, 40, 64]);
  assertEquals(
    report.skipped.map(({ metric }: { metric: string }) => metric),
    [
      "sfid",
      "inception_score",
      "accuracy",
      "bits",
    ].slice(0, 3),
  );
  assertStringIncludes(stderr, "warning: FID of 40 images is too high by its bias");
  assertStringIncludes(stderr, "40 images span fewer dimensions than the 64 of a feature");
});

check("evaluate prints how many images each figure is of", async (folder) => {
  const [ours, theirs] = [join(folder, "a.npz"), join(folder, "b.npz")];
  await writeImages(ours, { count: 30, level: 20 });
  await writeImages(theirs, { count: 50, seed: 2 });
  const { stdout } = await succeed("evaluate", ours, "-r", theirs, ...PIXELS, "-n", "25");
  const lines = new TextDecoder().decode(stdout).split("\n");
  assert(lines.some((line) => /^samples .*a\.npz, 25 images of 8x8 grey$/.test(line)));
  assert(lines.some((line) => /^reference .*b\.npz, 50 images of 8x8 grey$/.test(line)));
  const measured = lines.filter((line) => line.includes("better") || line.includes("best"));
  assert(measured.length >= 8 && measured.every((line) => line.includes("n = 25")));
  assertStringIncludes(lines.join("\n"), "sfid: not measured, these features have no spatial half");
});

check("evaluate keeps a reference's statistics and takes them again", async (folder) => {
  const [ours, theirs, kept] = ["a", "b", "kept"].map((name) => join(folder, `${name}.npz`));
  await writeImages(ours!, { level: 20 });
  await writeImages(theirs!, { count: 50, seed: 2 });
  const first = await figures(ours!, "-r", theirs!, ...PIXELS, "--save-statistics", kept!);
  const again = await figures(ours!, "-r", kept!, ...PIXELS);
  assertEquals(again.values, first.values);
  assertEquals(again.report.reference, { ...first.report.reference, name: `${theirs} (kept.npz)` });

  const npz = await readNpz(kept!);
  const plain = join(folder, "plain.npz"); // as pytorch-fid writes it
  const arrays = { mu: await npz.read("mu"), sigma: await npz.read("sigma") };
  await Deno.writeFile(plain, encodeNpz(arrays));
  const { values, report } = await figures(ours!, "-r", plain, ...PIXELS, "--metrics", "fid,kid");
  assertEquals(values, { fid: first.values.fid! });
  assertStringIncludes(report.skipped[0].reason, "saved statistics without the features");

  await writeTiny(join(folder, "tiny"), { classifier: true });
  const other = ["--features", join(folder, "tiny", "classifier"), "--engine", "cpu"];
  await refuse(2, "holds statistics of features pixels", "evaluate", ours!, "-r", kept!, ...other);
});

check("evaluate --bootstrap gives intervals around the figures", async (folder) => {
  const [ours, theirs] = [join(folder, "a.npz"), join(folder, "b.npz")];
  await writeImages(ours, { count: 200, edge: 2, level: 20 });
  await writeImages(theirs, { count: 300, edge: 2, seed: 2 });
  const { report } = await figures(ours, "-r", theirs, ...PIXELS, "--bootstrap", "50");
  const { value, interval: [low, high] } = report.figures.fid;
  assert(low < value && value < high && high - low < value, `${low} ${value} ${high}`);
  assertEquals(report.figures.kid.interval, undefined);
});

check("evaluate sees classes with a classifier of ours", async (folder) => {
  await writeTiny(join(folder, "tiny"), { classifier: true });
  const images = join(folder, "images.npz");
  await writeImages(images);
  const features = ["--features", join(folder, "tiny", "classifier"), "--engine", "cpu"];
  const { values, report } = await figures(images, "-r", images, ...features);
  assertEquals([report.dims, report.skipped], [32, []]);
  assertAlmostEquals(values.sfid!.value, 0, 1e-6);
  assert(values.inception_score!.value >= 1 && values.inception_score!.value <= 3);
  assert(values.accuracy!.value >= 0 && values.accuracy!.value <= 1);
});

check("evaluate refuses what cannot be measured", async (folder) => {
  const [images, large] = [join(folder, "images.npz"), join(folder, "large.npz")];
  await writeImages(images);
  await writeImages(large, { edge: 12 });
  await writeTiny(join(folder, "tiny"));
  const start = ["evaluate", images, ...PIXELS];
  await refuse(2, "without --reference", ...start);
  await refuse(
    2,
    "samples of 8x8 grey with a reference of 12x12 grey: --size",
    ...start,
    "-r",
    large,
  );
  await succeed(...start, "-r", large, "--size", "12", "--metrics", "fid");
  await refuse(
    2,
    'Cannot find metric "fidd": did you mean fid?',
    ...start,
    "-r",
    images,
    "--metrics",
    "fidd",
  );
  await refuse(2, "Cannot use --steps with", ...start, "-r", images, "--steps", "5");
  await refuse(2, "Cannot measure 41 images", ...start, "-r", images, "-n", "41");
  await refuse(2, 'Cannot take part "3/2"', ...start, "-r", `${images}#3/2`);
  const features = ["evaluate", images, "-r", images, "--engine", "cpu", "--features"];
  await refuse(2, 'Cannot find features "pixel": did you mean pixels?', ...features, "pixel");
  await refuse(1, "it reads 32x32x1; choose other --features", ...features, "digits");
  const model = ["evaluate", join(folder, "tiny"), "-r", images, ...PIXELS, "--steps", "1"];
  const out = ["-o", join(folder, "out")];
  await succeed(...model, ...out, "-n", "8", "--metrics", "fid");
  await refuse(
    2,
    "it holds those of another model or of other settings",
    ...model,
    ...out,
    "--seed",
    "1",
  );
});

check("evaluate draws a file's prompts in turn, as sample does", async (folder) => {
  const model = await stableDiffusion(folder);
  const [images, lines] = [join(folder, "images.npz"), join(folder, "prompts.txt")];
  await writeImages(images, { edge: 16, channels: 3 });
  await Deno.writeTextFile(lines, "a cat\n\ntwo blue dogs\n");
  const out = join(folder, "out");
  const few = ["--steps", "2", "--negative", "a lake"];
  const start = ["evaluate", model, "-r", images, "--features", "pixels", "--metrics", "fid"];
  await refuse(2, "without a text: give one with --prompt", ...start);
  await refuse(2, "Cannot read prompts from stdin here", ...start, "--prompt-file", "-");
  await refuse(2, "Cannot use --prompt with", "evaluate", images, "-r", images, "--prompt", "a");
  await refuse(2, "it reads no texts", "evaluate", "digits", "-r", "mnist", "--prompt", "a");
  const bits = ["evaluate", model, "-r", images, "--metric", "bpd"];
  await refuse(2, "it is that of images given a text", ...bits);
  const draws = [...start, "--prompt-file", lines, ...few, "-o", out, "--json"];
  const { stdout } = await succeed(...draws, "-n", "3", "--batch-size", "2");
  const { samples } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals([samples.count, samples.settings.prompts], [3, 2]);
  assertEquals(samples.settings.guidance, ["cfg,scale=7.5,form=s"]);
  const drawn = await readNpz(join(out, "000002-000003.npz"));
  const alone = join(folder, "alone.png");
  await succeed("sample", model, "--prompt", "a cat", ...few, "--seed", "2", "-o", alone);
  const { pixels } = await readPng(alone);
  assertEquals([...(await drawn.read("arr_0")).data], [...pixels]);
  const other = [...start, "--prompt", "a cat", ...few, "-o", out, "--batch-size", "2"];
  await refuse(2, "of another model or of other settings", ...other);
});

check("an evaluation that was killed goes on and gives the same figures", async (folder) => {
  await writeTiny(join(folder, "tiny"));
  await writeImages(join(folder, "images.npz"));
  const args = ["evaluate", "tiny", "-r", "images.npz", ...PIXELS, "--json"];
  const draws = [...args, "-n", "48", "--batch-size", "8", "--steps", "20"];
  const run = async (out: string) => {
    const { code, stdout, stderr } = await spawn([...draws, "-o", out], folder).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  };
  const whole = await run("whole");

  const child = spawn([...draws, "-o", "killed"], folder).spawn();
  const images = async () => {
    const names = await filesOf(join(folder, "killed")).catch(() => []);
    return names.filter((name) => /^\d+-\d+\.npz$/.test(name));
  };
  while ((await images()).length < 2) await new Promise((done) => setTimeout(done, 5));
  child.kill("SIGKILL");
  await Promise.all([child.status, child.stdout.cancel(), child.stderr.cancel()]);
  const kept = await images();
  assert(kept.length < 6, "it was killed too late");
  const before = await Deno.readFile(join(folder, "killed", kept[0]!));
  const { mtime } = await Deno.stat(join(folder, "killed", kept[0]!));

  assertEquals(await run("killed"), whole);
  assertEquals((await Deno.stat(join(folder, "killed", kept[0]!))).mtime, mtime);
  assertEquals(before, await Deno.readFile(join(folder, "whole", kept[0]!)));
});

check("train --evaluate-every measures its checkpoints", async (folder) => {
  await writeImages(join(folder, "images.npz"));
  const run = join(folder, "run");
  const train = ["train", "--data", join(folder, "images.npz"), "--engine", "cpu", "--steps", "4"];
  const small = ["--channels", "8", "--groups", "4", "--attention", "none", "--batch-size", "2"];
  const start = [...train, ...small, "--save-every", "2", "--sheet", "0", "-o", run];
  await refuse(
    2,
    "it must be a multiple of --save-every, which is 2",
    ...start,
    "--evaluate-every",
    "3",
  );
  await refuse(
    2,
    "Cannot use --features without --evaluate-every",
    ...start,
    "--features",
    "pixels",
  );
  const often = ["--evaluate-every", "2", "--evaluate-count", "10"];
  await refuse(1, "it reads 32x32x1", ...start, ...often);
  await Deno.remove(run, { recursive: true });
  await succeed(...start, ...often, "--features", "pixels");
  const log = (await Deno.readTextFile(join(run, "training", "log.jsonl"))).trim().split("\n")
    .map((line) => JSON.parse(line));
  assertEquals(log.map(({ step, samples }) => [step, samples]), [[2, 10], [4, 10]]);
  assert(log.every(({ fid, kid, recall }) => fid > 0 && Number.isFinite(kid) && recall >= 0));
  const page = await Deno.readTextFile(join(run, "evaluation.html"));
  assertEquals(page.match(/<svg/g)?.length, page.match(/<polyline points="\S+ \S+"/g)?.length);
  assertStringIncludes(page, "step 4");
});

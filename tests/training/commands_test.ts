import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { openClassifier, openModel } from "../../pipeline/model.ts";
import { check, denoise, filesOf, succeed } from "../commands/_main.ts";

/** A folder in MNIST's form: 4x4 pixels, bright on the left in class 0 and above in class 1. */
async function writeDigits(folder: string, edge = 4): Promise<void> {
  await Deno.mkdir(folder);
  const count = 40;
  const idx = (shape: number[], data: Uint8Array) => {
    const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x800 + shape.length);
    shape.forEach((side, i) => view.setUint32(4 + 4 * i, side));
    bytes.set(data, 4 + 4 * shape.length);
    return bytes;
  };
  const pixels = Uint8Array.from({ length: count * edge * edge }, (_, i) => {
    const [image, y, x] = [Math.floor(i / edge / edge), Math.floor(i / edge) % edge, i % edge];
    return (image % 2 === 0 ? x : y) < edge / 2 ? 230 : 20;
  });
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 2);
  await Deno.writeFile(join(folder, "train-images-idx3-ubyte"), idx([count, edge, edge], pixels));
  await Deno.writeFile(join(folder, "train-labels-idx1-ubyte"), idx([count], labels));
}

const TINY = ["--engine", "cpu", "--steps", "2", "--batch-size", "2", "--log-every", "1"];
const UNET = ["--channels", "8,8", "--groups", "4", "--attention", "none", "--sheet", "1"];
const CLASSIFIER = ["--channel-mult", "1", "--attention", "none"];

/** Runs a command that must fail for what was typed, in one sentence. */
async function refuse(message: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await denoise(...args);
  assertEquals(code, 2, stderr);
  const [first = "", ...rest] = stderr.trimEnd().split("\n");
  assertStringIncludes(first, message);
  assertEquals(rest, [`See denoise ${args[0]} --help`]);
}

const logOf = async (folder: string) =>
  (await Deno.readTextFile(join(folder, "training", "log.jsonl"))).trimEnd().split("\n")
    .map((line) => JSON.parse(line));

check("train makes a model, and train-classifier its classifier", async (folder) => {
  const [data, run] = [join(folder, "data"), join(folder, "run")];
  await writeDigits(data);
  const train = ["train", "--data", data, ...TINY, ...UNET, "-o", run];
  const { stdout, stderr } = await succeed(...train);
  assertEquals(stdout.length, 0);
  assert(/step 2 of 2: loss [\d.]+, gradient [\d.]+, rate [\d.e-]+, \d+ s\n/.test(stderr), stderr);
  assertStringIncludes(stderr, `Trained 2 steps; the model is in ${run}`);
  assertEquals(await filesOf(run), [
    "labels.json",
    "model_index.json",
    "samples",
    "scheduler",
    "training",
    "unet",
  ]);
  assertEquals(await filesOf(join(run, "samples")), ["000002.png"]);
  assertEquals((await logOf(run)).map(({ step }) => step), [1, 2]);
  const model = openModel(run);
  assertEquals([model.labels, model.nullClass], [["0", "1"], 2]);
  assertEquals([model.unet.edge, model.unet.classes], [4, 3]);

  await refuse("it holds one already", ...train);
  await succeed(...train, "--resume");
  const { code, stderr: other } = await denoise(...train, "--lr", "1", "--resume");
  assertEquals(code, 1);
  assertStringIncludes(other, "error: Cannot resume from");

  const place = ["-o", join(run, "classifier")];
  const start = ["train-classifier", "--data", data, ...TINY, ...CLASSIFIER, ...place];
  await refuse(
    "noise levels are 1000 of squaredcos_cap_v2 there",
    ...start,
    "--schedule",
    "linear",
  );
  await refuse("images are 4x4x1 there and 8x8x1 here", ...start, "--size", "8");
  assertEquals(openModel(run).classifier, undefined);
  const trained = await succeed(...start);
  assertStringIncludes(trained.stderr, "has no test split: every twentieth image, 2 in all");
  const [first, last] = await logOf(join(run, "classifier"));
  assertEquals([first.accuracy, last.bands.length], [undefined, 10]);
  assert(last.accuracy >= 0 && last.accuracy <= 1);
  const { classifier } = openModel(run);
  assertEquals([classifier?.config.image_size, classifier?.config.out_channels], [4, 2]);
  await succeed(
    "sample",
    run,
    "--engine",
    "cpu",
    "--steps",
    "2",
    "--class",
    "1",
    "--guidance",
    "classifier",
    "-o",
    join(folder, "one.png"),
  );
});

check("train-classifier --clean makes a reader of finished images", async (folder) => {
  const [data, reader] = [join(folder, "data"), join(folder, "reader")];
  await writeDigits(data);
  const start = [
    "train-classifier",
    "--data",
    data,
    ...TINY,
    ...CLASSIFIER,
    "--clean",
    "-o",
    reader,
  ];
  await refuse("Cannot use --timesteps with --clean", ...start, "--timesteps", "5");
  await succeed(...start);
  const last = (await logOf(reader)).at(-1);
  assert(last.accuracy >= 0 && last.accuracy <= 1);
  assertEquals(last.bands, undefined);
  const { config, weights } = openClassifier(reader);
  assertEquals([config.image_size, config.out_channels], [4, 2]);
  assertEquals(new Set([...weights.values()].map(({ dtype }) => dtype)), new Set(["F16"]));
  const seen = ["--features", reader, "--engine", "cpu", "--metrics", "accuracy", "--json"];
  const { stdout } = await succeed("evaluate", data, "--reference", data, ...seen);
  const { dims, figures } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(dims, 32);
  assert(figures.accuracy.value >= 0 && figures.accuracy.value <= 1);
});

check("train and train-classifier refuse what cannot be trained", async (folder) => {
  const data = join(folder, "data");
  await writeDigits(data);
  const out = ["-o", join(folder, "run")];
  const levels = { train: "--channels", "train-classifier": "--channel-mult" };
  for (const [command, flag] of Object.entries(levels)) {
    const start = [command, "--data", data, ...TINY, ...out];
    const one = command === "train" ? "8" : "1";
    await refuse("holds no run", ...start, flag, one, "--resume");
    await refuse("whose edge divides by 16", ...start, flag, new Array(5).fill(one).join());
    const attention = [flag, one, "--attention", "3"];
    await refuse("--attention 3: the levels have the resolutions 4", ...start, ...attention);
    await refuse("it must be integers such as", ...start, flag, "8,x");
    await refuse("by an even border", ...start, "--size", "5");
  }
  await refuse(
    "Cannot use these options: norm_num_groups (3) does not divide 8",
    "train",
    "--data",
    data,
    ...TINY,
    "--channels",
    "8,8",
    "--groups",
    "3",
    ...out,
  );
  await refuse(
    "Cannot use these options: channel_mult times model_channels is 40",
    "train-classifier",
    "--data",
    data,
    ...TINY,
    ...CLASSIFIER,
    "--width",
    "40",
    ...out,
  );
  await Deno.writeFile(
    join(data, "train-labels-idx1-ubyte"),
    new Uint8Array([0, 0, 8, 1, 0, 0, 0, 40, ...new Uint8Array(40)]),
  );
  await refuse(
    "it has 1 classes",
    "train-classifier",
    "--data",
    data,
    ...TINY,
    ...CLASSIFIER,
    ...out,
  );
  assertEquals(await filesOf(folder), ["data"]);
});

check(
  "train teaches a model the variance of its steps, which sample draws with",
  async (folder) => {
    const [data, first, second] = ["data", "first", "second"].map((name) => join(folder, name));
    await writeDigits(data!);
    await succeed("train", "--data", data!, ...TINY, ...UNET, "-o", first!);
    const hybrid = [
      ...["train", "--data", data!, ...TINY, "--sheet", "1", "--init", first!],
      ...["--objective", "hybrid", "--learn-variance", "-o", second!],
    ];
    const { stderr } = await succeed(...hybrid);
    assertStringIncludes(stderr, "Starting from first: ");
    assertStringIncludes(
      stderr,
      "widened, with zeros in the second half: conv_out.weight, conv_out.bias; new: nothing",
    );
    const model = openModel(second!);
    assertEquals(model.scheduler["_class_name"], "DDPMScheduler");
    assertEquals(model.scheduler["variance_type"], "learned_range");
    const old = openModel(first!);
    assertEquals(old.scheduler["variance_type"], undefined);
    assertEquals(model.unet.config, { ...old.unet.config, out_channels: 2 });
    const draw = ["--engine", "cpu", "--steps", "3", "--guidance", "none"];
    const sampled = async (sampler: string) =>
      (await succeed("sample", second!, ...draw, "--sampler", sampler, "-o", "-")).stdout;
    const [learned, small] = [await sampled("ddpm"), await sampled("ddpm,variance=small")];
    assert(learned.some((byte, i) => byte !== small[i]), "the learned variance is not used");

    const bound = [
      "evaluate",
      second!,
      "--reference",
      data!,
      "--engine",
      "cpu",
      "--metrics",
      "bpd",
    ];
    const { stdout } = await succeed(...bound, "-n", "2", "--steps", "3", "--json");
    const { count, figures } = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals([count, figures.bpd.timesteps], [2, [0, 500, 999]]);
    const sum = figures.bpd.terms.reduce((sum: number, term: number) => sum + term, 0);
    assertAlmostEquals(figures.bpd.value, sum + figures.bpd_prior.value, 1e-3);
    await refuse("--class with bpd: nothing is drawn", ...bound, "--class", "1");
    await refuse("the bound of ddim: it is that of ddpm's chain", ...bound, "--sampler", "ddim");
    await refuse("Cannot measure 41 images: the reference has 40", ...bound, "-n", "41");
    const files = ["evaluate", data!, ...bound.slice(2)];
    await refuse("it is images, not a model", ...files);

    await refuse("without --learn-variance: its network tells the variance", ...[
      ...["train", "--data", data!, ...TINY, "--init", second!, "-o", join(folder, "third")],
    ]);
    await succeed(...hybrid, "--resume");
  },
);

check("train refuses objectives that do not go together", async (folder) => {
  const data = join(folder, "data");
  await writeDigits(data);
  const start = ["train", "--data", data, ...TINY, ...UNET, "-o", join(folder, "run")];
  const cases: [string, ...string[]][] = [
    ["--objective hybrid without --learn-variance", "--objective", "hybrid"],
    ["--learn-variance with --objective simple", "--learn-variance"],
    ["--weighting p2 with --objective vlb", "--objective", "vlb", "--weighting", "p2"],
    ["--offset-noise with --objective vlb", "--objective", "vlb", "--offset-noise", "0.1"],
    [
      "--t-sampler lognormal with --objective vlb",
      "--objective",
      "vlb",
      "--t-sampler",
      "lognormal",
    ],
    ["--fixed-variance here", "--fixed-variance", "large"],
    ["--vlb-weight here", "--vlb-weight", "0.1"],
    ["--snr-gamma here", "--weighting", "none", "--snr-gamma", "3"],
    ["--p2-k here", "--p2-k", "2"],
    ["--sigma-data here", "--sigma-data", "2"],
    ["--p-std here", "--p-std", "2"],
  ];
  for (const [message, ...flags] of cases) await refuse(message, ...start, ...flags);
  assertEquals(await filesOf(folder), ["data"]);
});

for (
  const flags of [
    ["--objective", "vlb", "--fixed-variance", "large"],
    ["--objective", "rescaled-vlb", "--learn-variance", "--t-sampler", "loss-second-moment"],
    ["--weighting", "p2", "--p2-gamma", "0.5", "--prediction", "epsilon", "--offset-noise", "0.1"],
    ["--t-sampler", "lognormal", "--p-mean", "-1", "--prediction", "sample"],
  ]
) {
  check(`train takes ${flags.join(" ")}, and goes on with it alone`, async (folder) => {
    const [data, run] = [join(folder, "data"), join(folder, "run")];
    await writeDigits(data);
    const start = ["train", "--data", data, ...TINY, ...UNET, "-o", run];
    await succeed(...start, ...flags);
    await succeed(...start, ...flags, "--resume");
    const { code, stderr } = await denoise(...start, "--resume");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "Cannot resume from");
  });
}

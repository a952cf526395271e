import { openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";
import { describeRoute, type Settings } from "../pipeline/settings.ts";
import { scalesPath } from "../quantization/file.ts";
import { RANGES } from "../quantization/ranges.ts";
import type { Sensitivity } from "../quantization/sensitivity.ts";
import { command, usage, UsageError } from "./_command.ts";
import { drawingFlags } from "./_drawing.ts";
import { progressBar } from "./_progress.ts";
import sample, { details, pathWishes, settle } from "./sample.ts";

const drawing = "Drawing the images of the calibration";

/** `denoise quantize`: the scales with which a model is computed in bytes. */
export default command({
  name: "quantize",
  summary: "measures a model's layers, so that sample can compute them in int8",
  usage: "[MODEL]",
  description:
    "Draws some images, looks at what each layer takes and gives at all timesteps, and writes the " +
    "scales with which convolutions and attention are computed in bytes: a small file beside the " +
    "weights, which stay as they are. MODEL is a bundled name (digits without it) or a model " +
    "folder in the layout of diffusers. The scales belong to these weights: train them further, " +
    "and they must be made anew.",
  examples: [
    ["quantize runs/digits", "writes runs/digits/unet/quantization.json"],
    ["sample runs/digits --precision int8 -o digits.png", "draws with them"],
    ["quantize digits -o scales.json --report", "how much each layer suffers"],
    ["quantize digits -o . --sampler dpmpp_2m --steps 10", "for the path that will be drawn"],
  ],
  flags: {
    count: {
      type: "integer",
      alias: "n",
      min: 1,
      default: 10,
      help: "images that are drawn, of the classes in turn",
    },
    ranges: {
      type: "string",
      choices: RANGES,
      default: "minmax",
      help: "what bytes cover: all that was seen, all but outliers, or what gives the least error",
    },
    percentile: {
      type: "number",
      min: 90,
      max: 100,
      default: 99.99,
      help: "the share in percent that ranges percentile cover",
    },
    float: {
      type: "list",
      value: "NAME",
      help: "layers whose names hold it stay float32, such as up_blocks.2",
    },
    groups: {
      type: "integer",
      min: 1,
      max: 16,
      default: 1,
      help:
        "of timesteps with scales of their own: nearer to float32, and as many graphs in memory",
    },
    uncorrected: {
      type: "flag",
      help: "do not add the mean error of rounded weights to the biases",
    },
    threads: sample.flags.threads,
    ...drawingFlags(drawing),
    "batch-size": { ...sample.flags["batch-size"], default: 4, group: drawing },
    output: {
      type: "string",
      alias: "o",
      value: "FILE",
      complete: "file",
      help: "file.json or a folder; beside the model's weights without it",
      group: "Output",
    },
    report: {
      type: "flag",
      help: "print the error of each layer that alone is in bytes, the worst first",
      group: "Output",
    },
  },
  details,
  async run({ flags, positional: [spec = "digits"], given, io }) {
    if (given("percentile") && flags.ranges !== "percentile") {
      throw new UsageError(
        `Cannot use --percentile with --ranges ${flags.ranges}: it is the share of --ranges percentile`,
      );
    }
    const model = openModel(spec);
    const path = scalesPath(flags.output ?? model.unet.folder);
    const plan = await usage(() =>
      makePlan(model, {
        sampler: flags.sampler,
        guidance: given("guidance") ? flags.guidance : undefined,
        ...pathWishes(flags),
      })
    );
    const settings = await usage(() => settle(model, plan, flags, given));
    const { openEngine } = await import("../engines/mod.ts");
    const { calibrate } = await import("../quantization/calibrate.ts");
    const { chooseScales } = await import("../quantization/choose.ts");
    const { writeScales } = await import("../quantization/file.ts");
    const { fingerprintOf } = await import("../quantization/fingerprint.ts");
    const { errorOf, sensitivities } = await import("../quantization/sensitivity.ts");
    const tf = await import("tfjs");
    const open = () => openEngine("onnx", { threads: flags.threads, provider: "cpu" });
    const engine = await open();
    const steps = plan.levels.length - 1;
    const size = flags["batch-size"];
    let bar = progressBar(io, steps * Math.ceil(flags.count / size), "step");
    try {
      const draw = {
        plan,
        settings,
        first: 0,
        end: flags.count,
        batchSize: size,
        signal: io.signal,
        onStep: ({ step }: { step: number }, { number }: { number: number }) =>
          bar.update(number * steps + step),
      };
      const { groups: seen, calls } = await calibrate(model, engine, draw, flags.groups);
      bar.stop();
      const choice = { ...flags, correct: !flags.uncorrected };
      const groups = seen.map(({ below, layers }) => {
        return { below, scales: chooseScales(layers, model.unet.weights, choice) };
      });
      const [count = 0, all] = [groups[0]?.scales.size, seen[0]?.layers.size];
      if (count === 0) {
        throw new RangeError(
          `Cannot quantize ${model.name}: --float leaves no layer to compute in bytes`,
        );
      }
      const error = await errorOf(model, engine, groups, calls);
      await writeScales(path, {
        weights: await fingerprintOf(model.unet.weights),
        calibration: { ...describe(settings), ranges: rangesOf(flags), float: flags.float },
        groups,
      });
      io.log(
        `Wrote ${path} (${count} of ${all} layers in bytes, answers differ by ${percent(error)})`,
      );
      if (flags.report) {
        bar = progressBar(io, count, "layer");
        const found = await sensitivities(model, open, groups, calls, (done) => {
          io.signal.throwIfAborted();
          bar.update(done);
        });
        bar.stop();
        await io.write(reportOf(found));
      }
      tf.dispose(calls.flat());
      return 0;
    } finally {
      bar.stop();
      await engine.dispose();
    }
  },
});

const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;

/** How scales were made, in their file. */
function describe(settings: Settings) {
  const { model, sampler, guidance, seed, count, steps, rng } = settings;
  const path = describeRoute(settings);
  return { model, images: count, sampler, guidance, steps, path, seed: String(seed), rng };
}

/** The rule of the ranges as people read it. */
function rangesOf({ ranges, percentile }: { ranges: string; percentile: number }): string {
  return ranges === "percentile" ? `${percentile} %` : ranges;
}

/** The layers and their errors, a line each. */
function reportOf(found: readonly Sensitivity[]): string {
  const rows = found.map(({ layer, error }) => `${percent(error).padStart(10)}  ${layer}`);
  return ["Error of the answers by each layer that alone is in bytes:", ...rows].join("\n");
}

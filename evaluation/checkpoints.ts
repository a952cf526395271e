/**
 * Measures a model while it is trained.
 *
 * @module
 */
import { join } from "@std/path";
import { eagerEngine } from "../engines/eager.ts";
import type { Engine } from "../engines/engine.ts";
import { writeAtomic } from "../images/atomic.ts";
import { philoxAt } from "../noise/mod.ts";
import type { Dataset } from "../training/data/mod.ts";
import { drawCheckpoint } from "../training/sheet.ts";
import { distancesOn } from "./algebra/distances.ts";
import { compare, pageOf, type Seen } from "./compare.ts";
import { chooseMetrics } from "./evaluate.ts";
import { extractSide } from "./extract.ts";
import type { ChosenFeatures } from "./features/mod.ts";
import { COUNT, readHistory } from "./history.ts";
import { fromBitmaps, sizeText, subset } from "./images.ts";

/** Training images that checkpoints are compared with, dealt at random. */
const MOST = 5000;

/** Images at once. */
const BATCH = 64;

/** How checkpoints are measured. */
export interface CheckpointOptions {
  /** The folder of the run. */
  readonly folder: string;
  readonly data: Dataset;
  /** What the data is called. */
  readonly dataName: string;
  readonly features: ChosenFeatures;
  /** Samples that are drawn at each. */
  readonly count: number;
  /** The engine of the training; the current tfjs backend where absent. */
  readonly trainer?: Engine | undefined;
}

/**
 * A function that draws samples from the model folder as it was saved last, measures them, renews
 * `evaluation.html` there and gives its figures, for the log. The training images are seen at once,
 * so that features that cannot see them are refused before the training begins.
 */
export async function checkpointEvaluator(
  options: CheckpointOptions,
): Promise<(step: number) => Promise<Record<string, number>>> {
  const { folder, data, dataName, features, count, trainer } = options;
  const looking = async <T>(
    work: (look: Parameters<typeof extractSide>[1], engine: Engine) => Promise<T>,
  ): Promise<T> => {
    const engine = trainer ?? eagerEngine("training", "the backend of the training");
    const extractor = await features.open(engine);
    try {
      return await work({ extractor, preprocess: "none", batchSize: BATCH }, engine);
    } finally {
      await extractor.dispose();
      if (trainer === undefined) await engine.dispose();
    }
  };
  const reference = await looking((look) => seeReference(data, dataName, look));
  return (step) =>
    looking(async (look, engine) => {
      const { bitmaps, labels, names } = await drawCheckpoint(folder, count, engine, BATCH);
      const samples = fromBitmaps(bitmaps, labels, names);
      const comparison = {
        samples: {
          described: { name: `${folder} at step ${step}`, count, size: sizeText(samples) },
          side: await extractSide(samples, look),
          data: samples,
        },
        reference,
        features: features.name,
        distances: distancesOn(engine),
      };
      const report = await compare(comparison, chooseMetrics());
      const figures = Object.fromEntries(
        report.figures.map(({ name, value }) => [name, Number(value.toPrecision(6))]),
      );
      const history = (await readHistory(folder)).filter((point) => point.step < step);
      const page = await pageOf(comparison, report, [...history, { step, figures }]);
      await writeAtomic(join(folder, "evaluation.html"), page);
      return { [COUNT]: count, ...figures };
    });
}

async function seeReference(
  data: Dataset,
  name: string,
  look: Parameters<typeof extractSide>[1],
): Promise<Seen> {
  const chosen = philoxAt(0, 6).permutation(data.length).subarray(0, MOST);
  const some = subset(data, chosen);
  const described = { name: `${name}, training images`, count: some.length, size: sizeText(data) };
  return { described, side: await extractSide(some, look), data: some };
}

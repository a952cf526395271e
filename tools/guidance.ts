/**
 * Measures fidelity and diversity of digits over the scale of two guidances, and writes the table and
 * the picture into docs/guidance.md: `deno task scales`. Images are kept in runs/scales/, so that it
 * goes on where it was stopped, and from fewer to more: `deno task scales 1000`.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { settle } from "../commands/sample.ts";
import { openEngine } from "../engines/mod.ts";
import { distancesOn } from "../evaluation/algebra/distances.ts";
import { chooseMetrics, measure } from "../evaluation/evaluate.ts";
import { extractSide } from "../evaluation/extract.ts";
import { chooseFeatures } from "../evaluation/features/mod.ts";
import { openImages, subset } from "../evaluation/images.ts";
import { drawInto, runKey } from "../evaluation/sampled.ts";
import { philoxAt } from "../noise/mod.ts";
import { loadDenoiser } from "../pipeline/denoiser.ts";
import { edgeOf, openModel } from "../pipeline/model.ts";
import { makePlan } from "../pipeline/plan.ts";
import { chart } from "./_chart.ts";

/** Scales of each guidance; 0 is the unlabelled prediction. */
const SCALES = { classifier: [0, 2, 5, 10, 20], cfg: [0, 0.5, 1, 2, 4] } as const;
type Name = keyof typeof SCALES;
const NAMES: readonly Name[] = ["classifier", "cfg"];
const [SAMPLER, STEPS, REFERENCE, BATCH] = ["ddim", 25, 2000, 50] as const;
const DOCS = new URL("../docs/", import.meta.url);
const [BEGIN, END] = ["<!-- scales -->", "<!-- end of scales -->"];

/** What was measured at one scale, shares of the images. */
export interface Row {
  readonly name: Name;
  readonly scale: number;
  readonly accuracy: number;
  readonly precision: number;
  readonly recall: number;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** The part of the page that is made of the figures. */
export function sectionOf(rows: readonly Row[], count: number): string {
  const lines = rows.map(({ name, scale, accuracy, precision, recall }) => {
    const cells = [accuracy, precision, recall].map(percent).join(" | ");
    return `| \`${name}\` | ${scale} | ${cells} |`;
  });
  return `| guidance | scale | read as asked | precision | recall |
|---|---|---|---|---|
${lines.join("\n")}

${count} digits a row, \`${SAMPLER}\` in ${STEPS} steps; 0 is the unlabelled prediction. They are read, and compared with
test images of MNIST, by the bundled classifier of clean digits (\`features/\`). It is another network than the
one of noisy digits (\`classifier/\`) that guides, and was trained apart from it.`;
}

/** The rows of a page, and how many images they are of. */
export function rowsOf(page: string): { readonly rows: Row[]; readonly count: number } {
  const text = page.split(BEGIN)[1]?.split(END)[0] ?? "";
  const lines = text.matchAll(
    /^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$/gm,
  );
  const rows = [...lines].flatMap(([, found, ...cells]): Row[] => {
    const name = NAMES.find((name) => name === found);
    const [scale = NaN, ...shares] = cells.map(Number);
    const [accuracy = NaN, precision = NaN, recall = NaN] = shares.map((share) => share / 100);
    return name === undefined ? [] : [{ name, scale, accuracy, precision, recall }];
  });
  return { rows, count: Number(/^(\d+) digits a row/m.exec(text)?.[1]) };
}

/** The picture: recall against accuracy, each point with its scale. */
export function pictureOf(rows: readonly Row[]): string {
  return chart({
    title: "Fidelity and diversity by the scale of guidance",
    x: "read as asked",
    y: "recall",
    shares: true,
    series: NAMES.map((name) => {
      const own = rows.filter((row) => row.name === name);
      return {
        name,
        points: own.map(({ accuracy, recall }) => [accuracy, recall] as const),
        marks: own.map(({ scale }) => `${scale}`),
      };
    }),
  });
}

/** The page with other figures between its marks. */
export function pageWith(page: string, section: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new SyntaxError("Cannot write docs/guidance.md: it has no marks");
  return `${before}${BEGIN}\n${section}\n${END}${after}`;
}

/** Measures one scale after another, of both guidances in turn, and tells all that was measured. */
async function measureAll(count: number, tell: (rows: readonly Row[]) => Promise<void>) {
  const model = openModel("digits");
  const engine = await openEngine("auto");
  const denoiser = loadDenoiser(model, engine);
  const extractor = await (await chooseFeatures("digits")).open(engine);
  const look = { extractor, preprocess: "none", batchSize: 100 } as const;
  try {
    const test = await openImages("mnist#test", { size: edgeOf(model) });
    const some = philoxAt(0, 6).permutation(test.length).subarray(0, REFERENCE);
    const data = subset(test, some);
    const reference = await extractSide(data, look);
    const rows: Row[] = [];
    for (const i of SCALES.cfg.keys()) {
      for (const name of NAMES) {
        const scale = SCALES[name][i] ?? 0;
        const unconditional = name === "classifier" || scale === 0;
        const guidance = scale === 0 ? ["none"] : [`${name},scale=${scale}`];
        const plan = await makePlan(model, { sampler: SAMPLER, steps: STEPS, guidance });
        const asked = { class: undefined, count, rng: "philox", seed: "0", unconditional } as const;
        const settings = settle(model, plan, asked, () => true);
        const run = { plan, settings, batchSize: BATCH };
        const key = await runKey(denoiser, run);
        const folder = fromFileUrl(new URL(`../runs/scales/${key}`, import.meta.url));
        const samples = await extractSide(await drawInto(folder, denoiser, run), look);
        const evidence = { samples, reference, distances: distancesOn(engine), data, denoiser };
        const { figures } = await measure(evidence, chooseMetrics(["accuracy", "prdc"]));
        const valueOf = (figure: string) =>
          figures.find(({ name }) => name === figure)?.value ?? NaN;
        const [accuracy, precision, recall] = [
          valueOf("accuracy"),
          valueOf("precision"),
          valueOf("recall"),
        ];
        rows.push({ name, scale, accuracy, precision, recall });
        await tell(NAMES.flatMap((name) => rows.filter((row) => row.name === name)));
      }
    }
  } finally {
    await extractor.dispose();
    await engine.dispose();
  }
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 500);
  const path = new URL("guidance.md", DOCS);
  await measureAll(count, async (rows) => {
    const page = pageWith(await Deno.readTextFile(path), sectionOf(rows, count));
    await Deno.writeTextFile(path, page);
    // As the page has them, so that page and picture are the same figures.
    await Deno.writeTextFile(new URL("guidance-scales.svg", DOCS), pictureOf(rowsOf(page).rows));
  });
}

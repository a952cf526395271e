/**
 * Writes docs/samplers.md and its pictures: `deno task docs`. What stands between the marks of the
 * quality on digits is kept.
 *
 * @module
 */
import type { Level, Options, Sampler } from "../plugin.ts";
import { timelineOf } from "../pipeline/run.ts";
import { checkPlugin } from "../plugins/load.ts";
import { describeOption } from "../plugins/options.ts";
import { aliases, samplers } from "../samplers/mod.ts";
import { choose, cleanOf, closedForm, drawn, noiseOf } from "../tests/pipeline/_closed_form.ts";
import { chart, type Series } from "./_chart.ts";

/** What a step does, with bars for x over alpha, and r for sigma over alpha. */
const equations: Readonly<Record<keyof typeof samplers, string>> = {
  ddpm: String.raw`x' \sim q(x' \mid x, \hat x_0) = \mathcal N(\tilde\mu, \tilde\beta I)`,
  ddim: String
    .raw`x' = \alpha' \hat x_0 + \sqrt{\sigma'^2 - s^2}\, \epsilon + s z,\ s = \eta \sqrt{\tilde\beta}`,
  plms: String
    .raw`\bar x' = \bar x + (r' - r) \tfrac1{24}(55 \epsilon_0 - 59 \epsilon_1 + 37 \epsilon_2 - 9 \epsilon_3)`,
  pndm: String
    .raw`\bar x' = \bar x + (r' - r) \tfrac16(\epsilon_1 + 2 \epsilon_2 + 2 \epsilon_3 + \epsilon_4),\text{ then as plms}`,
  ipndm: String.raw`\text{as plms, begun with orders 1, 2, 3}`,
  euler: String.raw`\bar x' = \bar x + (r' - r)\, \epsilon`,
  euler_ancestral: String.raw`\bar x' = \bar x + (r_{down} - r)\, \epsilon + r_{up} z`,
  heun: String.raw`\bar x' = \bar x + (r' - r) \tfrac12(\epsilon + \epsilon')`,
  dpm2: String.raw`\bar x' = \bar x + (r' - r)\, \epsilon(\sqrt{r r'})`,
  dpm2_ancestral: String
    .raw`\bar x' = \bar x + (r_{down} - r)\, \epsilon(\sqrt{r r_{down}}) + r_{up} z`,
  lms: String.raw`\bar x' = \bar x + \int_r^{r'} P(\epsilon_0, \dots, \epsilon_3)\, dr`,
  dpmpp_2s_ancestral: String
    .raw`\bar x' = \tfrac{r_{down}}{r} \bar x + (1 - \tfrac{r_{down}}{r}) \hat x_0(\sqrt{r r_{down}}) + r_{up} z`,
  dpmpp_2m: String
    .raw`\tfrac{x'}{\sigma'} = \tfrac{x}{\sigma} + \int e^\lambda P(\hat x_0, \hat x_{0,1})\, d\lambda`,
  dpmpp_singlestep: String.raw`\text{as dpmpp\_2m, by the answers of its own turn alone}`,
  dpmpp_2m_sde: String
    .raw`x' = \tfrac{\sigma'}{\sigma} e^{-\eta h} x + \alpha'(1 - e^{-(1 + \eta) h}) D + \sigma' \sqrt{1 - e^{-2 \eta h}}\, z`,
  dpmpp_3m_sde: String.raw`\text{as dpmpp\_2m\_sde, through three answers}`,
  dpmpp_sde: String.raw`\text{as dpmpp\_2s\_ancestral, with noise in both stages}`,
  dpm_adaptive: String
    .raw`\text{DPM-Solver-3 and -2, } h \leftarrow h\, (1 + \arctan(E^{-1/3} - 1))`,
  deis: String.raw`\bar x' = \bar x - \int e^{-\lambda} P(\epsilon_0, \epsilon_1)\, d\lambda`,
  unipc: String.raw`\text{as dpmpp\_2m, made again with } \hat x_0' \text{ in } P`,
  lcm: String.raw`x' = \alpha' (c_{out} \hat x_0 + c_{skip} x) + \sigma' z`,
  tcd: String
    .raw`x' = \text{noise}\left(\alpha_s \hat x_0 + \sigma_s \epsilon\right),\ s = (1 - \eta)\, t'`,
  langevin: String.raw`x \leftarrow x - \tfrac{a}{2} \tfrac{\epsilon}{\sigma} + \sqrt a\, z`,
  pc: String
    .raw`\text{langevin, then } x' = (2 - \sqrt{\alpha_t})\, x - \beta_t \tfrac{\epsilon}{\sigma} + \sqrt{\beta_t}\, z`,
  restart: String
    .raw`\text{heun; from } t_{min}: \bar x \leftarrow \bar x + \sqrt{t_{max}^2 - t_{min}^2}\, z`,
};

const DOCS = new URL("../docs/", import.meta.url);
const [BEGIN, END] = ["<!-- quality on digits -->", "<!-- end of quality on digits -->"];
/** Two dimensions, two components. */
const mixture = {
  weights: [0.35, 0.65],
  means: [[-0.95, 0.5], [0.7, -0.9]],
  deviations: [[0.2, 0.45], [0.5, 0.15]],
};
/** The path of EDM: from 80 down to 0.02 with rho 7. */
const edm = (steps: number): Level[] =>
  Array.from({ length: steps + 1 }, (_, i) => {
    const sigma = (80 ** (1 / 7) + i / steps * (0.02 ** (1 / 7) - 80 ** (1 / 7))) ** 7;
    return { t: sigma, alpha: 1, sigma };
  });
const process = {
  atRatio: (sigma: number) => ({ t: sigma, alpha: 1, sigma }),
  atTime: (sigma: number) => ({ t: sigma, alpha: 1, sigma }),
};
const CLEAN = { t: 0, alpha: 1, sigma: 0 };

interface Run {
  readonly values: Float32Array;
  readonly calls: number;
}

/** Images of a run, each of two values, and the network's calls. */
async function runOf(
  sampler: Sampler,
  given: Readonly<Record<string, string | number | boolean>>,
  path: readonly Level[],
  count: number,
): Promise<Run> {
  const chosen = choose(sampler, given);
  const { predict, calls } = closedForm({ mixture });
  const values = await drawn({
    sampler: chosen,
    path: timelineOf(chosen, path, process),
    process,
    predict,
    noise: noiseOf(count, [1, 1, 2], 1),
  });
  return { values, calls: calls.length };
}

/** The flow of the same images in doubles, by many steps of Runge and Kutta. */
function exactFlow(count: number): Float64Array {
  const path = edm(2000);
  const slope = (x: Float64Array, sigma: number) =>
    cleanOf(mixture, { x, size: 2, at: { t: 0, alpha: 1, sigma } })
      .map((clean, i) => ((x[i] ?? NaN) - clean) / sigma);
  const go = (x: Float64Array, by: number, along: Float64Array) =>
    x.map((value, i) => value + by * (along[i] ?? NaN));
  let x = Float64Array.from(noiseOf(count, [1, 1, 2], 1).draw(), (value) => 80 * value);
  for (const [i, { sigma: from }] of path.slice(0, -1).entries()) {
    const step = (path[i + 1]?.sigma ?? 0) - from;
    const k1 = slope(x, from);
    const k2 = slope(go(x, step / 2, k1), from + step / 2);
    const k3 = slope(go(x, step / 2, k2), from + step / 2);
    const k4 = slope(go(x, step, k3), from + step);
    x = x.map((value, j) =>
      value + step / 6 * ((k1[j] ?? 0) + 2 * (k2[j] ?? 0) + 2 * (k3[j] ?? 0) + (k4[j] ?? 0))
    );
  }
  return x;
}

/** The root of the mean squared difference. */
function rms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] ?? NaN) - (b[i] ?? NaN)) ** 2;
  return Math.sqrt(sum / a.length);
}

/** The sliced Wasserstein distance of two sets of points in the plane, over 16 directions. */
function sliced(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < 16; k++) {
    const [u, v] = [Math.cos(Math.PI * k / 16), Math.sin(Math.PI * k / 16)];
    const [ours, theirs] = [a, b].map((points) =>
      Float64Array.from(
        { length: points.length / 2 },
        (_, i) => u * (points[2 * i] ?? NaN) + v * (points[2 * i + 1] ?? NaN),
      ).sort()
    );
    sum += rms(ours ?? [], theirs ?? []);
  }
  return sum / 16;
}

/** Points of the mixture itself. */
function dataOf(count: number, seed = 10_000): Float64Array {
  const first = (mixture.weights[0] ?? NaN) * count;
  return Float64Array.from(noiseOf(count, [1, 1, 2], seed).draw(), (value, i) => {
    const component = i / 2 < first ? 0 : 1;
    const [mean, spread] = [mixture.means, mixture.deviations].map((list) =>
      list[component]?.[i % 2]
    );
    return (mean ?? NaN) + (spread ?? NaN) * value;
  });
}

type Given = Readonly<Record<string, string | number | boolean>>;
const BUDGETS = [6, 8, 12, 16, 24, 32, 48, 64, 96];
const DASHES = [undefined, "7 3", "2 3"];

/** The measure of runs of each sampler by the network's calls that they took. */
async function seriesOf(
  choices: readonly (readonly [name: keyof typeof samplers, given: Given, title?: string])[],
  count: number,
  path: (steps: number) => readonly Level[],
  measure: (values: Float32Array) => number,
): Promise<Series[]> {
  const all: Series[] = [];
  for (const [i, [name, given, title = name]] of choices.entries()) {
    const sampler = checkPlugin("sampler", name, (await samplers[name]()).default);
    const { calls: cost = 1 } = sampler;
    const points: [number, number][] = [];
    const runs = cost === Infinity
      ? [0.3, 0.1, 0.03, 0.01, 0.003, 1e-3].map((rtol) => ({
        steps: 2,
        more: { rtol, atol: rtol / 6 },
      }))
      : BUDGETS.map((budget) => ({ steps: budget / cost, more: {} }));
    for (
      const { steps, more } of runs.filter(({ steps }) => Number.isInteger(steps) && steps > 1)
    ) {
      const { values, calls } = await runOf(sampler, { ...given, ...more }, path(steps), count);
      points.push([calls, measure(values)]);
    }
    const dash = DASHES[Math.floor(i / 7)];
    all.push({ name: title, points, ...(dash !== undefined && { dash }) });
  }
  return all;
}

/** One section of the page. */
function sectionOf(sampler: Sampler, name: keyof typeof samplers): string {
  const { summary, paper, options, order, calls = 1 } = sampler;
  const cost = calls === Infinity
    ? "as many calls as needed"
    : `${calls} call${calls > 1 ? "s" : ""} a step`;
  const known = Object.entries<string>(aliases)
    .filter(([, spec]) => spec.split(",")[0] === name)
    .map(([alias, spec]) => spec === name ? `\`${alias}\`` : `\`${alias}\` (\`${spec}\`)`);
  const rows = Object.entries<Options[string]>(options).map(([key, option]) => {
    const { name, help } = describeOption(key, option);
    return `| \`${name.replaceAll("|", "\\|")}\` | ${help} |`;
  });
  return [
    `### ${name}`,
    `${summary[0]?.toUpperCase()}${summary.slice(1)}: ${
      order === undefined ? "" : `order ${order}, `
    }${cost}.`,
    `$$${equations[name]}$$`,
    `[Paper](${paper}), [code](../samplers/${name}.ts)${
      known.length > 0 ? `; also ${known.join(", ")}` : ""
    }.`,
    ...(rows.length > 0 ? [["| option | |", "|---|---|", ...rows].join("\n")] : []),
  ].join("\n\n");
}

/** What the page keeps of what it was: the quality on digits, and the figure in its text. */
export function keptOf(page: string): Kept {
  const [, rest = ""] = page.split(BEGIN);
  return {
    digits: rest.split(END)[0]?.trim() ?? "",
    floor: page.match(/are about ([\d.]+) apart/)?.[1] ?? "",
  };
}

/** What the page says that does not follow from the samplers. */
export interface Kept {
  readonly digits: string;
  /** The distance of two draws of the mixture. */
  readonly floor: string;
}

/** The page. */
export async function samplersPage({ digits, floor }: Kept): Promise<string> {
  const rows: string[] = [];
  const sections: string[] = [];
  for (const name of Object.keys(samplers) as (keyof typeof samplers)[]) {
    const sampler = checkPlugin("sampler", name, (await samplers[name]()).default);
    const { order = "", calls = 1, summary } = sampler;
    rows.push(
      `| [\`${name}\`](#${name}) | ${order} | ${
        calls === Infinity ? "as needed" : calls
      } | ${summary} |`,
    );
    sections.push(sectionOf(sampler, name));
  }
  return `# Samplers

\`deno task docs\` writes this page from the samplers themselves. Each works with every noise process:
$\\bar x = x / \\alpha$ and $r = \\sigma / \\alpha$ are what it goes by, a prime marks the level that a step leads
to, $\\epsilon$ and $\\hat x_0$ are both halves of the model's answer, with $\\epsilon_1$ or $\\hat x_{0,1}$ for the one
before; $\\lambda = -\\log r$, $h = \\lambda' - \\lambda$, $P$ is the polynomial through answers, $z$ fresh noise.
[equations.md](equations.md) leads to the lines.

| sampler | order | calls a step | |
|---|---|---|---|
${rows.join("\n")}

The order is that of the error as steps become more, on the flow; samplers without one draw noise.

## Error against calls of the network

A mixture of two normal distributions in the plane, whose model is exact, along the path of EDM from
$\\sigma = 80$ to $0.02$. First the flow: how far 256 images are from where it leads them, solved in doubles.

![Error of the deterministic samplers](samplers-flow.svg)

Then the distribution: the sliced Wasserstein distance of 4,096 images, denoised at the end, from as many of the
mixture. Two independent draws of the mixture are about ${floor} apart.

![Distance from the distribution](samplers-noise.svg)

## Quality on digits

${BEGIN}
${digits}
${END}

## Each sampler

${sections.join("\n\n")}
`;
}

if (import.meta.main) {
  const flow = exactFlow(256);
  const deterministic = await seriesOf(
    [
      ["ddim", {}, "ddim, euler"],
      ["heun", {}],
      ["dpm2", {}],
      ["dpmpp_2s_ancestral", { eta: 0 }, "dpmpp_2s (eta 0)"],
      ["lms", {}],
      ["plms", {}],
      ["ipndm", {}],
      ["deis", { order: 3 }, "deis, order 3"],
      ["dpmpp_2m", {}],
      ["dpmpp_2m", { order: 3 }, "dpmpp_2m, order 3"],
      ["unipc", {}],
      [
        "unipc",
        { order: 3, algorithm: "noise", lower_order_final: false },
        "unipc, order 3, noise",
      ],
      ["dpm_adaptive", {}],
    ],
    256,
    edm,
    (values) => rms(values, flow),
  );
  const count = 4096;
  const data = dataOf(count);
  const stochastic = await seriesOf(
    [
      ["ddim", {}],
      ["euler_ancestral", {}, "euler_ancestral, ddpm"],
      ["dpm2_ancestral", {}],
      ["dpmpp_2s_ancestral", {}],
      ["dpmpp_sde", {}],
      ["dpmpp_2m_sde", {}],
      ["dpmpp_3m_sde", {}],
      // In the plane the corrector's norms are often near 0, unlike those of images.
      ["pc", { corrector_steps: 0 }, "pc, predictor alone"],
      ["restart", {}],
    ],
    count,
    (steps) => [...edm(steps - 1), CLEAN],
    (values) => sliced(values, data),
  );
  const page = new URL("samplers.md", DOCS);
  const { digits } = keptOf(await Deno.readTextFile(page).catch(() => ""));
  const floor = sliced(dataOf(count, 20_000), data).toPrecision(1);
  await Deno.writeTextFile(page, await samplersPage({ digits, floor }));
  const x = "calls of the network";
  const pictures = {
    flow: { title: "Error on the flow", x, y: "root mean square error", series: deterministic },
    noise: {
      title: "Distance from the distribution",
      x,
      y: "sliced Wasserstein",
      series: stochastic,
    },
  };
  for (const [name, picture] of Object.entries(pictures)) {
    await Deno.writeTextFile(new URL(`samplers-${name}.svg`, DOCS), chart(picture));
  }
}

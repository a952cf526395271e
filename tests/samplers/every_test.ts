import { assert, assertEquals } from "@std/assert";
import type { Sampler } from "../../plugin.ts";
import { checkPlugin } from "../../plugins/load.ts";
import deis from "../../samplers/deis.ts";
import dpmpp2m from "../../samplers/dpmpp_2m.ts";
import lms from "../../samplers/lms.ts";
import { samplers } from "../../samplers/mod.ts";
import diffusers from "../fixtures/samplers-diffusers/cases.json" with { type: "json" };
import kDiffusion from "../fixtures/samplers-kdiffusion/cases.json" with { type: "json" };
import more from "../fixtures/samplers-more/cases.json" with { type: "json" };
import openai from "../fixtures/samplers-openai/cases.json" with { type: "json" };
import {
  choose,
  closedForm,
  distance,
  drawn,
  linearPath,
  noiseOf,
} from "../pipeline/_closed_form.ts";
import { callsOf, errorOf } from "./_convergence.ts";
import { gaussian } from "./_moments.ts";

const HERE = new URL("./", import.meta.url);
const filesOf = (folder: URL) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
const tests = filesOf(HERE).filter((name) => name.endsWith("_test.ts"));

const all: Sampler[] = [];
for (const [name, load] of Object.entries(samplers)) {
  all.push(checkPlugin("sampler", name, (await load()).default));
}

Deno.test("every sampler is one file, one line in the list and one test", () => {
  const files = filesOf(new URL("../../samplers/", HERE))
    .filter((name) => !/^(_|mod\.ts|aliases\.ts)/.test(name))
    .map((name) => name.replace(".ts", ""));
  assertEquals(Object.keys(samplers).toSorted(), files);
  assertEquals(all.map(({ name }) => name), Object.keys(samplers));
  assertEquals(files.filter((name) => !tests.includes(`${name}_test.ts`)), []);
});

Deno.test("every run of the fixtures is repeated by a sampler's test", () => {
  const texts = tests.filter((name) => name !== "every_test.ts")
    .map((name) => Deno.readTextFileSync(new URL(name, HERE))).join("\n");
  const names = [diffusers.cases, kDiffusion.cases, more.cases, more.k_diffusion].flatMap(
    Object.keys,
  );
  assert(names.length > 100);
  assertEquals(names.filter((name) => !new RegExp(`\\b${name}"?: `).test(texts)), []);
  const kinds = new Set(Object.values(openai.cases).map(({ kind }) => kind));
  assertEquals([...kinds].filter((kind) => !texts.includes(`casesOf("${kind}")`)), []);
});

Deno.test("multistep samplers lose nothing where a path has a level twice", async () => {
  const path = linearPath(20);
  const twice = path.toSpliced(10, 0, ...path.slice(10, 11));
  const three = { order: 3, lower_order_final: false };
  for (const [sampler, given] of [[lms, {}], [dpmpp2m, three], [deis, three]] as const) {
    const images: Float32Array[] = [];
    for (const levels of [path, twice]) {
      const { predict } = closedForm({ mixture: gaussian({ mean: 0.5, variance: 0.09 }) });
      const chosen = choose(checkPlugin("sampler", sampler.name, sampler), given);
      images.push(
        await drawn({ sampler: chosen, path: levels, predict, noise: noiseOf(3, [1, 1, 1]) }),
      );
    }
    assert(distance(images[0] ?? [], images[1] ?? []) < 1e-6, sampler.name);
  }
});

for (const sampler of all) {
  const { name, order, calls = 1 } = sampler;

  Deno.test(`${name}() says how many calls it makes`, async () => {
    const [few, many] = [await callsOf(sampler, {}, 20), await callsOf(sampler, {}, 50)];
    const more = many.noisy - few.noisy; // without what its beginning takes
    assertEquals(more, calls === Infinity ? 0 : 30 * calls);
    assert(few.clean > few.noisy);
  });

  if (order === undefined) continue;
  Deno.test(`${name}() is of the order that it says`, async () => {
    const [few, many] = [await errorOf(sampler, {}, 32), await errorOf(sampler, {}, 96)];
    const measured = Math.log(few.error / many.error) / Math.log(3);
    assert(Math.abs(measured - order) < 0.35, `it says ${order}, but it is ${measured}`);
  });
}

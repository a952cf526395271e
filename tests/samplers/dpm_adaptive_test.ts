import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { run, timelineOf } from "../../pipeline/run.ts";
import dpmAdaptive from "../../samplers/dpm_adaptive.ts";
import { readFixture } from "../_safetensors.ts";
import { testSampler } from "../laws.ts";
import more from "../fixtures/samplers-more/cases.json" with { type: "json" };
import { choose, distance, linearPath, noiseOf } from "../pipeline/_closed_form.ts";
import { errorOf } from "./_convergence.ts";
import { denoise } from "./_trajectories.ts";

// The worst image of a batch decides the levels, so that others differ by less than is allowed.
testSampler(dpmAdaptive, {
  settings: [{ order: 2 }, { pcoeff: 0.3, icoeff: 0.7, dcoeff: 0.1 }],
  tolerance: 5e-2,
});

const cases = {
  dpm_adaptive: {},
  dpm_adaptive_o2: { order: 2, rtol: 0.02, h_init: 0.1 },
  dpm_adaptive_pid: { pcoeff: 0.3, icoeff: 0.7, dcoeff: 0.1, accept_safety: 0.9, atol: 0.001 },
};

for (const [name, given] of Object.entries(cases)) {
  Deno.test(`dpm_adaptive() takes the stages of k-diffusion and ends where it does: ${name}`, async () => {
    const expected = readFixture("samplers-more/expected.safetensors");
    const [starts, ends] = [expected("x_T_unit").data, expected(`k.${name}.images`).data];
    const sigmas = [...expected("sigmas.karras").data].slice(0, -1);
    const path = sigmas.map((sigma) => ({ t: sigma, alpha: 1, sigma }));
    const sampler = choose(dpmAdaptive, given);
    const order = Number(sampler.options["order"]);
    const { stages } = more.k_diffusion[name as keyof typeof cases];
    for (const [image, count] of stages.entries()) { // each by itself, as they were drawn
      let calls = 0;
      const begin = starts.subarray(2 * image, 2 * image + 2).map((it) => it * (sigmas[0] ?? NaN));
      const start = tf.tensor4d(Float32Array.from(begin), [1, 1, 1, 2]);
      const x = await run({
        sampler,
        path: timelineOf(sampler, path),
        start,
        noise: noiseOf(1, [1, 1, 2]),
        predict: (x, at) => {
          calls++;
          return Promise.resolve(denoise(x, at));
        },
      });
      const apart = distance(x.dataSync(), ends.subarray(2 * image, 2 * image + 2));
      tf.dispose([x, start]);
      assertEquals(calls, count * order);
      // In their float32 the first errors of order 3 are rounding, and with them the first stages.
      assert(apart < (order === 3 ? 5e-3 : 1e-6), `image ${image} is off by ${apart}`);
    }
  });
}

Deno.test("dpm_adaptive() comes nearer to the flow where less error is allowed, with more calls", async () => {
  let [error, calls] = [Infinity, 0];
  for (const rtol of [0.1, 0.01, 0.001]) {
    const now = await errorOf(dpmAdaptive, { rtol, atol: rtol / 10 }, 10);
    assert(now.error < error / 2 && now.error < 3 * rtol, `rtol ${rtol} leaves ${now.error}`);
    assert(now.calls > calls);
    ({ error, calls } = now);
  }
});

Deno.test("dpm_adaptive() keeps of a path its ends", () => {
  const path = linearPath(10);
  const ends = timelineOf(choose(dpmAdaptive), path).map(({ t }) => t);
  assertEquals(ends, [999, 99, -1]);
});

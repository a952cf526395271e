import ddim from "../../samplers/ddim.ts";
import deis from "../../samplers/deis.ts";
import dpmpp2m from "../../samplers/dpmpp_2m.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(deis, { settings: [{ order: 1 }, { order: 3 }, { lower_order_final: false }] });
testOrder(deis, 1, { order: 1 });
testOrder(deis, 2);
testOrder(deis, 2, { order: 3 }); // what its first steps, of lower orders, leave of 3
testTrajectories(deis, {
  diffusers: {
    deis_o1: { order: 1 },
    deis_o2: {},
    deis_o3: { order: 3 },
    deis_o3_20steps: { order: 3 },
    deis_karras: {},
  },
  // diffusers takes differences of logarithms in float32.
  tolerance: { deis_o3: 1e-4, deis_o3_20steps: 1e-4 },
});

Deno.test("deis() is ddim() at order 1, and at order 2 the exact form of DPM-Solver's", async () => {
  await assertSame([deis, { order: 1 }], [ddim, {}]);
  await assertSame([deis, {}], [dpmpp2m, { algorithm: "dpmsolver", solver: "heun" }]);
});

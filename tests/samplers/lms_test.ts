import ddim from "../../samplers/ddim.ts";
import lms from "../../samplers/lms.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

testSampler(lms, { settings: [{ order: 1 }, { order: 2 }, { order: 3 }] });
testOrder(lms, 1, { order: 1 });
testOrder(lms, 2, { order: 2 });
testOrder(lms, 2); // what its first steps, of lower orders, leave of 4
testTrajectories(lms, {
  diffusers: { lms_linspace: {}, lms_leading1: {}, lms_o2: { order: 2 }, lms_karras: { order: 3 } },
  kDiffusion: { lms_karras: {}, lms_o2: { order: 2 } },
});

Deno.test("lms() of order 1 is ddim()", async () => {
  await assertSame([lms, { order: 1 }], [ddim, {}]);
});

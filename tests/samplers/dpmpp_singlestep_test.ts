import ddim from "../../samplers/ddim.ts";
import dpmppSinglestep from "../../samplers/dpmpp_singlestep.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";

testSampler(dpmppSinglestep, {
  settings: [{ order: 1 }, { order: 3 }, { solver: "heun", lower_order_final: false }],
});
testOrder(dpmppSinglestep, 1, { order: 1 });
testOrder(dpmppSinglestep, 2, { lower_order_final: false });
testOrder(dpmppSinglestep, 2, { solver: "heun", lower_order_final: false });

Deno.test("dpmpp_singlestep() of order 1 is ddim()", async () => {
  await assertSame([dpmppSinglestep, { order: 1 }], [ddim, {}]);
});

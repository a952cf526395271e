import ddim from "../../samplers/ddim.ts";
import ipndm from "../../samplers/ipndm.ts";
import { testSampler } from "../laws.ts";
import { testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";

testSampler(ipndm, { settings: [{ order: 1 }, { order: 2 }, { order: 3 }] });
testOrder(ipndm, 1, { order: 1 });
testOrder(ipndm, 2, { order: 2 });
testOrder(ipndm, 2); // what its first steps, of lower orders, leave of 4

Deno.test("ipndm() of order 1 is ddim()", async () => {
  await assertSame([ipndm, { order: 1 }], [ddim, {}]);
});

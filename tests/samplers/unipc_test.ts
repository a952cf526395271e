import { assertEquals } from "@std/assert";
import dpmpp2m from "../../samplers/dpmpp_2m.ts";
import unipc from "../../samplers/unipc.ts";
import { testSampler } from "../laws.ts";
import { callsOf, testOrder } from "./_convergence.ts";
import { assertSame } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

const noise = { algorithm: "noise" } as const;
const whole = { lower_order_final: false } as const;

testSampler(unipc, {
  settings: [{ order: 1 }, { order: 3, solver: "bh1" }, { ...whole, order: 3 }, {
    ...noise,
    order: 3,
  }],
});
testOrder(unipc, 2, { order: 1 }); // the corrector gains one
testOrder(unipc, 3, whole);
testOrder(unipc, 3, { ...whole, solver: "bh1" });
testOrder(unipc, 3, { ...whole, ...noise, order: 3 });
testOrder(unipc, 2); // what its last step, of order 1, leaves
testTrajectories(unipc, {
  diffusers: {
    unipc_o1: { order: 1 },
    unipc_bh2_o2: {},
    unipc_bh1_o2: { solver: "bh1" },
    unipc_bh1_o3: { solver: "bh1", order: 3 },
    unipc_bh2_o3_leading1: { order: 3 },
    unipc_karras_20steps: { order: 3 },
    unipc_o3_no_lower: { order: 3, lower_order_final: false },
    unipc_o3_noise: { ...noise, order: 3 },
    unipc_bh1_noise: { ...noise, solver: "bh1" },
    unipc_corrector_from_3: { corrector_from: 3 },
  },
});

Deno.test("unipc() without its corrector is dpmpp_2m()", async () => {
  const ours = { corrector_from: 1000, lower_order_final: false };
  await assertSame([unipc, ours], [dpmpp2m, { lower_order_final: false }]);
});

Deno.test("unipc() corrects without a further call of the network", async () => {
  assertEquals(await callsOf(unipc, {}, 10), { noisy: 10, clean: 11 });
});

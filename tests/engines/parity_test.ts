import { assert, assertEquals } from "@std/assert";
import { casesOf, compute, testedEngines, titleOf } from "./_engines.ts";

for (const engine of await testedEngines()) {
  Deno.test({
    name: titleOf(engine, "gives what diffusers and OpenAI's code give"),
    ignore: engine.missing !== undefined,
    async fn(test) {
      const found = await compute(engine.name, "parity");
      assertEquals(Object.keys(found), [...casesOf(engine.name)]);
      for (const [name, differences] of Object.entries(found)) {
        const tolerance = name.endsWith("gradient") ? 1e-3 : engine.eager ? 1e-5 : 1e-4;
        await test.step(name, () => {
          assert(differences.length >= 2);
          for (const [element, share] of differences.entries()) {
            // NaN is null in JSON.
            assert(
              typeof share === "number" && share <= tolerance,
              `element ${element} differs by ${share} of its largest value`,
            );
          }
        });
      }
    },
  });
}

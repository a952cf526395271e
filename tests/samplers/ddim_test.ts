import ddim from "../../samplers/ddim.ts";
import { assertSameRun, casesOf } from "./_openai.ts";

for (const name of casesOf("ddim")) {
  Deno.test(`ddim() makes the steps of guided-diffusion: ${name}`, async () => {
    await assertSameRun(name, ddim, { eta: Number(name.match(/eta([\d.]+)/)?.[1]) });
  });
}
import { testSampler } from "../laws.ts";
testSampler(ddim, { settings: [{ eta: 0.5 }, { eta: 1 }] });

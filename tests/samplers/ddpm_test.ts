import ddpm from "../../samplers/ddpm.ts";
import { assertSameRun, casesOf } from "./_openai.ts";

for (const name of casesOf("p")) {
  Deno.test(`ddpm() makes the steps of guided-diffusion: ${name}`, async () => {
    await assertSameRun(name, ddpm, { variance: name.includes("large") ? "large" : "model" });
  });
}
import { testSampler } from "../laws.ts";
testSampler(ddpm, { settings: [{ variance: "small" }, { variance: "large" }] });

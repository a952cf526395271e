import { assertEquals } from "@std/assert";
import type { Level } from "../../plugin.ts";
import ddpm from "../../samplers/ddpm.ts";
import pc from "../../samplers/pc.ts";
import { testSampler } from "../laws.ts";
import { alphasCumprod, linear, path } from "../../schedules/mod.ts";
import { callsOf } from "./_convergence.ts";
import { assertSame, draws } from "./_equal.ts";
import { testTrajectories } from "./_trajectories.ts";

// Its corrector goes by alpha, and its predictor is of another form for VE than for VP.
testSampler(pc, {
  scaleFree: false,
  settings: [{ predictor: "ancestral" }, { predictor: "none", corrector_steps: 2 }, { snr: 0.05 }],
});
testTrajectories(pc, { kDiffusion: { score_sde: {} } });

const exploding: Level[] = [20, 5, 1, 0.2, 0.02, 0].map((sigma) => ({ t: sigma, alpha: 1, sigma }));
const preserving = path({
  alphasCumprod: alphasCumprod(linear(1000)),
  spacing: "trailing",
  steps: 8,
});

Deno.test("pc() without corrector is ancestral sampling: ddpm() with small variance in VE, large in VP", async () => {
  const given = { predictor: "ancestral", corrector_steps: 0 };
  await assertSame([pc, given], [ddpm, { variance: "small" }], { paths: [exploding] });
  await assertSame([pc, given], [ddpm, { variance: "large" }], { paths: [preserving] });
});

Deno.test("pc() calls the network and draws once a move and once a step", async () => {
  assertEquals(await callsOf(pc, { corrector_steps: 2 }, 10), { noisy: 30, clean: 33 });
  assertEquals(await draws(pc, { corrector_steps: 2 }, 6), 17); // the last step draws nothing
});

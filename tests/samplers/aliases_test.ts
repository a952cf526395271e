import { assert, assertEquals } from "@std/assert";
import { choosePlugin, resolveSpec } from "../../plugins/load.ts";
import { aliases, samplers } from "../../samplers/mod.ts";

Deno.test("every alias stands for a sampler with options that it has", async () => {
  for (const alias of Object.keys(aliases)) {
    assert(!Object.hasOwn(samplers, alias), `${alias} is a sampler itself`);
    const { source, plugin } = await choosePlugin("sampler", alias, samplers, { aliases });
    assertEquals(source, plugin.name); // what a PNG keeps is the sampler's own name
  }
});

Deno.test("names of other tools find their samplers", async () => {
  const names: Record<string, [name: string, options: Record<string, unknown>]> = {
    "dpm++2m": ["dpmpp_2m", {}],
    dpmpp2m: ["dpmpp_2m", {}],
    "DPM++ 2M": ["dpmpp_2m", {}],
    "DPM++ 2M SDE": ["dpmpp_2m_sde", {}],
    "DPM++ 2M SDE Heun": ["dpmpp_2m_sde", { solver: "heun" }],
    "DPM++ 3M SDE": ["dpmpp_3m_sde", {}],
    "DPM++ SDE": ["dpmpp_sde", {}],
    "DPM++ 2S a": ["dpmpp_2s_ancestral", { eta: 1 }],
    "DPM2 a": ["dpm2_ancestral", {}],
    "DPM adaptive": ["dpm_adaptive", { order: 3 }],
    "Euler a": ["euler_ancestral", {}],
    euler_a: ["euler_ancestral", {}],
    Euler: ["euler", {}],
    k_euler: ["euler", {}],
    UniPC: ["unipc", {}],
    uni_pc: ["unipc", {}],
    dpmpp_3m: ["dpmpp_2m", { order: 3 }],
    dpmpp_2s: ["dpmpp_2s_ancestral", { eta: 0 }],
  };
  for (const [typed, [name, wanted]] of Object.entries(names)) {
    const { plugin, options } = await choosePlugin("sampler", typed, samplers, { aliases });
    assertEquals(plugin.name, name, typed);
    assertEquals(Object.keys(wanted).map((key) => options[key]), Object.values(wanted), typed);
  }
});

Deno.test("resolveSpec() lets an option that is typed stand before its alias's own", () => {
  const spec = resolveSpec("DPMPP_3M,order=1,solver=heun", samplers, { aliases });
  assertEquals(spec, { name: "dpmpp_2m", options: { order: "1", solver: "heun" } });
});

Deno.test("resolveSpec() leaves files and unknown names as they are", () => {
  for (const text of ["./Euler", "https://example.org/DDIM", "eulr", "mine.ts"]) {
    assertEquals(resolveSpec(text, samplers, { aliases }).name, text);
  }
});

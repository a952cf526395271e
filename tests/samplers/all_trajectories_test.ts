import { assertDiffusers, assertKDiffusion } from "./_trajectories.ts";
import { samplers } from "../../samplers/mod.ts";
const D: Record<string, [keyof typeof samplers, any?]> = {
  ddpm_fixed_small_clip: ["ddpm"],
  ddpm_fixed_large_noclip: ["ddpm", { variance: "large" }],
  ddpm_learned_range_noclip: ["ddpm"],
  ddpm_trailing_v: ["ddpm"],
  ddim_eta0_leading1: ["ddim"],
  ddim_eta1_clip: ["ddim", { eta: 1 }],
  "ddim_eta0.5_linspace": ["ddim", { eta: .5 }],
  ddim_zero_snr_v_trailing: ["ddim"],
  pndm_plms: ["plms"],
  pndm_prk: ["pndm"],
  dpmpp_2m_linspace: ["dpmpp_2m"],
  dpmpp_2m_leading1: ["dpmpp_2m"],
  dpmpp_2m_karras: ["dpmpp_2m"],
  dpmpp_2m_heun_trailing: ["dpmpp_2m", { solver: "heun" }],
  dpmpp_2m_v: ["dpmpp_2m"],
  dpmpp_2m_20steps: ["dpmpp_2m"],
  dpmpp_3m: ["dpmpp_2m", { order: 3 }],
  dpmpp_3m_karras: ["dpmpp_2m", { order: 3 }],
  dpmpp_2m_sde: ["dpmpp_2m_sde"],
  dpmpp_2m_sde_karras: ["dpmpp_2m_sde"],
  unipc_bh2_o2: ["unipc"],
  unipc_bh1_o3: ["unipc", { order: 3, solver: "bh1" }],
  unipc_bh2_o3_leading1: ["unipc", { order: 3 }],
  euler_linspace: ["euler"],
  euler_leading1: ["euler"],
  euler_trailing_v: ["euler"],
  euler_karras: ["euler"],
  euler_ancestral_linspace: ["euler_ancestral"],
  euler_ancestral_leading1: ["euler_ancestral"],
  heun_linspace: ["heun"],
  heun_leading1_karras: ["heun"],
  lms_linspace: ["lms"],
  lms_leading1: ["lms"],
  deis_o2: ["deis"],
  deis_o3: ["deis", { order: 3 }],
  lcm_4: ["lcm"],
  lcm_1: ["lcm"],
};
const K: Record<string, [keyof typeof samplers, any?]> = {
  euler_karras: ["euler"],
  heun_karras: ["heun"],
  dpm_2_karras: ["dpm2"],
  dpmpp_2m_karras: ["dpmpp_2m"],
  lms_karras: ["lms"],
  euler_vp: ["euler"],
  heun_exponential: ["heun"],
  dpmpp_2m_polyexponential: ["dpmpp_2m"],
  euler_churn: ["euler", { s_churn: 3, s_tmin: .05, s_tmax: 8, s_noise: 1.003 }],
  heun_churn: ["heun", { s_churn: 3, s_tmin: .05, s_tmax: 8, s_noise: 1.003 }],
  dpm_2_churn: ["dpm2", { s_churn: 3, s_tmin: .05, s_tmax: 8, s_noise: 1.003 }],
  euler_ancestral: ["euler_ancestral"],
  "euler_ancestral_eta0.6": ["euler_ancestral", { eta: .6, s_noise: .9 }],
  dpm_2_ancestral: ["dpm2_ancestral"],
  dpmpp_2s_ancestral: ["dpmpp_2s_ancestral"],
  dpmpp_sde: ["dpmpp_sde"],
  "dpmpp_sde_eta0.5": ["dpmpp_sde", { eta: .5 }],
  dpmpp_2m_sde_midpoint: ["dpmpp_2m_sde"],
  dpmpp_2m_sde_heun: ["dpmpp_2m_sde", { solver: "heun", eta: .7 }],
  dpmpp_3m_sde: ["dpmpp_3m_sde"],
};
for (const [n, [s, o]] of Object.entries(D)) {
  Deno.test("diffusers " + n, async () => {
    await assertDiffusers(n as any, (await samplers[s]()).default as any, o);
  });
}
for (const [n, [s, o]] of Object.entries(K)) {
  Deno.test("kdiff " + n, async () => {
    await assertKDiffusion(n as any, (await samplers[s]()).default as any, o);
  });
}

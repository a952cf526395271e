/**
 * The built-in samplers, loaded when they are named.
 *
 * @module
 */
export { aliases } from "./aliases.ts";

export const samplers = {
  ddpm: () => import("./ddpm.ts"),
  ddim: () => import("./ddim.ts"),
  plms: () => import("./plms.ts"),
  pndm: () => import("./pndm.ts"),
  ipndm: () => import("./ipndm.ts"),
  euler: () => import("./euler.ts"),
  euler_ancestral: () => import("./euler_ancestral.ts"),
  heun: () => import("./heun.ts"),
  dpm2: () => import("./dpm2.ts"),
  dpm2_ancestral: () => import("./dpm2_ancestral.ts"),
  lms: () => import("./lms.ts"),
  dpmpp_2s_ancestral: () => import("./dpmpp_2s_ancestral.ts"),
  dpmpp_2m: () => import("./dpmpp_2m.ts"),
  dpmpp_singlestep: () => import("./dpmpp_singlestep.ts"),
  dpmpp_2m_sde: () => import("./dpmpp_2m_sde.ts"),
  dpmpp_3m_sde: () => import("./dpmpp_3m_sde.ts"),
  dpmpp_sde: () => import("./dpmpp_sde.ts"),
  dpm_adaptive: () => import("./dpm_adaptive.ts"),
  deis: () => import("./deis.ts"),
  unipc: () => import("./unipc.ts"),
  lcm: () => import("./lcm.ts"),
  tcd: () => import("./tcd.ts"),
  langevin: () => import("./langevin.ts"),
  pc: () => import("./pc.ts"),
  restart: () => import("./restart.ts"),
} as const;

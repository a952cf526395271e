/**
 * The built-in samplers, loaded when they are named.
 *
 * @module
 */
export const samplers = {
  ddpm: () => import("./ddpm.ts"),
  ddim: () => import("./ddim.ts"),
} as const;

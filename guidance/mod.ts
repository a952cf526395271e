/**
 * The built-in guidances, loaded when they are named.
 *
 * @module
 */
export const guidances = {
  apg: () => import("./apg.ts"),
  autoguidance: () => import("./autoguidance.ts"),
  cfg: () => import("./cfg.ts"),
  cfg_zero: () => import("./cfg_zero.ts"),
  cfgpp: () => import("./cfgpp.ts"),
  classifier: () => import("./classifier.ts"),
  clip: () => import("./clip.ts"),
  frequency: () => import("./frequency.ts"),
  loss: () => import("./loss.ts"),
  negative: () => import("./negative.ts"),
  pag: () => import("./pag.ts"),
  rescale: () => import("./rescale.ts"),
  sag: () => import("./sag.ts"),
  threshold: () => import("./threshold.ts"),
} as const;

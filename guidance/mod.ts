/**
 * The built-in guidances, loaded when they are named.
 *
 * @module
 */
export const guidances = {
  cfg: () => import("./cfg.ts"),
  classifier: () => import("./classifier.ts"),
  clip: () => import("./clip.ts"),
  threshold: () => import("./threshold.ts"),
} as const;

/**
 * What the squared error weighs at each level of noise.
 *
 * Every weight is first one of the error of x0; the same error seen in the noise is 1 / SNR of it,
 * in v 1 / (SNR + 1), so that the three targets learn alike under one weighting.
 *
 * @module
 */
import type { PredictionType } from "../objective.ts";

/** Names of weightings. */
export const WEIGHTINGS = ["none", "min-snr", "p2", "edm"] as const;

/** How levels are weighed. */
export type Weighting =
  /** All alike, in whatever the network predicts: L_simple. */
  | { readonly kind: "none" }
  /** Min-SNR (Hang et al. 2023, equation 6): the easy, nearly clean levels count less. */
  | { readonly kind: "min-snr"; readonly gamma: number }
  /** P2 (Choi et al. 2022, equation 8): 1 / (k + SNR)^gamma of L_simple on the noise. */
  | { readonly kind: "p2"; readonly gamma: number; readonly k: number }
  /** EDM (Karras et al. 2022, table 1): 1 / sigma² + 1 / data², sigma being that of VE models. */
  | { readonly kind: "edm"; readonly data: number };

/**
 * The weight of the squared error at a signal-to-noise ratio α²/σ², finite also where the ratio is
 * 0 (in min-SNR and P2 also where it is infinite).
 */
export function lossWeight(type: PredictionType, snr: number, weighting: Weighting): number {
  switch (weighting.kind) {
    case "none":
      return 1;
    case "min-snr": {
      const { gamma } = weighting;
      if (type === "epsilon") return Math.min(1, gamma / snr);
      const capped = Math.min(snr, gamma);
      return type === "sample" ? capped : capped / (snr + 1);
    }
    case "p2": {
      const inNoise = (weighting.k + snr) ** -weighting.gamma;
      if (type === "epsilon") return inNoise;
      return type === "sample" ? snr * inNoise : snr / (snr + 1) * inNoise;
    }
    case "edm": {
      const floor = weighting.data ** -2;
      if (type === "epsilon") return 1 + floor / snr;
      return type === "sample" ? snr + floor : (snr + floor) / (snr + 1);
    }
  }
}

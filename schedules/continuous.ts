/**
 * Noise processes whose network is conditioned on the noise level itself, at any level.
 *
 * @module
 */
import type { Level } from "../plugin.ts";
import { linspace } from "./_numpy.ts";
import { checkSigma, CLEAN, convertTime, type Process } from "./process.ts";

/** The sigmas that a network was trained at. */
export interface SigmaRange {
  readonly sigmaMin: number;
  readonly sigmaMax: number;
}

/** A process with alpha = 1, by what the network is told of sigma, and sigma of that. */
function exploding(
  range: SigmaRange,
  timeOf: (sigma: number) => number,
  sigmaOf: (t: number) => number,
): Process {
  const atSigma: Process["atSigma"] = (sigma, conversion) => {
    checkSigma(sigma);
    if (conversion !== undefined && conversion !== "fractional") {
      throw new RangeError(
        `Cannot use t=${conversion} with this model: its time is continuous, so t must be fractional`,
      );
    }
    return sigma === 0 ? CLEAN : { t: timeOf(sigma), alpha: 1, sigma };
  };
  return {
    ...range,
    atSigma,
    atRatio: (ratio) => atSigma(ratio),
    atTime: (t) => ({ t, alpha: 1, sigma: sigmaOf(t) }),
    ratioOf: (sigma) => sigma,
    sigmaOf: (ratio) => ratio,
  };
}

/**
 * The variance-exploding process: x = x0 + sigma eps, and the network is told sigma. NCSN (Song and
 * Ermon 2019), https://arxiv.org/abs/1907.05600; score-SDE (Song et al. 2021), equation 9,
 * https://arxiv.org/abs/2011.13456.
 */
export function veProcess(range: SigmaRange): Process {
  return exploding(range, (sigma) => sigma, (t) => t);
}

/**
 * The sigmas of NCSN, a geometric series from the smallest to the largest (Song and Ermon 2020,
 * technique 1, https://arxiv.org/abs/2006.09011; score-SDE, appendix C).
 *
 * @param count At least 1.
 */
export function geometric(count: number, { sigmaMin, sigmaMax }: SigmaRange): Float64Array {
  return linspace(Math.log(sigmaMin), Math.log(sigmaMax), count).map(Math.exp);
}

/**
 * The process of EDM: x = x0 + sigma eps, and the network is told c_noise = ln(sigma) / 4 (Karras et
 * al. 2022, table 1, https://arxiv.org/abs/2206.00364).
 */
export function edmProcess(range: SigmaRange): Process {
  return exploding(range, (sigma) => Math.log(sigma) / 4, (t) => Math.exp(4 * t));
}

/**
 * A variance-preserving process whose network is told ln(sigma / alpha) / 4, as Stable Video
 * Diffusion's (`timestep_type: "continuous"` in diffusers).
 */
export function continuousVpProcess(range: SigmaRange): Process {
  const edm = edmProcess(range);
  const preserve = ({ t, sigma }: Level): Level =>
    sigma === 0 ? CLEAN : sigma === Infinity ? { t, alpha: 0, sigma: 1 } : {
      t,
      alpha: 1 / Math.hypot(1, sigma),
      sigma: sigma / Math.hypot(1, sigma),
    };
  return {
    ...edm,
    atSigma: (sigma, conversion) => preserve(edm.atSigma(sigma, conversion)),
    atRatio: (ratio) => preserve(edm.atRatio(ratio)),
    atTime: (t) => preserve(edm.atTime(t)),
  };
}

/**
 * The straight paths of flow matching (Lipman et al. 2023, https://arxiv.org/abs/2210.02747) and
 * rectified flow: x = (1 - sigma) x0 + sigma eps, and the network is told sigma, times `timesteps`.
 */
export function flowProcess(timesteps: number): Process {
  const ratioOf = (sigma: number) => sigma / (1 - sigma);
  const sigmaOf = (ratio: number) => ratio === Infinity ? 1 : ratio / (1 + ratio);
  const atSigma: Process["atSigma"] = (sigma, conversion) => {
    checkSigma(sigma, 1);
    const t = convertTime(sigma * timesteps, conversion);
    return sigma === 0 ? CLEAN : { t, alpha: 1 - sigma, sigma };
  };
  return {
    sigmaMin: 1 / timesteps,
    sigmaMax: 1,
    atSigma,
    atRatio: (ratio) => atSigma(sigmaOf(ratio)),
    atTime: (t) => atSigma(t / timesteps),
    ratioOf,
    sigmaOf,
  };
}

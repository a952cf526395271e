/**
 * What a model's `scheduler_config.json` asks for, in the words of this project: a sampler, and a
 * guidance that clips. The path is `spacingOf()` of `schedules/`.
 *
 * @module
 */
import { formatSpec } from "../plugins/spec.ts";
import {
  type SchedulerConfig,
  type SchedulerName,
  schedulerName,
  withDefaults,
} from "../schedules/mod.ts";

type Given = Record<string, string | number | boolean>;

/** The values of a configuration, as far as they are what they should be. */
interface Reader {
  flag(key: string): boolean;
  number(key: string): number;
  word(key: string): string;
  /** The length of a list; 0 where there is none. */
  count(key: string): number;
}

/** The sampler of each class of diffusers, with the options that are not its defaults. */
const SAMPLERS: Readonly<
  Record<SchedulerName, (read: Reader) => readonly [name: string, given?: Given]>
> = {
  DDIMParallelScheduler: () => ["ddim"],
  DDIMScheduler: () => ["ddim"],
  DDPMParallelScheduler: ancestral,
  DDPMScheduler: ancestral,
  DEISMultistepScheduler: (read) => ["deis", orders(read)],
  DPMSolverMultistepScheduler: dpmSolver,
  DPMSolverSDEScheduler: () => ["dpmpp_sde"],
  DPMSolverSinglestepScheduler: (read) => {
    const [name, { algorithm, ...given }] = dpmSolver(read);
    const own = name === "dpmpp_2m" && algorithm === undefined;
    return own ? ["dpmpp_singlestep", given] : [name, algorithm ? { ...given, algorithm } : given];
  },
  EDMDPMSolverMultistepScheduler: dpmSolver,
  EDMEulerScheduler: () => ["euler"],
  EulerAncestralDiscreteScheduler: () => ["euler_ancestral"],
  EulerDiscreteScheduler: () => ["euler"],
  // Its stochastic form goes to x0 and adds the next level's noise, as consistency models do.
  FlowMatchEulerDiscreteScheduler: (read) =>
    read.flag("stochastic_sampling") ? ["lcm", { sigma_data: 0 }] : ["euler"],
  FlowMatchHeunDiscreteScheduler: () => ["heun"],
  HeunDiscreteScheduler: () => ["heun"],
  KDPM2AncestralDiscreteScheduler: () => ["dpm2_ancestral"],
  KDPM2DiscreteScheduler: () => ["dpm2"],
  LCMScheduler: (read) => ["lcm", { timestep_scaling: read.number("timestep_scaling") }],
  LMSDiscreteScheduler: () => ["lms"],
  PNDMScheduler: (read) => [
    read.flag("skip_prk_steps") ? "plms" : "pndm",
    read.word("prediction_type") === "v_prediction" ? { slopes: "velocity" } : {},
  ],
  ScoreSdeVeScheduler: (read) => [
    "pc",
    { snr: read.number("snr"), corrector_steps: read.number("correct_steps") },
  ],
  TCDScheduler: () => ["tcd"],
  UnCLIPScheduler: ancestral,
  UniPCMultistepScheduler: (read) => [
    "unipc",
    {
      ...orders(read),
      ...(read.word("solver_type") === "bh1" && { solver: "bh1" }),
      ...(read.word("predict_x0") === "false" && { algorithm: "noise" }),
      ...(read.count("disable_corrector") > 0 &&
        { corrector_from: read.count("disable_corrector") }),
    },
  ],
};

/** The sampler that a configuration asks for, as it is typed; `ddim` where its class is not known. */
export function samplerOf(config: SchedulerConfig): string {
  const values = withDefaults(config);
  const name = schedulerName(config);
  if (name === undefined) return "ddim";
  const [own, given = {}] = SAMPLERS[name]({
    flag: (key) => values[key] === true,
    number: (key) => numberIn(values, key),
    word: (key) => String(values[key]),
    count: (key) => {
      const list = values[key];
      return Array.isArray(list) ? list.length : 0;
    },
  });
  return formatSpec(own, given);
}

/**
 * The guidance that keeps x0 in its range as a configuration asks for, if it does.
 *
 * @param sampler The name of the sampler that is used. The diffusers schedulers whose own is `ddim` or
 * `tcd` clip x0 and keep the noise that was predicted; others take x0 alone, or derive the noise anew.
 */
export function clippingOf(config: SchedulerConfig, sampler: string): string | undefined {
  const values = withDefaults(config);
  const own = schedulerName(config) && samplerOf(config).split(",")[0];
  const keeps = own === sampler && (own === "ddim" || own === "tcd");
  const noise: Given = keeps ? { keep_eps: true } : {};
  if (values["thresholding"] === true) {
    const percentile = numberIn(values, "dynamic_thresholding_ratio");
    const max = numberIn(values, "sample_max_value");
    return formatSpec("threshold", { percentile, max, ...noise });
  }
  if (values["clip_sample"] !== true) return undefined;
  return formatSpec("clip", { range: numberIn(values, "clip_sample_range"), ...noise });
}

/** The number of a key. */
function numberIn(values: SchedulerConfig, key: string): number {
  const value = values[key];
  if (typeof value === "number") return value;
  throw new TypeError(
    `Cannot use a scheduler with ${key}=${JSON.stringify(value)}: it must be a number`,
  );
}

function ancestral(read: Reader): readonly [string, Given] {
  return [
    "ddpm",
    read.word("variance_type").startsWith("fixed_large") ? { variance: "large" } : {},
  ];
}

function orders(read: Reader): Given {
  const order = read.number("solver_order");
  return {
    ...(order !== 2 && { order }),
    ...(!read.flag("lower_order_final") && { lower_order_final: false }),
  };
}

/** DPM-Solver and DPM-Solver++, in their forms for the flow and for the diffusion. */
function dpmSolver(read: Reader): readonly [string, Given] {
  const algorithm = read.word("algorithm_type");
  return [algorithm.startsWith("sde-") ? "dpmpp_2m_sde" : "dpmpp_2m", {
    ...orders(read),
    ...(/^(sde-)?dpmsolver$/.test(algorithm) && { algorithm: "dpmsolver" }),
    ...(read.word("solver_type") === "heun" && { solver: "heun" }),
    ...(read.flag("euler_at_final") && { euler_at_final: true }),
  }];
}

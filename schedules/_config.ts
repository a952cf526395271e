/** A `scheduler_config.json` as it was parsed; of its keys those that matter here are checked. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

/**
 * How the classes of diffusers place the levels of a run:
 *
 * - `timesteps`: those of a spacing, as DDPM.
 * - `solver`: of n + 1 timesteps all but the cleanest, or sigmas over the whole range, with whole t.
 * - `ode`: fractional timesteps, or sigmas between the ends of those, in k-diffusion's manner.
 * - `consistency`: of the timesteps of the distillation.
 * - `edm`, `flow`, `ve`: sigmas of their own process.
 */
export type Family = "timesteps" | "solver" | "ode" | "consistency" | "edm" | "flow" | "ve";

/** What a class of diffusers 0.42 does. */
interface SchedulerClass {
  readonly family: Family;
  /** What it takes for a key that its file does not have, where that is not {@linkcode DEFAULTS}. */
  readonly defaults?: SchedulerConfig;
}

const KARRAS = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 };
const SOLVER: SchedulerClass = { family: "solver", defaults: { timestep_spacing: "linspace" } };
const ODE: SchedulerClass = { family: "ode", defaults: { timestep_spacing: "linspace" } };
const KARRAS_ODE: SchedulerClass = { family: "ode", defaults: KARRAS };
const CONSISTENCY: SchedulerClass = {
  family: "consistency",
  defaults: { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" },
};
const EDM: SchedulerClass = { family: "edm", defaults: { sigma_min: 0.002, sigma_max: 80 } };
const FLOW: SchedulerClass = { family: "flow" };

/** The classes by name. */
const CLASSES: Readonly<Record<string, SchedulerClass>> = {
  DDIMScheduler: { family: "timesteps", defaults: { clip_sample: true } },
  DDPMScheduler: { family: "timesteps", defaults: { clip_sample: true } },
  DEISMultistepScheduler: {
    ...SOLVER,
    defaults: { ...SOLVER.defaults, final_sigmas_type: "sigma_min" },
  },
  DPMSolverMultistepScheduler: SOLVER,
  DPMSolverSDEScheduler: KARRAS_ODE,
  DPMSolverSinglestepScheduler: {
    ...SOLVER,
    defaults: { ...SOLVER.defaults, lower_order_final: false },
  },
  EDMDPMSolverMultistepScheduler: EDM,
  EDMEulerScheduler: EDM,
  EulerAncestralDiscreteScheduler: ODE,
  EulerDiscreteScheduler: ODE,
  FlowMatchEulerDiscreteScheduler: FLOW,
  FlowMatchHeunDiscreteScheduler: FLOW,
  HeunDiscreteScheduler: KARRAS_ODE,
  KDPM2AncestralDiscreteScheduler: KARRAS_ODE,
  KDPM2DiscreteScheduler: KARRAS_ODE,
  LCMScheduler: CONSISTENCY,
  LMSDiscreteScheduler: ODE,
  PNDMScheduler: { family: "timesteps", defaults: { set_alpha_to_one: false } },
  SASolverScheduler: SOLVER,
  ScoreSdeVeScheduler: {
    family: "ve",
    defaults: { num_train_timesteps: 2000, sigma_min: 0.01, sigma_max: 1348 },
  },
  TCDScheduler: CONSISTENCY,
  UnCLIPScheduler: {
    family: "timesteps",
    defaults: {
      beta_schedule: "squaredcos_cap_v2",
      clip_sample: true,
      timestep_spacing: "linspace",
      variance_type: "fixed_small_log",
    },
  },
  UniPCMultistepScheduler: SOLVER,
};

/** What classes of schedulers take for a key that their file does not have. */
const DEFAULTS = {
  num_train_timesteps: 1000,
  beta_start: 1e-4,
  beta_end: 0.02,
  beta_schedule: "linear",
  timestep_spacing: "leading",
  steps_offset: 0,
  set_alpha_to_one: true,
  final_sigmas_type: "zero",
  prediction_type: "epsilon",
  clip_sample: false,
  clip_sample_range: 1,
  thresholding: false,
  dynamic_thresholding_ratio: 0.995,
  sample_max_value: 1,
  original_inference_steps: 50,
  flow_shift: 1,
  shift: 1,
  rho: 7,
  sigma_data: 0.5,
  snr: 0.15,
  correct_steps: 1,
  timestep_scaling: 10,
  solver_order: 2,
  lower_order_final: true,
};

/** The configuration with its class's defaults for absent keys. A null is not absent. */
export function withDefaults(config: SchedulerConfig): SchedulerConfig {
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...classOf(config)?.defaults, ...Object.fromEntries(given) };
}

/** How the class of a configuration places levels; as DDPM does where it is not known. */
export function familyOf(config: SchedulerConfig): Family {
  return classOf(config)?.family ?? "timesteps";
}

/** What its class does, where it is known. */
function classOf(config: SchedulerConfig): SchedulerClass | undefined {
  const name = String(config["_class_name"]);
  return Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
}

/** Keys beside those with a default that some class has; what a class does not have it ignores. */
const OTHER_KEYS = [
  "algorithm_type",
  "base_image_seq_len",
  "base_shift",
  "disable_corrector",
  "euler_at_final",
  "interpolation_type",
  "invert_sigmas",
  "lambda_min_clipped",
  "max_image_seq_len",
  "max_shift",
  "noise_sampler_seed",
  "predict_x0",
  "rescale_betas_zero_snr",
  "sampling_eps",
  "shift_terminal",
  "sigma_max",
  "sigma_min",
  "sigma_schedule",
  "skip_prk_steps",
  "solver_p",
  "solver_type",
  "stochastic_sampling",
  "tau_func",
  "time_shift_type",
  "timestep_type",
  "trained_betas",
  "use_beta_sigmas",
  "use_dynamic_shifting",
  "use_exponential_sigmas",
  "use_flow_sigmas",
  "use_karras_sigmas",
  "use_lu_lambdas",
  "variance_type",
];

/** What is not followed here, and when it says something. */
const UNFOLLOWED: Readonly<Record<string, (value: unknown) => boolean>> = {
  disable_corrector: (value) => Array.isArray(value) && value.length > 0,
  interpolation_type: (value) => value !== "linear",
  invert_sigmas: (value) => value === true,
  solver_p: (value) => value !== null,
  tau_func: (value) => value !== null,
  use_dynamic_shifting: (value) => value === true,
};

/**
 * What a configuration says that is not followed: keys that no scheduler has, a class that is not
 * known, and values that nothing here does.
 *
 * @returns Each as it stands in the file, such as `solver_p={"a":1}`.
 */
export function unfollowed(config: SchedulerConfig): string[] {
  const { _class_name: name } = config;
  const known = new Set([...Object.keys(DEFAULTS), ...OTHER_KEYS]);
  const keys = Object.keys(config).filter((key) =>
    !key.startsWith("_") && (!known.has(key) || UNFOLLOWED[key]?.(config[key]))
  );
  const unknown = name !== undefined && classOf(config) === undefined ? ["_class_name"] : [];
  return [...unknown, ...keys].map((key) => `${key}=${JSON.stringify(config[key])}`);
}

/** The finite number of a key. */
export function numberOf(config: SchedulerConfig, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw wrong(config, key, "it must be a number");
}

/** The flag of a key; absent and null are false, as in Python. */
export function flagOf(config: SchedulerConfig, key: string): boolean {
  const value = config[key] ?? false;
  if (typeof value === "boolean") return value;
  throw wrong(config, key, "it must be true or false");
}

/** The one of some names that a key has. */
export function choiceOf<T extends string>(
  config: SchedulerConfig,
  key: string,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === config[key]);
  if (found !== undefined) return found;
  throw wrong(config, key, `it must be one of ${choices.join(", ")}`);
}

function wrong(config: SchedulerConfig, key: string, law: string): TypeError {
  return new TypeError(`Cannot use a scheduler with ${key}=${JSON.stringify(config[key])}: ${law}`);
}

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
  /** Which of {@linkcode PLACING} it has. */
  readonly has: readonly (typeof PLACING[number])[];
  /** What it takes for a key that its file does not have, where that is not {@linkcode DEFAULTS}. */
  readonly defaults?: SchedulerConfig;
}

const RULES = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"] as const;
const ENDS = ["sigma_min", "sigma_max"] as const;

/** Keys that place levels in some classes; the others ignore them. */
const PLACING = [
  ...RULES,
  ...ENDS,
  "final_sigmas_type",
  "lambda_min_clipped",
  "shift_terminal",
  "timestep_type",
  "use_flow_sigmas",
  "use_lu_lambdas",
] as const;

const LINSPACE = { timestep_spacing: "linspace" };
const KARRAS: SchedulerClass = {
  family: "ode",
  has: RULES,
  defaults: { ...LINSPACE, beta_start: 0.00085, beta_end: 0.012 },
};
const CONSISTENCY: SchedulerClass = {
  family: "consistency",
  has: [],
  defaults: { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" },
};
const EDM: SchedulerClass = {
  family: "edm",
  has: [...ENDS, "final_sigmas_type"],
  defaults: { sigma_min: 0.002, sigma_max: 80 },
};
const DDPM: SchedulerClass = { family: "timesteps", has: [], defaults: { clip_sample: true } };

/** The classes by name. */
const CLASSES = {
  DDIMParallelScheduler: DDPM,
  DDIMScheduler: DDPM,
  DDPMParallelScheduler: DDPM,
  DDPMScheduler: DDPM,
  DEISMultistepScheduler: {
    family: "solver",
    has: [...RULES, "use_flow_sigmas"],
    defaults: { ...LINSPACE, final_sigmas_type: "sigma_min" },
  },
  DPMSolverMultistepScheduler: {
    family: "solver",
    has: [...RULES, "use_flow_sigmas", "use_lu_lambdas", "final_sigmas_type", "lambda_min_clipped"],
    defaults: LINSPACE,
  },
  DPMSolverSDEScheduler: KARRAS,
  DPMSolverSinglestepScheduler: {
    family: "solver",
    has: [...RULES, "use_flow_sigmas", "final_sigmas_type", "lambda_min_clipped"],
    defaults: { ...LINSPACE, lower_order_final: false },
  },
  EDMDPMSolverMultistepScheduler: EDM,
  EDMEulerScheduler: EDM,
  EulerAncestralDiscreteScheduler: { family: "ode", has: [], defaults: LINSPACE },
  EulerDiscreteScheduler: {
    family: "ode",
    has: [...RULES, ...ENDS, "final_sigmas_type", "timestep_type"],
    defaults: LINSPACE,
  },
  FlowMatchEulerDiscreteScheduler: { family: "flow", has: [...RULES, "shift_terminal"] },
  FlowMatchHeunDiscreteScheduler: { family: "flow", has: [] },
  HeunDiscreteScheduler: KARRAS,
  KDPM2AncestralDiscreteScheduler: KARRAS,
  KDPM2DiscreteScheduler: KARRAS,
  LCMScheduler: CONSISTENCY,
  LMSDiscreteScheduler: { family: "ode", has: RULES, defaults: LINSPACE },
  PNDMScheduler: { family: "timesteps", has: [], defaults: { set_alpha_to_one: false } },
  ScoreSdeVeScheduler: {
    family: "ve",
    has: ENDS,
    defaults: { num_train_timesteps: 2000, sigma_min: 0.01, sigma_max: 1348 },
  },
  TCDScheduler: CONSISTENCY,
  UnCLIPScheduler: {
    family: "timesteps",
    has: [],
    defaults: {
      ...LINSPACE,
      beta_schedule: "squaredcos_cap_v2",
      clip_sample: true,
      variance_type: "fixed_small_log",
    },
  },
  UniPCMultistepScheduler: {
    family: "solver",
    has: [...RULES, ...ENDS, "use_flow_sigmas", "final_sigmas_type", "shift_terminal"],
    defaults: LINSPACE,
  },
} as const satisfies Record<string, SchedulerClass>;

/** The name of a class of schedulers that is known. */
export type SchedulerName = keyof typeof CLASSES;

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

/**
 * The configuration with its class's defaults for absent keys, without those that would place levels
 * in another class. A null is not absent.
 */
export function withDefaults(config: SchedulerConfig): SchedulerConfig {
  const known = classOf(config);
  const ignored = PLACING.filter((key) => known && !known.has.includes(key));
  const given = Object.entries(config).filter(([key, value]) =>
    value !== undefined && !ignored.some((each) => each === key)
  );
  return { ...DEFAULTS, ...known?.defaults, ...Object.fromEntries(given) };
}

/** How the class of a configuration places levels; as DDPM does where it is not known. */
export function familyOf(config: SchedulerConfig): Family {
  return classOf(config)?.family ?? "timesteps";
}

/** The name of its class, where it is known. */
export function schedulerName({ _class_name: name }: SchedulerConfig): SchedulerName | undefined {
  const known = typeof name === "string" && Object.hasOwn(CLASSES, name);
  return known ? name as SchedulerName : undefined; // one of its own keys
}

/** What its class does, where it is known. */
function classOf(config: SchedulerConfig): SchedulerClass | undefined {
  const name = schedulerName(config);
  return name && CLASSES[name];
}

/** Keys beside those with a default that some class has; what a class does not have it ignores. */
const OTHER_KEYS = [
  ...PLACING,
  "algorithm_type",
  "base_image_seq_len",
  "base_shift",
  "disable_corrector",
  "euler_at_final",
  "interpolation_type",
  "invert_sigmas",
  "max_image_seq_len",
  "max_shift",
  "noise_sampler_seed",
  "predict_x0",
  "rescale_betas_zero_snr",
  "sampling_eps",
  "sigma_schedule",
  "skip_prk_steps",
  "solver_p",
  "solver_type",
  "stochastic_sampling",
  "tau_func",
  "time_shift_type",
  "trained_betas",
  "use_dynamic_shifting",
  "variance_type",
];

/** What is not followed here, and when it says something. */
const UNFOLLOWED: Readonly<Record<string, (value: unknown) => boolean>> = {
  // Steps from the first on that are not corrected are an option of unipc.
  disable_corrector: (value) => !Array.isArray(value) || value.some((step, i) => step !== i),
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

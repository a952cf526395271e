/** A `scheduler_config.json` as it was parsed; of its keys those that matter here are checked. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

const LINSPACE = { timestep_spacing: "linspace" };
const KARRAS = { ...LINSPACE, beta_start: 0.00085, beta_end: 0.012 };
const CONSISTENCY = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" };

/** What most classes of schedulers take for a key that their file does not have. */
const DEFAULTS = {
  num_train_timesteps: 1000,
  beta_start: 1e-4,
  beta_end: 0.02,
  beta_schedule: "linear",
  timestep_spacing: "leading",
  steps_offset: 0,
  set_alpha_to_one: true,
};

/** Where a class of diffusers 0.42 takes something else. */
const CLASS_DEFAULTS: Readonly<Record<string, SchedulerConfig>> = {
  DEISMultistepScheduler: LINSPACE,
  DPMSolverMultistepScheduler: LINSPACE,
  DPMSolverSDEScheduler: KARRAS,
  DPMSolverSinglestepScheduler: LINSPACE,
  EulerAncestralDiscreteScheduler: LINSPACE,
  EulerDiscreteScheduler: LINSPACE,
  HeunDiscreteScheduler: KARRAS,
  KDPM2AncestralDiscreteScheduler: KARRAS,
  KDPM2DiscreteScheduler: KARRAS,
  LCMScheduler: CONSISTENCY,
  LMSDiscreteScheduler: LINSPACE,
  PNDMScheduler: { set_alpha_to_one: false },
  SASolverScheduler: LINSPACE,
  TCDScheduler: CONSISTENCY,
  UnCLIPScheduler: { beta_schedule: "squaredcos_cap_v2" },
  UniPCMultistepScheduler: LINSPACE,
};

/** The configuration with its class's defaults for absent keys. A null is not absent. */
export function withDefaults(config: SchedulerConfig): SchedulerConfig {
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  const ofClass = CLASS_DEFAULTS[String(config["_class_name"])];
  return { ...DEFAULTS, ...ofClass, ...Object.fromEntries(given) };
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

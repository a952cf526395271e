/**
 * The ways to space a path, by name.
 *
 * @module
 */
import type { PathRule } from "./_rule.ts";
import ays from "./ays.ts";
import beta from "./beta.ts";
import exponential from "./exponential.ts";
import flow from "./flow.ts";
import karras from "./karras.ts";
import lambdas from "./lambdas.ts";
import lcm from "./lcm.ts";
import leading from "./leading.ts";
import linspace from "./linspace.ts";
import polyexponential from "./polyexponential.ts";
import trailing from "./trailing.ts";
import vp from "./vp.ts";

export const PATH_RULES: Readonly<Record<string, PathRule>> = {
  leading,
  linspace,
  trailing,
  karras,
  exponential,
  polyexponential,
  lambdas,
  beta,
  ays,
  vp,
  flow,
  lcm,
};

/** Other names of some. */
export const PATH_ALIASES: Readonly<Record<string, string>> = {
  logsnr: "lambdas",
  lu: "lambdas",
  polyexp: "polyexponential",
  align_your_steps: "ays",
};

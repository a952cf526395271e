/**
 * The metrics, in the order of a report.
 *
 * @module
 */
import type { Metric } from "../metric.ts";
import accuracy from "./accuracy.ts";
import bpd from "./bpd.ts";
import fid from "./fid.ts";
import fidInfinity from "./fid_infinity.ts";
import flowBpd from "./flow_bpd.ts";
import inceptionScore from "./inception_score.ts";
import kid from "./kid.ts";
import neighbors from "./neighbors.ts";
import prdc from "./prdc.ts";
import sfid from "./sfid.ts";

/** One line a metric. */
export const metrics: readonly Metric[] = [
  fid,
  fidInfinity,
  kid,
  sfid,
  inceptionScore,
  prdc,
  accuracy,
  neighbors,
  bpd,
  flowBpd,
];

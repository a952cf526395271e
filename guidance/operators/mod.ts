/**
 * The built-in operators, loaded when they are named.
 *
 * @module
 */
export { measured, type Operator } from "./operator.ts";

export const operators = {
  downsample: () => import("./downsample.ts"),
  gray: () => import("./gray.ts"),
} as const;

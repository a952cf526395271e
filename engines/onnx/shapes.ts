/**
 * The shapes of a network's outputs and parameters, without weights and without computing.
 *
 * @module
 */
import type { ParameterSpec } from "../../models/scope.ts";
import type { Computation } from "../engine.ts";
import { shapeEdges } from "./parameters.ts";
import { type InputForm, traceComputation } from "./trace.ts";

/**
 * Runs a computation for its shapes alone.
 *
 * @param inputs The shape of each input; `{ shape, dtype }` where it is not float32
 * @param has What the computation is told of names that a checkpoint may or may not hold; as at
 * creation by default
 * @returns The shapes of the outputs, and all parameters in the order in which they are asked for
 */
export function shapesOf(
  computation: Computation,
  inputs: readonly InputForm[],
  has: (name: string, otherwise: boolean) => boolean = (_, otherwise) => otherwise,
): { outputs: number[][]; parameters: ParameterSpec[] } {
  const { outputs, parameters } = traceComputation(computation, shapeEdges(has), inputs);
  return { outputs: outputs.map(({ shape }) => [...shape]), parameters: [...parameters] };
}

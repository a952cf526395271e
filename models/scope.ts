/**
 * Parameters by name. One definition of a network, written as a function over a {@linkcode Scope},
 * serves its creation, its loading, its shape checks and its forward pass.
 *
 * @module
 */
import * as tf from "tfjs";

/**
 * How a checkpoint stores a parameter beside the form that tfjs computes with. Checkpoints hold
 * PyTorch's layout: `filter` is OIHW there and HWIO here, `matrix` is [out, in] there and
 * [in, out] here, `pointwise` (a 1-D convolution of width 1) is [out, in, 1] there and [1, in, out]
 * here, `same` is stored as it is used.
 */
export type Layout = "same" | "filter" | "matrix" | "pointwise";

/** The order of axes that turns a stored tensor into the one that is computed with. */
export const FROM_STORED: Readonly<Record<Layout, readonly number[] | undefined>> = {
  same: undefined,
  filter: [2, 3, 1, 0],
  matrix: [1, 0],
  pointwise: [2, 1, 0],
};

/** The order of axes that turns a tensor that is computed with into the stored one. */
export const TO_STORED: Readonly<Record<Layout, readonly number[] | undefined>> = {
  same: undefined,
  filter: [3, 2, 0, 1],
  matrix: [1, 0],
  pointwise: [2, 1, 0],
};

/** How a new parameter starts: a constant, uniform in [-bound, bound], or normal. */
export type Init =
  | { readonly constant: number }
  | { readonly uniform: number }
  | { readonly normal: number };

/** A parameter as a network asks for it. */
export interface ParameterSpec {
  /** The full name in the checkpoint, such as `down_blocks.0.resnets.1.conv1.weight`. */
  readonly name: string;
  /** The shape that tfjs computes with. */
  readonly shape: readonly number[];
  readonly layout: Layout;
  readonly init: Init;
}

/** Where a network finds its parameters. */
export interface Scope {
  /** The scope of a part: names are joined by dots. */
  at(...names: (string | number)[]): Scope;
  /** The parameter of that name, in the shape and layout that tfjs computes with. */
  parameter(name: string, shape: readonly number[], layout: Layout, init: Init): tf.Tensor;
  /** True where the checkpoint holds the name; creation answers with `otherwise`. */
  has(name: string, otherwise: boolean): boolean;
  /** Computes a layer of self-attention its own way, where somebody looks into the network. */
  readonly attend?: Attend | undefined;
  /** The same scope, whose layers of self-attention are computed by `attend`. */
  attending(attend: AttendLayer): Scope;
}

/**
 * A layer of self-attention over heads: query, key and value, `[batch, tokens, heads * size]`, and so
 * is the answer.
 */
export type Attend = (
  query: tf.Tensor3D,
  key: tf.Tensor3D,
  value: tf.Tensor3D,
  heads: number,
) => tf.Tensor3D;

/** An {@linkcode Attend} that is told the name of the layer. */
export type AttendLayer = (layer: string, ...parts: Parameters<Attend>) => tf.Tensor3D;

/** Supplies parameters to a {@linkcode scopeOf}. */
export interface ParameterSource {
  get(spec: ParameterSpec): tf.Tensor;
  has(name: string, otherwise: boolean): boolean;
}

/** A scope over a source, rooted at `prefix`. */
export function scopeOf(source: ParameterSource, prefix = "", attend?: AttendLayer): Scope {
  const full = (name: string) => prefix === "" ? name : `${prefix}.${name}`;
  return {
    at: (...names) => scopeOf(source, full(names.join(".")), attend),
    parameter: (name, shape, layout, init) => source.get({ name: full(name), shape, layout, init }),
    has: (name, otherwise) => source.has(full(name), otherwise),
    attend: attend && ((...parts) => attend(prefix, ...parts)),
    attending: (attend) => scopeOf(source, prefix, attend),
  };
}

/** The shape in a checkpoint of a parameter that is computed with as `shape`. */
export function storedShape(shape: readonly number[], layout: Layout): number[] {
  return TO_STORED[layout]?.map((axis) => shape[axis] ?? 0) ?? [...shape];
}

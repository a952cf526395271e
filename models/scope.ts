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

/** A layer of self-attention while it is computed. */
export interface Attended {
  /** Each query's weights of all tokens, which sum to 1: `[batch * heads, tokens, tokens]`. */
  readonly map: tf.Tensor3D;
  readonly heads: number;
  /** `[batch, tokens, channels]` */
  readonly value: tf.Tensor3D;
  /** The map times the value, `[batch, tokens, channels]`. */
  readonly mixed: tf.Tensor3D;
}

/** Sees a layer of self-attention, and says what takes the place of `mixed`. */
export type AttentionHook = (attended: Attended) => tf.Tensor3D;

/** Where a network finds its parameters. */
export interface Scope {
  /** The scope of a part: names are joined by dots. */
  at(...names: (string | number)[]): Scope;
  /** The parameter of that name, in the shape and layout that tfjs computes with. */
  parameter(name: string, shape: readonly number[], layout: Layout, init: Init): tf.Tensor;
  /** True where the checkpoint holds the name; creation answers with `otherwise`. */
  has(name: string, otherwise: boolean): boolean;
  /** Where somebody looks into self-attention; what the layer of this scope calls. */
  readonly attend?: AttentionHook;
}

/** Supplies parameters to a {@linkcode scopeOf}. */
export interface ParameterSource {
  get(spec: ParameterSpec): tf.Tensor;
  has(name: string, otherwise: boolean): boolean;
}

/** A scope over a source, rooted at `prefix`. */
export function scopeOf(source: ParameterSource, prefix = ""): Scope {
  const full = (name: string) => prefix === "" ? name : `${prefix}.${name}`;
  return {
    at: (...names) => scopeOf(source, full(names.join("."))),
    parameter: (name, shape, layout, init) => source.get({ name: full(name), shape, layout, init }),
    has: (name, otherwise) => source.has(full(name), otherwise),
  };
}

/** A scope whose layers of self-attention call a hook, with their names. */
export function hookAttention(
  scope: Scope,
  hook: (layer: string, attended: Attended) => tf.Tensor3D,
  name = "",
): Scope {
  return {
    ...scope,
    at(...names) {
      const full = [...name === "" ? [] : [name], ...names].join(".");
      return hookAttention(scope.at(...names), hook, full);
    },
    attend: (attended) => hook(name, attended),
  };
}

/** The shape in a checkpoint of a parameter that is computed with as `shape`. */
export function storedShape(shape: readonly number[], layout: Layout): number[] {
  return TO_STORED[layout]?.map((axis) => shape[axis] ?? 0) ?? [...shape];
}

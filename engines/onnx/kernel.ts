/**
 * What a kernel of the tracing backend is: it takes symbolic values, adds nodes, returns values.
 *
 * @module
 */
import type * as tf from "tfjs";
import type { Graph } from "./graph.ts";
import type { Value } from "./value.ts";

/** One call of a kernel. */
export interface Call {
  readonly graph: Graph;
  readonly attributes: Attributes;
  /** All inputs, in order. */
  readonly inputs: readonly Value[];
  /** An input by its name. */
  input(name: string): Value;
  /** An input that may be absent. */
  optional(name: string): Value | undefined;
}

/** Adds what computes one tfjs kernel. */
export type Kernel = (call: Call) => Value | readonly Value[];

/** Kernels by their names in tfjs. */
export type Kernels = Readonly<Record<string, Kernel>>;

/** The attributes of a call, read with their types checked. */
export class Attributes {
  readonly #kernel: string;
  readonly #values: tf.NamedAttrMap;

  constructor(kernel: string, values: tf.NamedAttrMap) {
    this.#kernel = kernel;
    this.#values = values;
  }

  #wrong(name: string, wanted: string): TypeError {
    return new TypeError(`Cannot trace ${this.#kernel}: its attribute "${name}" is not ${wanted}`);
  }

  /** A number. */
  number(name: string, otherwise?: number): number {
    const value = this.#values[name] ?? otherwise;
    if (typeof value !== "number") throw this.#wrong(name, "a number");
    return value;
  }

  /** A list of numbers; a lone one becomes a list. */
  numbers(name: string, otherwise?: readonly number[]): readonly number[] {
    const value = this.#values[name] ?? otherwise;
    if (typeof value === "number") return [value];
    if (!isNumbers(value)) throw this.#wrong(name, "a list of numbers");
    return value;
  }

  /** True where the attribute is given as a list. */
  isList(name: string): boolean {
    return isNumbers(this.#values[name]);
  }

  /** Two numbers; a lone one counts twice. */
  pair(name: string, otherwise?: number): [number, number] {
    const [first = otherwise ?? 1, second = first] = this.numbers(
      name,
      otherwise === undefined ? undefined : [otherwise],
    );
    return [first, second];
  }

  /** A list of pairs of numbers. */
  pairs(name: string): [number, number][] {
    const value: unknown = this.#values[name];
    if (!Array.isArray(value)) throw this.#wrong(name, "a list of pairs");
    return value.map((item: unknown) => {
      if (!isNumbers(item)) throw this.#wrong(name, "a list of pairs");
      return [item[0] ?? 0, item[1] ?? 0];
    });
  }

  /** A yes or no; absent is no. */
  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** A word. */
  text(name: string, otherwise?: string): string {
    const value = this.#values[name] ?? otherwise;
    if (typeof value !== "string") throw this.#wrong(name, "a word");
    return value;
  }

  /** The padding of a convolution or pooling: a word, a number or pairs. */
  padding(): "valid" | "same" | number | tf.backend_util.ExplicitPadding {
    const value: unknown = this.#values.pad;
    if (value === "valid" || value === "same" || typeof value === "number") return value;
    const [batch, rows, columns, channels] = this.pairs("pad");
    if (!batch || !rows || !columns || !channels) throw this.#wrong("pad", "a padding");
    return [batch, rows, columns, channels];
  }

  /** Axes, counted from the front; absent are all of them. */
  axes(name: string, rank: number): number[] {
    const value: unknown = this.#values[name];
    if (value === undefined || value === null) {
      return Array.from({ length: rank }, (_, axis) => axis);
    }
    return this.numbers(name).map((axis) => axis < 0 ? axis + rank : axis);
  }
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number") ||
    value instanceof Int32Array;
}

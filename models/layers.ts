/**
 * Building blocks of the networks, in plain tfjs operations. Feature maps are `[batch, height,
 * width, channel]`; new parameters start as PyTorch's do.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Init, Scope } from "./scope.ts";

/** Uniform in ±1/√fan_in: what PyTorch's convolutions and linear layers start with. */
function startOf(fanIn: number, zero: boolean): Init {
  return zero ? { constant: 0 } : { uniform: 1 / Math.sqrt(fanIn) };
}

/** Options of {@linkcode conv}. */
export interface ConvOptions {
  /** Edge of the square filter; 3 by default. */
  readonly kernel?: number;
  /** 1 by default. */
  readonly stride?: 1 | 2;
  /** Rows and columns of zeros: one number, or [before, after]; half the filter by default. */
  readonly padding?: number | readonly [number, number];
  /** Starts at zero, so that a residual branch begins as the identity. */
  readonly zero?: boolean;
}

/** A 2-D convolution with bias: `weight` [out, in, k, k] and `bias` [out]. */
export function conv(scope: Scope, x: tf.Tensor4D, out: number, options: ConvOptions = {}) {
  const { kernel = 3, stride = 1, padding = kernel >> 1, zero = false } = options;
  const channels = x.shape[3];
  const start = startOf(channels * kernel * kernel, zero);
  const filter = scope.parameter("weight", [kernel, kernel, channels, out], "filter", start);
  const bias = scope.parameter("bias", [out], "same", start);
  const [before, after] = typeof padding === "number" ? [padding, padding] : padding;
  // "same" pads evenly at stride 1 and only after an even edge at stride 2. Other paddings are an
  // operation of their own, as libtensorflow's gradients know no explicit ones.
  const even = (x.shape[1] | x.shape[2]) % 2 === 0;
  const same = before + after === kernel - stride &&
    (stride === 1 ? before === after : even && before === 0);
  const padded = same || before + after === 0
    ? x
    : tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]]);
  const pad = same ? "same" : "valid";
  // The tracer's form, known by its kernels: a bias of one operation goes into the sums of int8.
  if (isWhole(GROUP_NORM)) {
    return tf.fused.conv2d({
      x: padded,
      filter: filter as tf.Tensor4D,
      strides: stride,
      pad,
      bias,
    }) as tf.Tensor4D;
  }
  return tf.add(tf.conv2d(padded, filter as tf.Tensor4D, stride, pad), bias) as tf.Tensor4D;
}

/** Options of {@linkcode linear}. */
export interface LinearOptions {
  /** Starts at zero, so that a residual branch begins as the identity. */
  readonly zero?: boolean;
  /** Stored as a 1-D convolution of width 1: `weight` [out, in, 1]. */
  readonly pointwise?: boolean;
  /** Whether it has a bias; true by default. */
  readonly bias?: boolean;
}

/** A linear layer on the last axis: `weight` [out, in] and `bias` [out]. */
export function linear<T extends tf.Tensor>(
  scope: Scope,
  x: T,
  out: number,
  { zero = false, pointwise = false, bias = true }: LinearOptions = {},
): T {
  const size = x.shape[x.rank - 1] ?? 0;
  const start = startOf(size, zero);
  const weight = pointwise
    ? tf.reshape(scope.parameter("weight", [1, size, out], "pointwise", start), [size, out])
    : scope.parameter("weight", [size, out], "matrix", start);
  const rows = tf.reshape(x, [-1, size]) as tf.Tensor2D;
  const product: tf.Tensor = tf.matMul(rows, weight as tf.Tensor2D);
  const y = bias ? tf.add(product, scope.parameter("bias", [out], "same", start)) : product;
  return tf.reshape(y, [...x.shape.slice(0, -1), out]) as T;
}

/** A table of vectors: row `index` of `weight` [rows, size], for `index` [batch] int32. */
export function embedding(scope: Scope, index: tf.Tensor1D, rows: number, size: number) {
  const table = scope.parameter("weight", [rows, size], "same", { normal: 1 });
  // A product with one-hot rows: its gradient is a product too, on every engine.
  return tf.matMul(tf.oneHot(index, rows).toFloat(), table as tf.Tensor2D) as tf.Tensor2D;
}

/**
 * Group normalization (Wu and He 2018) with `weight` [C] and `bias` [C], on `[B, H, W, C]` or
 * `[B, N, C]`. Written as one multiply-add per element over statistics of [B, C], with a gradient
 * in closed form: both are a third faster than the textbook form.
 */
export function groupNorm<T extends tf.Tensor>(scope: Scope, x: T, groups: number, eps: number): T {
  const channels = x.shape[x.rank - 1] ?? 0;
  if (channels % groups !== 0) {
    throw new RangeError(
      `Cannot normalize ${channels} channels in ${groups} groups: the number of groups must divide the channels`,
    );
  }
  const gamma = scope.parameter("weight", [channels], "same", { constant: 1 });
  const beta = scope.parameter("bias", [channels], "same", { constant: 0 });
  if (isWhole(GROUP_NORM)) {
    return tf.engine().runKernel(GROUP_NORM, { x, gamma, beta }, { groups, eps }) as T;
  }
  return normalize(groups, eps)(x, gamma, beta) as T;
}

// Kernels that the tracer adds to those of tfjs.
const [GROUP_NORM, LAYER_NORM, GELU] = ["GroupNorm", "LayerNorm", "Gelu"] as const;

/** Whether the engine has one operation for that, and nobody asks for what lies between. */
function isWhole(kernel: string): boolean {
  return tf.engine().state.gradientDepth === 0 &&
    Boolean(tf.getKernel(kernel, tf.getBackend()));
}

function normalize(groups: number, eps: number) {
  return tf.customGrad((...args) => {
    const [x, gamma, beta, save] = args as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const batch = x.shape[0] ?? 1;
    const channels = x.shape[x.rank - 1] ?? 1;
    const size = channels / groups;
    const axes = x.shape.map((_, axis) => axis).slice(1, -1);
    const wide = [batch, ...axes.map(() => 1), channels]; // broadcasts over the positions
    const perGroup = (perChannel: tf.Tensor) => tf.reshape(perChannel, [batch, groups, size]);
    const gammas = tf.reshape(gamma, [1, groups, size]);
    const mean = tf.mean(perGroup(tf.mean(x, axes)), 2, true); // [B, G, 1]
    const square = tf.mean(perGroup(tf.mean(tf.mul(x, x), axes)), 2, true);
    const variance = tf.relu(tf.sub(square, tf.mul(mean, mean)));
    const inverse = tf.rsqrt(tf.add(variance, eps)); // 1 / standard deviation
    const scale = tf.mul(inverse, gammas); // [B, G, C/G]
    const shift = tf.sub(tf.reshape(beta, [1, groups, size]), tf.mul(mean, scale));
    const value = tf.add(tf.mul(x, tf.reshape(scale, wide)), tf.reshape(shift, wide));
    save([x, gamma, mean, inverse]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x, gamma, mean, inverse] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const gammas = tf.reshape(gamma, [1, groups, size]);
      const count = x.size / batch / groups;
      const sum = perGroup(tf.sum(dy, axes)); // [B, G, C/G]
      const moment = tf.mul(
        inverse,
        tf.sub(perGroup(tf.sum(tf.mul(dy, x), axes)), tf.mul(mean, sum)),
      );
      const first = tf.div(tf.sum(tf.mul(gammas, sum), 2, true), count); // [B, G, 1]
      const second = tf.div(tf.sum(tf.mul(gammas, moment), 2, true), count);
      const slope = tf.neg(tf.mul(tf.mul(inverse, inverse), second));
      const offset = tf.neg(tf.add(tf.mul(inverse, first), tf.mul(slope, mean)));
      const spread = (perGroup: tf.Tensor) =>
        // [B, G, 1] to every channel and position
        tf.reshape(tf.tile(perGroup, [1, 1, size]), wide);
      const own = tf.mul(dy, tf.reshape(tf.mul(inverse, gammas), wide));
      return [
        tf.add(own, tf.add(tf.mul(x, spread(slope)), spread(offset))),
        tf.reshape(tf.sum(moment, 0), [channels]),
        tf.reshape(tf.sum(sum, 0), [channels]),
      ];
    };
    return { value, gradFunc };
  }) as (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => tf.Tensor;
}

/**
 * Layer normalization over the last axis (Ba et al. 2016) with `weight` [C] and `bias` [C].
 *
 * @param eps what PyTorch adds to the variance by default.
 */
export function layerNorm<T extends tf.Tensor>(scope: Scope, x: T, eps = 1e-5): T {
  const channels = x.shape[x.rank - 1] ?? 0;
  const gamma = scope.parameter("weight", [channels], "same", { constant: 1 });
  const beta = scope.parameter("bias", [channels], "same", { constant: 0 });
  if (isWhole(LAYER_NORM)) {
    return tf.engine().runKernel(LAYER_NORM, { x, gamma, beta }, { eps }) as T;
  }
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centered), -1, true);
  const normed = tf.mul(centered, tf.rsqrt(tf.add(variance, eps)));
  return tf.add(tf.mul(normed, gamma), beta) as T;
}

/** `x Phi(x)` with the normal distribution's Phi (Hendrycks and Gimpel 2016, equation 1). */
export function gelu<T extends tf.Tensor>(x: T): T {
  if (isWhole(GELU)) return tf.engine().runKernel(GELU, { x }) as T;
  const share = tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1); // 2 Phi(x)
  return tf.mul(tf.mul(x, 0.5), share) as T;
}

/** `x * sigmoid(1.702 x)`, near to {@linkcode gelu} (the same, section 2). */
export function quickGelu<T extends tf.Tensor>(x: T): T {
  return tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))) as T;
}

/** `x * sigmoid(x)` (Hendrycks and Gimpel 2016; Ramachandran et al. 2017). */
export function silu<T extends tf.Tensor>(x: T): T {
  return swish(x) as T;
}

const swish = tf.customGrad((...args) => {
  const [x, save] = args as [tf.Tensor, tf.GradSaveFunc];
  const gate = tf.sigmoid(x);
  const value = tf.mul(x, gate);
  save([gate, value]);
  return {
    value,
    // d(x s) = s + x s (1 - s) = s + y (1 - s) = y + s (1 - y)
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [gate, value] = saved as [tf.Tensor, tf.Tensor];
      return tf.mul(dy, tf.add(value, tf.mul(gate, tf.sub(1, value))));
    },
  };
}) as (x: tf.Tensor) => tf.Tensor;

/** Doubles height and width by repeating pixels, or brings them to `size` by the nearest ones. */
export function upsample(x: tf.Tensor4D, size?: readonly [number, number]): tf.Tensor4D {
  const [, height, width] = x.shape;
  const doubled = size === undefined || size[0] === 2 * height && size[1] === 2 * width;
  return (doubled ? repeat(x) : nearest(...size)(x)) as tf.Tensor4D;
}

// Both gradients in closed form: tfjs' own kernel is wrong on its `cpu` backend for batches over 1.
const repeat = tf.customGrad((...args) => {
  const [x] = args as [tf.Tensor4D];
  const [, height, width] = x.shape;
  return {
    value: tf.image.resizeNearestNeighbor(x, [height * 2, width * 2]),
    gradFunc: (dy: tf.Tensor) => tf.mul(downsample(dy as tf.Tensor4D), 4), // the sum of each square
  };
}) as (x: tf.Tensor) => tf.Tensor;

const nearest = (height: number, width: number) =>
  tf.customGrad((...args) => {
    const [x] = args as [tf.Tensor4D];
    const [batch, rows, columns, channels] = x.shape;
    return {
      value: tf.image.resizeNearestNeighbor(x, [height, width]),
      gradFunc: (dy: tf.Tensor) => {
        // Columns, then rows: the sum of all that a pixel was copied to.
        const lines = tf.reshape(dy, [batch * height, width, channels]);
        const narrow = tf.matMul(copiesOf(columns, width), lines);
        const flat = tf.reshape(narrow, [batch, height, columns * channels]);
        return tf.reshape(tf.matMul(copiesOf(rows, height), flat), x.shape);
      },
    };
  }) as (x: tf.Tensor) => tf.Tensor;

/** For each pixel of a line ones at its copies in a line of another length: `[1, from, to]`. */
function copiesOf(from: number, to: number): tf.Tensor3D {
  const sources = Int32Array.from({ length: to }, (_, index) => Math.floor(index * from / to));
  const rows = tf.oneHot(tf.tensor1d(sources, "int32"), from).toFloat() as tf.Tensor2D;
  return tf.reshape(tf.transpose(rows), [1, from, to]);
}

/** Halves height and width by averaging pixels in squares of two. */
export function downsample(x: tf.Tensor4D): tf.Tensor4D {
  return tf.avgPool(x, 2, 2, "valid");
}

/**
 * Scaled dot-product attention (Vaswani et al. 2017, equation 1) over heads: query, key and value
 * are `[batch, tokens, heads * size]`, and so is the answer.
 *
 * @param bias added to the scores of all heads, `[batch or 1, queries or 1, keys]`: large and
 * negative where a query must not see a key.
 */
export function attention(
  query: tf.Tensor3D,
  key: tf.Tensor3D,
  value: tf.Tensor3D,
  heads: number,
  bias?: tf.Tensor3D,
): tf.Tensor3D {
  const [batch, tokens, channels] = query.shape;
  const size = channels / heads;
  const split = (x: tf.Tensor3D): tf.Tensor3D =>
    // [batch * heads, tokens, size]
    heads === 1 ? x : tf.reshape(
      tf.transpose(tf.reshape(x, [batch, -1, heads, size]), [0, 2, 1, 3]),
      [batch * heads, -1, size],
    );
  const scores = tf.mul(tf.matMul(split(query), split(key), false, true), 1 / Math.sqrt(size));
  const seen = bias === undefined ? scores : tf.add(scores, overHeads(bias, heads));
  const mixed = tf.matMul(tf.softmax(seen) as tf.Tensor3D, split(value)) as tf.Tensor3D;
  if (heads === 1) return mixed;
  return tf.reshape(
    tf.transpose(tf.reshape(mixed, [batch, heads, tokens, size]), [0, 2, 1, 3]),
    [batch, tokens, channels],
  );
}

/** A bias of each image, repeated for its heads: `[batch * heads, queries or 1, keys]`. */
function overHeads(bias: tf.Tensor3D, heads: number): tf.Tensor3D {
  const [batch, queries, keys] = bias.shape;
  if (batch === 1 || heads === 1) return bias;
  const wide = tf.tile(tf.reshape(bias, [batch, 1, queries, keys]), [1, heads, 1, 1]);
  return tf.reshape(wide, [batch * heads, queries, keys]);
}

/** The bias that hides later tokens from earlier ones, `[1, tokens, tokens]`. */
export function causalBias(tokens: number): tf.Tensor3D {
  const values = Float32Array.from(
    { length: tokens * tokens },
    (_, index) => index % tokens > Math.trunc(index / tokens) ? HIDDEN : 0,
  );
  return tf.tensor3d(values, [1, tokens, tokens]);
}

/** The bias that hides tokens whose `mask` [batch, tokens] is 0 and not 1; `[batch, 1, tokens]`. */
export function maskBias(mask: tf.Tensor2D): tf.Tensor3D {
  return tf.expandDims(tf.mul(tf.sub(1, mask), HIDDEN), 1);
}

const HIDDEN = -1e4; // e to this power is 0 in float32; two of them add up to a finite number

/**
 * Sinusoidal embedding of timesteps t `[batch]` as `[batch, size]` (Vaswani et al. 2017, section
 * 3.5; DDPM, appendix B).
 *
 * @param cosineFirst OpenAI's order of the halves; DDPM's is sine first.
 * @param shift taken from the number of frequencies before dividing: 1 in DDPM, 0 at OpenAI.
 */
export function timestepEmbedding(
  t: tf.Tensor1D,
  size: number,
  cosineFirst: boolean,
  shift: number,
): tf.Tensor2D {
  const half = size >> 1;
  const rates = Float32Array.from(
    { length: half },
    (_, index) => Math.exp(-Math.log(10000) * index / (half - shift)),
  );
  const angles = tf.mul(tf.reshape(t, [-1, 1]), tf.tensor2d(rates, [1, half]));
  const [sine, cosine] = [tf.sin(angles), tf.cos(angles)];
  const halves = tf.concat(cosineFirst ? [cosine, sine] : [sine, cosine], 1) as tf.Tensor2D;
  return size % 2 === 0 ? halves : tf.pad(halves, [[0, 0], [0, 1]]);
}

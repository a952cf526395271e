/**
 * Self-attention that a guidance looks into: layers that are switched off, and how much attention
 * each place receives.
 *
 * @module
 */
import * as tf from "tfjs";
import { attention } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** The network's middle, where attention sees the whole image. */
const MIDDLES = ["mid_block", "middle_block"]; // of diffusers, and of OpenAI

/** A network as a function of its parameters. */
type Network<T> = (scope: Scope) => T;

/** True for the layers that a name stands for: itself and all within it. */
function isWithin(layer: string, part: string): boolean {
  return part === "all" || layer === part || layer.startsWith(`${part}.`);
}

/**
 * Runs a network with the attention map of some layers replaced by the identity, so that each place
 * sees itself alone (PAG, Ahn et al. 2024, arXiv 2403.17377, equation 14).
 *
 * @param layers names of layers or of what holds them, joined by `+`, such as
 * `mid_block+up_blocks.0`; or `all`.
 * @throws {TypeError} Where a name stands for no layer of self-attention.
 */
export function perturbed<T>(network: Network<T>, scope: Scope, layers: string): T {
  const parts = layers.split("+");
  const seen: string[] = [];
  const answer = network(
    scope.attending((layer, query, key, value, heads) => {
      seen.push(layer);
      const off = parts.some((part) => isWithin(layer, part));
      return off ? value : attention(query, key, value, heads);
    }),
  );
  const unknown = parts.find((part) => !seen.some((layer) => isWithin(layer, part)));
  if (unknown !== undefined) {
    throw new TypeError(
      `"${unknown}" holds none of its layers of self-attention, which ${
        seen.length === 0 ? "it has not" : `are ${seen.join(", ")}`
      }`,
    );
  }
  return answer;
}

/**
 * How much attention each place receives in the middle of a network: the mean over heads and the sum
 * over queries of the first layer's map (SAG, Hong et al. 2023, arXiv 2210.00939, section 4.2).
 *
 * @returns `[batch, tokens]`; the mean of each image is 1.
 * @throws {TypeError} Where there is no self-attention in the middle.
 */
export function receivedAttention(network: Network<unknown>, scope: Scope): tf.Tensor2D {
  let received: tf.Tensor2D | undefined;
  network(
    scope.attending((layer, query, key, value, heads) => {
      if (MIDDLES.some((middle) => isWithin(layer, middle))) {
        received ??= columnSums(query, key, heads);
      }
      return attention(query, key, value, heads);
    }),
  );
  if (received === undefined) {
    throw new TypeError("the network has no self-attention in its middle");
  }
  return received;
}

/** The sums of attention over queries, as a mean over heads. */
function columnSums(query: tf.Tensor3D, key: tf.Tensor3D, heads: number): tf.Tensor2D {
  const [batch, tokens, channels] = query.shape;
  const size = channels / heads;
  const split = (x: tf.Tensor) =>
    tf.transpose(tf.reshape(x, [batch, tokens, heads, size]), [0, 2, 1, 3]);
  const scores = tf.matMul(split(query), split(key), false, true);
  const map = tf.softmax(tf.mul(scores, 1 / Math.sqrt(size)));
  return tf.mean(tf.sum(map, 2), 1);
}

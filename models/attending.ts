/**
 * A network whose self-attention is looked into: its maps are seen, or replaced by the identity.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Computation } from "../engines/engine.ts";
import { hookAttention } from "./scope.ts";
import type { Weights } from "./weights.ts";

/** What parts of a UNet are called, by the names that its checkpoint has. */
const PARTS: Readonly<Record<string, string>> = {
  down: "down_blocks",
  mid: "mid_block",
  up: "up_blocks",
};

/** The names of a UNet's layers of self-attention, such as `mid_block.attentions.0`. */
export function attentionLayers(weights: Weights): string[] {
  const names = [...weights.keys()].map((key) =>
    /^(.*attentions\.\d+)\.to_q\.weight$/.exec(key)?.[1]
  );
  return names.filter((name) => name !== undefined);
}

/** The layer in the middle of a UNet, where it has one. */
export function middleLayer(layers: readonly string[]): string | undefined {
  return layers.find((layer) => layer.startsWith(`${PARTS["mid"]}.`));
}

/**
 * The layers that a text such as `mid` or `down_blocks.1+up` chooses.
 *
 * @throws {RangeError} Where a part of it chooses none.
 */
export function chooseLayers(text: string, layers: readonly string[]): string[] {
  const chosen = text.split("+").map((part) => {
    const start = Object.hasOwn(PARTS, part) ? PARTS[part] : part;
    const found = layers.filter((layer) => layer === start || layer.startsWith(`${start}.`));
    if (found.length > 0) return found;
    throw new RangeError(
      `layers=${text} must name self-attention by down, mid, up or its layers, joined by +; ` +
        (layers.length === 0 ? "the network has none" : `the network has ${layers.join(", ")}`),
    );
  });
  return layers.filter((layer) => chosen.flat().includes(layer));
}

/**
 * A network's answer with its self-attention in reach. Behind x and t stands, where there are
 * selections of layers, a matrix `[batch, selections]`: 1 where an image's maps in those layers are
 * replaced by the identity, so that each token sees itself alone, and else 0.
 *
 * @param seen the layer whose map is told as well: how much attention each place gets from all
 * others, as the mean over heads `[batch, height, width, 1]`; 1 on average.
 */
export function attending(
  network: Computation,
  selections: readonly (readonly string[])[],
  seen?: string,
): Computation {
  return (scope, x, t, ...more) => {
    const [replaced] = selections.length > 0 ? more.splice(0, 1) : [];
    const maps: tf.Tensor[] = [];
    const hooked = hookAttention(scope, (layer, { map, heads, value, mixed }) => {
      if (layer === seen) maps.push(attentionOf(map, heads, x as tf.Tensor4D));
      const chosen = selections.map((layers) => Number(layers.includes(layer)));
      if (replaced === undefined || !chosen.includes(1)) return mixed;
      const share = tf.matMul(replaced as tf.Tensor2D, tf.tensor2d(chosen, [chosen.length, 1]));
      // The identity times the value is the value.
      return tf.add(mixed, tf.mul(tf.reshape(share, [-1, 1, 1]), tf.sub(value, mixed)));
    });
    return [...network(hooked, x as tf.Tensor, t as tf.Tensor, ...more), ...maps];
  };
}

/** What each place gets, `[batch, height, width, 1]`, in the resolution that the map has of x. */
function attentionOf(map: tf.Tensor3D, heads: number, x: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = x.shape;
  const [all, , tokens] = map.shape;
  const rate = Math.sqrt(height * width / tokens);
  const got = tf.mean(tf.reshape(tf.sum(map, 1), [all / heads, heads, tokens]), 1);
  return tf.reshape(got, [-1, height / rate, width / rate, 1]);
}

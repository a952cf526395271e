import { basename } from "@std/path";
import * as tf from "tfjs";
import { encode } from "../../models/encoder_unet.ts";
import { openClassifier } from "../../pipeline/model.ts";
import type { Extractor, FeaturesPlugin, Opening } from "./extractor.ts";
import { rowsFrom } from "./extractor.ts";

/** Channels of the last map that make the spatial features: as many as sFID takes of Inception. */
const CHANNELS = 7;

/** What a classifier of ours sees: what its last layer reads, its last map, its logits. */
const classifier: FeaturesPlugin = {
  name: "classifier",
  summary: "a folder that train-classifier --clean has made",
  paper: "https://arxiv.org/abs/2105.05233", // section 4.1
  options: {},
  open: ({ source, engine }: Opening<Record<never, never>>) =>
    Promise.resolve(openFolder(source, basename(source), engine)),
};
export default classifier;

/**
 * Features of a classifier.
 *
 * @param name How messages call it.
 */
export function openFolder(
  folder: string,
  name: string,
  engine: Opening<never>["engine"],
): Extractor {
  const { config, weights } = openClassifier(folder);
  const { image_size: edge, in_channels: wanted } = config;
  const see = engine.compile((scope, x, t) => {
    const { features, map, logits } = encode(scope, config, x as tf.Tensor4D, t as tf.Tensor1D);
    const [count = 1, height = 1, width = 1, channels = 1] = map.shape;
    const kept = Math.min(CHANNELS, channels);
    const spatial = tf.slice(map, [0, 0, 0, 0], [count, height, width, kept]);
    return [features, tf.reshape(spatial, [count, height * width * kept]), logits];
  }, weights);
  return {
    async extract({ values, shape: [count, height, width, channels] }) {
      if (height !== edge || width !== edge || channels !== wanted) {
        throw new RangeError(
          `Cannot see images of ${width}x${height}x${channels} with features ${name}: it reads ${edge}x${edge}x${wanted}; choose other --features, or train some with train-classifier --clean`,
        );
      }
      const x = tf.tensor4d(values.map((byte) => byte / 127.5 - 1), [count, edge, edge, wanted]);
      const t = tf.zeros([count]); // no noise
      const seen = await see(x, t);
      const read = async (index: number) =>
        rowsFrom(count, await seen[index]!.data() as Float32Array);
      try {
        return { features: await read(0), spatial: await read(1), logits: await read(2) };
      } finally {
        tf.dispose([x, t, ...seen]);
      }
    },
    dispose: () => Promise.resolve(), // the engine holds it
  };
}

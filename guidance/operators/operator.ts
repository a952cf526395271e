/**
 * Degradations: what was done to an image that is to be found again.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Images, Loss } from "../../plugin.ts";
import type { LoadedImage } from "../../images/load.ts";

/**
 * Takes clean images in [-1, 1] to what was observed of them, in differentiable tfjs operations. A
 * RangeError says why an image cannot have been observed so.
 *
 * @param observed The size of what was observed.
 */
export type Operator = (
  x0: Images,
  observed: { readonly height: number; readonly width: number },
) => Images;

/**
 * The squared distance of degraded images from what was observed, as the loss that guides to it; times
 * the values of an image for each that was observed, so that a scale means the same for every operator.
 */
export function measured(
  operator: Operator,
  { pixels, width, height, channels }: LoadedImage,
  name: string,
): Loss {
  return (x0) => {
    const degraded = operator(x0, { width, height });
    const [, rows = 0, columns = 0, depth] = degraded.shape;
    if (rows !== height || columns !== width) {
      throw new RangeError(
        `${name} has ${width}x${height} pixels, the operator makes ${columns}x${rows}`,
      );
    }
    const own: Images = tf.tensor4d(pixels, [1, height, width, channels]);
    const observed = depth === 1 ? lumaOf(own) : tf.broadcastTo(own, [1, rows, columns, depth]);
    const values = x0.size / degraded.size;
    return tf.mul(values, tf.sum(tf.squaredDifference(degraded, observed)));
  };
}

/** The luma of RGB images (ITU-R BT.601), as image programs take it; gray stays gray. */
export function lumaOf(images: Images): Images {
  if (images.shape[3] === 1) return images;
  return tf.sum<Images>(tf.mul(images, tf.tensor1d([0.299, 0.587, 0.114])), 3, true);
}

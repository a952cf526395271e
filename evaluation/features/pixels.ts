import type { FeaturesPlugin } from "./extractor.ts";
import { rowsFrom } from "./extractor.ts";

/** Beyond this, covariances of pixels are too large to be of use. */
const MOST = 4096;

/** The pixels themselves, from 0 to 1: for nearest neighbors, and where there is no network. */
const pixels: FeaturesPlugin = {
  name: "pixels",
  summary: "the pixels themselves, of small images",
  paper: "https://arxiv.org/abs/1511.01844", // section 4: what pixel distances cannot tell
  options: {},
  open: () =>
    Promise.resolve({
      extract({ values, shape: [count, height, width, channels] }) {
        if (height * width * channels > MOST) {
          throw new RangeError(
            `Cannot use pixels as features of ${width}x${height}x${channels} images: at most ${MOST} values are of use; give --size or another --features`,
          );
        }
        return Promise.resolve({ features: rowsFrom(count, values.map((byte) => byte / 255)) });
      },
      dispose: () => Promise.resolve(),
    }),
};
export default pixels;

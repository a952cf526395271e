import { avgPool } from "tfjs";
import type { Operator } from "./operator.ts";

/** The mean of each block of pixels: what a smaller picture shows. By a whole factor along each side. */
const downsample: Operator = (x0, { height, width }) => {
  const [, rows, columns] = x0.shape;
  const [down, across] = [rows / height, columns / width];
  if (!Number.isInteger(down) || !Number.isInteger(across)) {
    throw new RangeError(
      `the ${width}x${height} pixels of the image must divide the ${columns}x${rows} of the model`,
    );
  }
  return avgPool(x0, [down, across], [down, across], "valid");
};
export default downsample;

import { lumaOf, type Operator } from "./operator.ts";

/** The luma of RGB images: what a gray picture shows of a colored one. */
const gray: Operator = lumaOf;
export default gray;

import { fromFileUrl } from "@std/path";
import { openFolder } from "./classifier.ts";
import type { FeaturesPlugin } from "./extractor.ts";

const FOLDER = new URL("../../weights/digits/features", import.meta.url);

/** The bundled classifier of clean handwritten digits: 64 features, 448 spatial ones, 10 classes. */
const digits: FeaturesPlugin = {
  name: "digits",
  summary: "the bundled classifier of 32x32 handwritten digits, 64 features",
  paper: "https://arxiv.org/abs/2105.05233", // its network; its card has its training
  options: {},
  open: ({ engine }) => Promise.resolve(openFolder(fromFileUrl(FOLDER), "digits", engine)),
};
export default digits;

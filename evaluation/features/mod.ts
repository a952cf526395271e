/**
 * Feature extractors by name, file or folder.
 *
 * @module
 */
import { basename, join, resolve, toFileUrl } from "@std/path";
import type { Engine } from "../../engines/engine.ts";
import { isThere } from "../../pipeline/files.ts";
import { nearest } from "../../plugins/nearest.ts";
import { checkOptions } from "../../plugins/options.ts";
import { formatSpec, parseSpec } from "../../plugins/spec.ts";
import type { Preprocess } from "../resize.ts";
import type { Extractor, FeaturesPlugin } from "./extractor.ts";

/** The extractors that come with the project, one line each, loaded when they are asked for. */
export const extractors = {
  digits: () => import("./digits.ts"),
  pixels: () => import("./pixels.ts"),
  onnx: () => import("./onnx.ts"),
  classifier: () => import("./classifier.ts"),
} as const;

/** Those that read a file or a folder, so that their own names say too little. */
const READERS: readonly string[] = ["onnx", "classifier"];

/** An extractor that was chosen, not yet opened. */
export interface ChosenFeatures {
  /** How reports and saved statistics call it, with its options. */
  readonly name: string;
  open(engine: Engine): Promise<Extractor>;
}

/**
 * Finds what a text such as `digits`, `inception.onnx,range=byte`, `runs/reader` or `./mine.ts` asks
 * for and checks its options.
 *
 * @throws {RangeError} If it is unknown, or an option is.
 * @throws {TypeError} If a file is no such plugin.
 */
export async function chooseFeatures(
  text: string,
  preprocess: Preprocess = "none",
): Promise<ChosenFeatures> {
  const { name: source, options: given } = parseSpec(text);
  const plugin = await findPlugin(source);
  const options = checkOptions("features", source, plugin.options, given);
  const spec = formatSpec(source.includes("/") ? basename(source) : source, given);
  return {
    name: preprocess === "none" ? spec : `${spec} (${preprocess})`,
    open: (engine) => plugin.open({ source, engine, preprocess, options }),
  };
}

async function findPlugin(source: string): Promise<FeaturesPlugin> {
  const own = Object.keys(extractors).filter((name) => !READERS.includes(name));
  if (own.includes(source)) {
    return (await extractors[source as keyof typeof extractors]()).default as FeaturesPlugin;
  }
  if (!isThere(source)) {
    const near = nearest(source, own);
    throw new RangeError(
      `Cannot find features "${source}": ${
        near ? `did you mean ${near}?` : "there is no such file"
      }` +
        ` (built in: ${
          own.join(", ")
        }; a file: inception.onnx or mine.ts; a folder of train-classifier)`,
    );
  }
  if (source.endsWith(".onnx")) return (await extractors.onnx()).default as FeaturesPlugin;
  if (isThere(join(source, "config.json"))) return (await extractors.classifier()).default;
  if (!/\.[cm]?[jt]s$/.test(source)) {
    throw new RangeError(
      `Cannot use features "${source}": it is neither an ONNX file, a plugin nor a folder of train-classifier`,
    );
  }
  return checkPlugin(source, (await import(toFileUrl(resolve(source)).href)).default);
}

function checkPlugin(source: string, value: unknown): FeaturesPlugin {
  const plugin = value as Partial<FeaturesPlugin> | undefined;
  const isRecord = typeof plugin === "object" && plugin !== null;
  if (isRecord && typeof plugin.open === "function" && typeof plugin.options === "object") {
    return plugin as FeaturesPlugin;
  }
  throw new TypeError(
    `Features "${source}" has no default export with open() and options, as evaluation/features/extractor.ts describes`,
  );
}

/**
 * Which files of a repository a model is made of: the networks that its pipeline runs, each once,
 * and what describes them.
 *
 * @module
 */
import { chooseWeights } from "../models/weight_files.ts";

/** Parts of a pipeline that nothing here runs. */
const UNUSED: ReadonlySet<string> = new Set([
  "feature_extractor",
  "image_encoder",
  "safety_checker",
]);

/** Files beside the folders of the parts. */
const ROOT =
  /^(model_index\.json|config\.json|scheduler_config\.json|labels\.json|sampling\.json|README\.md|LICENSE.*)$/;

/** The folders of a pipeline's parts, as its `model_index.json` lists them. */
export function partsOf(index: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(index)
    .filter(([name, part]) =>
      !name.startsWith("_") && !UNUSED.has(name) && Array.isArray(part) && part.length === 2 &&
      part.every((piece) => typeof piece === "string")
    )
    .map(([name]) => name);
}

/**
 * The files to download.
 *
 * @param paths All files of the repository.
 * @param index Its `model_index.json`, where it has one; else it is the folder of one network.
 * @param variant The variant of the weights that is preferred, such as `fp16`.
 */
export function chooseFiles(
  paths: readonly string[],
  index: Readonly<Record<string, unknown>> | undefined,
  variant?: string,
): string[] {
  const here = (folder: string) => {
    const start = folder === "" ? "" : `${folder}/`;
    return paths.filter((path) => path.startsWith(start) && !path.slice(start.length).includes("/"))
      .map((path) => path.slice(start.length));
  };
  const inFolder = (folder: string) => {
    const names = here(folder);
    const weights = chooseWeights(names, variant)?.files ?? [];
    const texts = names.filter((name) => /\.(json|txt)$/.test(name) && !/\.index\./.test(name));
    return [...new Set([...texts, ...weights])].map((name) => `${folder}/${name}`);
  };
  const root = here("");
  const kept = root.filter((name) => ROOT.test(name));
  if (index === undefined) return [...kept, ...chooseWeights(root, variant)?.files ?? []];
  const parts = new Set([...partsOf(index), "classifier"]); // which diffusers does not know
  return [...kept, ...[...parts].flatMap(inFolder)];
}

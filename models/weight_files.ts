/**
 * Which of a folder's files hold a network's weights. Folders of diffusers and transformers hold the
 * same weights in several formats and precisions, whole or in shards with an index.
 *
 * @module
 */

/** One way in which a folder holds its network's weights. */
export interface WeightFiles {
  /** The file, the shards in their order, or the index and its shards. */
  readonly files: readonly string[];
  /** `bin` for pickles. */
  readonly format: "safetensors" | "bin";
  /** Such as `fp16`; absent where the weights are as they were trained. */
  readonly variant?: string | undefined;
  /** The file that says which shard holds which tensor. */
  readonly index?: string | undefined;
}

const NAME =
  /^(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(\w+?))?(-\d{5}-of-\d{5})?(?:\.(\w+))?\.(safetensors|bin|pt)(\.index(?:\.(\w+))?\.json)?$/;

/** Every way in which a folder of these files holds weights, in no order. */
function waysOf(names: readonly string[]): WeightFiles[] {
  const ways = new Map<string, { whole: string[]; shards: string[]; index?: string }>();
  for (const name of names) {
    const [found, first, shard, second, format, index, third] = name.match(NAME) ?? [];
    if (found === undefined) continue;
    const key = `${format} ${first ?? second ?? third ?? ""}`;
    const way = ways.get(key) ?? { whole: [], shards: [] };
    ways.set(key, way);
    if (index !== undefined) way.index = name;
    else if (shard !== undefined) way.shards.push(name);
    else way.whole.push(name);
  }
  return [...ways].map(([key, { whole, shards, index }]) => {
    const [format, variant = ""] = key.split(" ");
    const [only] = whole.sort(); // diffusion_pytorch_model before the names of transformers
    const parts = only === undefined ? shards.sort() : [only];
    return {
      files: only === undefined && index !== undefined ? [index, ...parts] : parts,
      format: format === "safetensors" ? format : "bin",
      ...(variant !== "" && { variant }),
      ...(only === undefined && index !== undefined && { index }),
    };
  });
}

/**
 * The best way: of the variant that is asked for, then as they were trained, then any other; of
 * these, safetensors before pickles.
 *
 * @param names The files of one folder, without their paths.
 * @returns undefined where no file is one of weights.
 */
export function chooseWeights(
  names: readonly string[],
  variant?: string,
): WeightFiles | undefined {
  const rank = (way: WeightFiles) =>
    (way.variant === variant ? 0 : way.variant === undefined ? 2 : 4) +
    (way.format === "safetensors" ? 0 : 1);
  return waysOf(names).sort((a, b) => rank(a) - rank(b)).at(0);
}

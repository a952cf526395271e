/**
 * Networks of guided-diffusion as their configurations: what shapes say, what command lines say, and
 * where the two contradict each other.
 *
 * @module
 */
import type { OpenAIArguments } from "./openai_arguments.ts";
import { type Inferred, inferShapes } from "./openai_shapes.ts";
import type { Weights } from "./weights.ts";

/** A diffusion network of a checkpoint. */
export interface OpenAIUNet {
  readonly kind: "UNetModel" | "SuperResModel";
  /** The arguments of its constructor. */
  readonly values: Readonly<Record<string, unknown>>;
  /** What its diffusion needs. */
  readonly given: OpenAIArguments;
}

/** `channel_mult` by image size, where a command line does not say it. */
const MULTIPLES: Readonly<Record<number, readonly number[]>> = {
  512: [0.5, 1, 1, 2, 2, 4, 4],
  256: [1, 1, 2, 2, 4, 4],
  128: [1, 1, 2, 3, 4],
  64: [1, 2, 3, 4],
};

/** A model that OpenAI published: what tells it from others, and what its weights do not say. */
interface Published {
  readonly channels: number;
  readonly layers: number;
  readonly given: OpenAIArguments & Required<Pick<OpenAIArguments, "noise_schedule">>;
}

const large = (edge: number): Published => ({
  channels: 256,
  layers: 2,
  given: { image_size: edge, noise_schedule: "linear", num_head_channels: 64 },
});

/** The published models by their files' names. */
const PUBLISHED: Readonly<Record<string, Published>> = {
  "64x64_diffusion": {
    channels: 192,
    layers: 3,
    given: {
      image_size: 64,
      noise_schedule: "cosine",
      num_head_channels: 64,
      use_new_attention_order: true,
    },
  },
  "128x128_diffusion": {
    channels: 256,
    layers: 2,
    given: { image_size: 128, noise_schedule: "linear", num_heads: 4 },
  },
  "256x256_diffusion": large(256),
  "256x256_diffusion_uncond": large(256),
  "512x512_diffusion": large(512),
  "64_256_upsampler": {
    channels: 192,
    layers: 2,
    given: { large_size: 256, small_size: 64, noise_schedule: "linear", num_heads: 4 },
  },
  "128_512_upsampler": {
    channels: 192,
    layers: 2,
    given: { large_size: 512, small_size: 128, noise_schedule: "linear", num_head_channels: 64 },
  },
  lsun_bedroom: large(256),
  lsun_cat: large(256),
  lsun_horse: large(256),
  lsun_horse_nodropout: large(256),
};

const same = (a: unknown, b: unknown) => String(a) === String(b);

/** Refuses an argument that says something else than the weights. */
function refuseContradictions(
  said: Readonly<Record<string, unknown>>,
  found: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(said)) {
    const own = found[name];
    if (value === undefined || own === undefined || same(value, own)) continue;
    throw new TypeError(`--${name} is ${value}, its weights say ${own}`);
  }
}

/** Down-sampling rates of image sizes, as guided-diffusion computes them. */
function ratesOf(sizes: readonly number[] | undefined, edge: number, levels: number) {
  if (sizes === undefined) return undefined;
  const rates = sizes.map((size) => Math.floor(edge / size));
  return Array.from({ length: levels }, (_, level) => 2 ** level)
    .filter((rate) => rates.includes(rate));
}

/** The size of images: as it was said, else the one whose default the multiples are. */
function edgeOf(said: number | undefined, multiples: readonly number[], name: string): number {
  if (said !== undefined) return said;
  const [known] = Object.entries(MULTIPLES).find(([, it]) => same(it, multiples)) ?? [];
  if (known !== undefined) return Number(known);
  throw new TypeError(
    `its weights do not say how large its images are; give "--${name} N" in --model-flags`,
  );
}

/**
 * The diffusion network of a checkpoint.
 *
 * @param said The arguments of its command line; undefined where there are none.
 * @param name The file's name without its ending.
 * @throws {TypeError} Where it is none, an argument is missing, or one contradicts the weights; the
 * message goes on from a colon.
 */
export function describeUNet(
  weights: Weights,
  said: OpenAIArguments | undefined,
  name: string,
): OpenAIUNet {
  const { inputs, ...shapes } = inferShapes(weights, said?.num_res_blocks);
  const outputs = weights.get("out.2.weight")?.shape[0];
  if (outputs === undefined || !weights.has("output_blocks.0.0.in_layers.2.weight")) {
    throw new TypeError("it has no second half, so it does not predict noise");
  }
  const given = withPublished(said ?? {}, shapes, name);
  const isSuperRes = inputs === 2 || inputs === 6; // the images that it enlarges lie beside x
  const channels = isSuperRes ? inputs / 2 : inputs;
  const edgeName = isSuperRes ? "large_size" : "image_size";
  const edge = edgeOf(given[edgeName], shapes.channel_mult, edgeName);
  const classes = weights.get("label_emb.weight")?.shape[0] ?? null;
  const levels = shapes.channel_mult.length;
  const rates = ratesOf(given.attention_resolutions, edge, levels);
  const made = given.channel_mult ?? MULTIPLES[edge];
  if (given.channel_mult === undefined && made && !same(made, shapes.channel_mult)) {
    throw new TypeError(
      `--${edgeName} ${edge} makes channel_mult ${made}, its weights say ${shapes.channel_mult}`,
    );
  }
  refuseContradictions({ ...given, attention_resolutions: undefined }, {
    ...shapes,
    num_channels: shapes.model_channels,
    class_cond: classes !== null,
    learn_sigma: outputs === 2 * channels,
    resblock_updown: levels > 1 ? shapes.resblock_updown : undefined,
  });
  if (rates !== undefined && !same(rates, shapes.attention_resolutions)) {
    throw new TypeError(
      `--attention_resolutions is ${given.attention_resolutions}, its weights have attention at ${
        shapes.attention_resolutions.map((rate) => edge / rate).join() || "no size"
      }`,
    );
  }
  if (given.num_head_channels === undefined && given.num_heads === undefined) {
    throw new TypeError(
      'its weights do not say num_head_channels; give "--num_head_channels N", or "--num_heads N", in --model-flags',
    );
  }
  const values = {
    ...shapes,
    in_channels: channels,
    out_channels: outputs,
    image_size: edge,
    num_classes: classes,
    num_heads: given.num_heads ?? 1,
    num_heads_upsample: given.num_heads_upsample ?? -1,
    num_head_channels: given.num_head_channels ?? -1,
    small_size: given.small_size ?? null,
    use_new_attention_order: given.use_new_attention_order ?? false,
  };
  return {
    kind: isSuperRes ? "SuperResModel" : "UNetModel",
    values,
    given,
  };
}

/** What was said, and of a published model what was not. */
function withPublished(
  said: OpenAIArguments,
  shapes: Omit<Inferred, "inputs">,
  name: string,
): OpenAIArguments {
  const published = Object.hasOwn(PUBLISHED, name) ? PUBLISHED[name] : undefined;
  if (published === undefined) return said;
  const { channels, layers, given } = published;
  const edge = given.image_size ?? given.large_size ?? 0;
  const fits = shapes.model_channels === channels && shapes.num_res_blocks === layers &&
    same(shapes.channel_mult, MULTIPLES[edge]);
  if (!fits) return said; // another model of that name
  for (const key of Object.keys(given) as (keyof typeof given)[]) {
    if (said[key] === undefined || same(said[key], given[key])) continue;
    throw new TypeError(
      `--${key} is ${said[key]}, the ${name} that OpenAI published has ${
        given[key]
      }; give the file another name if it is another model`,
    );
  }
  return { ...given, ...said };
}

/** Channels of a head in every classifier that guided-diffusion makes. */
const CLASSIFIER_HEAD = 64;

/**
 * The classifier of a checkpoint, whose weights say all but the size of its heads.
 *
 * @param edge Of the images, where its pool does not say it.
 * @throws {TypeError} As {@linkcode describeUNet}.
 */
export function describeClassifier(
  weights: Weights,
  said: OpenAIArguments,
  edge: number | undefined,
): Readonly<Record<string, unknown>> {
  const { inputs, ...shapes } = inferShapes(weights, said.classifier_depth);
  const { pool, classes, pixels } = poolOf(weights);
  const rate = 2 ** (shapes.channel_mult.length - 1);
  const own = pixels === undefined
    ? edgeOf(edge, shapes.channel_mult, "image_size")
    : Math.sqrt(pixels) * rate;
  if (edge !== undefined && own !== edge) {
    throw new TypeError(`it reads images of ${own}x${own}, the model draws ${edge}x${edge}`);
  }
  const rates = ratesOf(said.classifier_attention_resolutions, own, shapes.channel_mult.length);
  refuseContradictions({ ...said, classifier_attention_resolutions: rates }, {
    classifier_width: shapes.model_channels,
    classifier_depth: shapes.num_res_blocks,
    classifier_attention_resolutions: shapes.attention_resolutions,
    classifier_use_scale_shift_norm: shapes.use_scale_shift_norm,
    classifier_resblock_updown: shapes.resblock_updown,
    classifier_pool: pool,
  });
  const values = {
    ...shapes,
    in_channels: inputs,
    out_channels: classes,
    image_size: own,
    num_head_channels: CLASSIFIER_HEAD,
    pool,
  };
  return values;
}

/** How a classifier's features become logits, by its last layers. */
function poolOf(weights: Weights) {
  const shape = (name: string) => weights.get(`out.${name}`)?.shape;
  const [, positions] = shape("2.positional_embedding") ?? [];
  if (positions !== undefined) {
    return {
      pool: "attention",
      classes: shape("2.c_proj.weight")?.[0],
      pixels: positions - 1,
    } as const;
  }
  if (shape("0.weight")?.length === 1) {
    return { pool: "adaptive", classes: shape("3.weight")?.[0], pixels: undefined } as const;
  }
  if (shape("1.weight") !== undefined) {
    return { pool: "spatial_v2", classes: shape("3.weight")?.[0], pixels: undefined } as const;
  }
  return { pool: "spatial", classes: shape("2.weight")?.[0], pixels: undefined } as const;
}

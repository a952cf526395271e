/**
 * Renaming of tensors by tables, from the names of OpenAI and CompVis to those of diffusers.
 *
 * @module
 */
import { pickRows, renamed, rows } from "../formats/derived.ts";
import type { StoredTensor, Weights } from "../weights.ts";

/** The tensors below a prefix, under their names without it. */
export function below(weights: Weights, prefix: string): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  for (const [name, tensor] of weights) {
    if (!name.startsWith(prefix)) continue;
    const short = name.slice(prefix.length);
    found.set(short, renamed(tensor, short));
  }
  return found;
}

/** How the parts of residual blocks are called: OpenAI's names by diffusers'. */
const RESIDUAL: Readonly<Record<string, string>> = {
  "in_layers.0": "norm1",
  "in_layers.2": "conv1",
  "emb_layers.1": "time_emb_proj",
  "out_layers.0": "norm2",
  "out_layers.3": "conv2",
  skip_connection: "conv_shortcut",
};

/** The name of a part of a residual block, such as `in_layers.0.weight`; undefined for others. */
export function residualPart(part: string): string | undefined {
  const [, base = "", leaf] = part.match(/^(.+)\.(weight|bias)$/) ?? [];
  return Object.hasOwn(RESIDUAL, base) ? `${RESIDUAL[base]}.${leaf}` : undefined;
}

/** In which order the rows of query, key and value lie. */
export interface HeadOrder {
  /** Each head's three parts lie together, instead of the parts of all heads. */
  readonly together: boolean;
  readonly size: number;
}

/** One projection as query, key and value, linear layers. */
export function splitProjection(
  tensor: StoredTensor,
  name: string,
  leaf: string,
  order: HeadOrder = { together: false, size: 1 },
): StoredTensor[] {
  const flat = flattened(tensor);
  const width = (flat.shape[0] ?? 0) / 3;
  const { together, size } = order;
  return ["to_q", "to_k", "to_v"].map((part, index) => {
    // Where there is one head, both orders are the same.
    const own = !together || size === width ? rows(flat, index * width, width) : pickRows(
      flat,
      Array.from(
        { length: width },
        (_, row) => (Math.floor(row / size) * 3 + index) * size + row % size,
      ),
    );
    return renamed(own, `${name}.${part}.${leaf}`);
  });
}

/** A convolution of width 1 as a linear layer; others as they are. */
export function flattened(tensor: StoredTensor): StoredTensor {
  const { shape } = tensor;
  const [out = 0, into = 0, ...kernel] = shape;
  return kernel.length > 0 && kernel.every((size) => size === 1)
    ? renamed(tensor, tensor.name, [out, into])
    : tensor;
}

/** Tensors by their own names. */
export function byName(tensors: Iterable<StoredTensor>): Weights {
  return new Map([...tensors].map((tensor) => [tensor.name, tensor]));
}

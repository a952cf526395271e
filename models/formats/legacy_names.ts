/**
 * Names that files from before 2023 have for tensors of diffusers' networks.
 *
 * @module
 */
import type { StoredTensor, Weights } from "../weights.ts";

const ATTENTION = { query: "to_q", key: "to_k", value: "to_v", proj_attn: "to_out.0" } as const;

/** Attention tensors of old files under the names that they have now. */
export function renameLegacy(weights: Weights): Weights {
  const renamed = new Map<string, StoredTensor>();
  for (const [name, tensor] of weights) {
    const now = name.replace(
      /(attentions\.\d+)\.(query|key|value|proj_attn)\./,
      (_, part: string, old: keyof typeof ATTENTION) => `${part}.${ATTENTION[old]}.`,
    );
    renamed.set(now, { ...tensor, name: now });
  }
  return renamed;
}

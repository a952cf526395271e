/**
 * Attention as one node, found behind the product that ends it. ONNX Runtime computes that node in
 * blocks, so that the scores of all pairs of tokens are never in memory at once.
 *
 * @module
 */
import { type Edge, equal, type Graph, sizeOf } from "../graph.ts";
import { reshape, type Value, value } from "../value.ts";

// Below this many scores the plain products are as fast or faster (measured with 1 to 8 heads).
const SCORES = 1 << 22;
const WIDEST_HEAD = 160; // wider heads are slower in one node

/** The node that makes an edge, where it is of that kind. */
function behind(edge: Edge | undefined, op: string) {
  return edge?.node?.op === op ? edge.node : undefined;
}

function permutes(edge: Edge | undefined, order: readonly number[]): Edge | undefined {
  const node = behind(edge, "Transpose");
  const perm = node?.attributes.perm;
  return Array.isArray(perm) && equal(perm, order) ? node?.inputs[0] : undefined;
}

function numberOf(edge: Edge | undefined): number | undefined {
  const source = edge?.source;
  return source?.kind === "data" && source.data.length === 1 ? Number(source.data[0]) : undefined;
}

/** Scores by their factors: `scale * query * keyᵀ`. */
function factors(scores: Edge | undefined): { query: Edge; key: Edge; scale: number } | undefined {
  const scaled = behind(scores, "Mul");
  const scale = scaled === undefined ? 1 : numberOf(scaled.inputs[1]);
  const product = behind(scaled === undefined ? scores : scaled.inputs[0], "MatMul");
  const [query, turned] = product?.inputs ?? [];
  const key = permutes(turned, [0, 2, 1]);
  if (scale === undefined || query === undefined || key === undefined) return undefined;
  return { query, key, scale };
}

/** `[batch * heads, tokens, size]` as `[batch, tokens, heads * size]`, where it was made of that. */
function joined(graph: Graph, edge: Edge): { edge: Edge; heads: number } {
  const [tokens = 1, size = 1] = edge.dims.slice(1);
  const split = permutes(behind(edge, "Reshape")?.inputs[0], [0, 2, 1, 3]);
  const [batch = 1, rows, heads = 1, width] = split?.dims ?? [];
  const fits = rows === tokens && width === size && batch * heads === edge.dims[0];
  if (split === undefined || !fits) return { edge, heads: 1 };
  return { edge: graph.reshape(split, [batch, tokens, heads * size]), heads };
}

/**
 * `softmax(scale * query * keyᵀ) * values` in one node, if that is what a product is and it pays.
 *
 * @param left The product's left side, perhaps a softmax; `[batch * heads, queries, keys]`
 * @param right Its right side; `[batch * heads, keys, size]`
 */
export function fusedAttention(graph: Graph, left: Edge, right: Edge): Value | undefined {
  const softmax = behind(left, "Softmax");
  if (softmax?.attributes.axis !== 2 || right.dims.length !== 3) return undefined;
  const [all = 1, tokens = 1] = left.dims;
  const size = right.dims[2] ?? 1;
  if (sizeOf(left.dims) < SCORES || size > WIDEST_HEAD) return undefined;
  const found = factors(softmax.inputs[0]);
  if (found === undefined || found.query.dims[2] !== size) return undefined;
  const parts = [found.query, found.key, right].map((edge) => joined(graph, edge));
  const heads = parts[0]?.heads ?? 1;
  const same = parts.every((part) => part.heads === heads);
  const inputs = same ? parts.map(({ edge }) => edge) : [found.query, found.key, right];
  const count = same ? heads : 1;
  const dims = [all / count, tokens, count * size];
  const edge = graph.node("MultiHeadAttention", inputs, { type: "float32", dims }, {
    num_heads: count,
    scale: { float: found.scale },
  }, "com.microsoft");
  if (count === 1) return value(edge);
  const apart = graph.reshape(edge, [all / count, tokens, count, size]);
  const shape = [all / count, count, tokens, size];
  return reshape(graph, value(apart, shape, [0, 2, 1, 3]), [all, tokens, size]);
}

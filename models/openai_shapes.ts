/**
 * What the shapes of a checkpoint say of a network of guided-diffusion.
 *
 * @module
 */
import type { OpenAIConfig } from "./openai_blocks.ts";
import type { Weights } from "./weights.ts";

/** The arguments that shapes determine. */
export interface Inferred extends
  Pick<
    OpenAIConfig,
    | "model_channels"
    | "num_res_blocks"
    | "attention_resolutions"
    | "channel_mult"
    | "conv_resample"
    | "use_scale_shift_norm"
    | "resblock_updown"
  > {
  /** Channels that the first convolution takes. */
  readonly inputs: number;
}

/** A block of the first half, after the first convolution. */
interface Block {
  /** `none` where it has no parameters. */
  readonly kind: "residual" | "conv" | "none";
  readonly width: number;
  readonly attends: boolean;
  /** Whether its shortcut has a convolution, hence its channels changed. */
  readonly widens: boolean;
}

const has = (weights: Weights, name: string) => weights.has(name);

/** The shape of a tensor that every such network has. */
function shapeOf(weights: Weights, name: string): readonly number[] {
  const found = weights.get(name)?.shape;
  if (found !== undefined) return found;
  throw new TypeError(`it has no "${name}", so it is no network of guided-diffusion`);
}

function blockAt(weights: Weights, index: number): Block {
  const at = `input_blocks.${index}.0`;
  if (has(weights, `${at}.op.weight`)) {
    const [width = 0] = shapeOf(weights, `${at}.op.weight`);
    return { kind: "conv", width, attends: false, widens: false };
  }
  if (!has(weights, `${at}.in_layers.2.weight`)) {
    return { kind: "none", width: 0, attends: false, widens: false };
  }
  const [width = 0] = shapeOf(weights, `${at}.in_layers.2.weight`);
  return {
    kind: "residual",
    width,
    attends: has(weights, `input_blocks.${index}.1.norm.weight`),
    widens: has(weights, `${at}.skip_connection.weight`),
  };
}

/** The levels of blocks that come in equal numbers, each but the last with one that shrinks. */
interface Levels {
  readonly layers: number;
  readonly widths: readonly number[];
  readonly attends: readonly boolean[];
  readonly shrinks: Block["kind"];
}

/** The blocks as levels of `layers`, or undefined where they are none. */
function levelsOf(blocks: readonly Block[], layers: number): Levels | undefined {
  const period = layers + 1;
  if ((blocks.length + 1) % period !== 0) return undefined;
  const count = (blocks.length + 1) / period;
  const widths: number[] = [];
  const attends: boolean[] = [];
  const kinds = new Set<Block["kind"]>();
  for (let level = 0; level < count; level++) {
    const [first, ...rest] = blocks.slice(level * period, level * period + layers);
    const own = (block: Block) =>
      block.kind === "residual" && block.width === first?.width && block.attends === first.attends;
    if (first === undefined || !own(first) || !rest.every((it) => own(it) && !it.widens)) {
      return undefined;
    }
    widths.push(first.width);
    attends.push(first.attends);
    if (level === count - 1) break;
    const shrinking = blocks[level * period + layers];
    if (shrinking === undefined || shrinking.attends || shrinking.widens) return undefined;
    if (shrinking.kind !== "none" && shrinking.width !== first.width) return undefined;
    kinds.add(shrinking.kind);
  }
  if (kinds.size > 1) return undefined;
  const [shrinks = "conv"] = kinds;
  return { layers, widths, attends, shrinks };
}

/** Whether the second half, where there is one, grows where these levels say. */
function growsBy(weights: Weights, { layers, widths, shrinks }: Levels): boolean {
  if (!has(weights, "output_blocks.0.0.in_layers.2.weight") || shrinks === "none") return true;
  const period = layers + 1;
  const part = shrinks === "conv" ? "conv.weight" : "in_layers.2.weight";
  return Array.from({ length: widths.length * period }, (_, index) => index).every((index) => {
    const grows = [1, 2].some((at) => has(weights, `output_blocks.${index}.${at}.${part}`));
    return grows === (index % period === layers && index < (widths.length - 1) * period);
  });
}

/**
 * The architecture of a checkpoint.
 *
 * @param layers `num_res_blocks`, where it was said.
 * @throws {TypeError} Where it is no such network; the message goes on from a colon.
 */
export function inferShapes(weights: Weights, layers?: number): Inferred {
  const [four = 0, base = 0] = shapeOf(weights, "time_embed.0.weight");
  const [first = 0, inputs = 0] = shapeOf(weights, "input_blocks.0.0.weight");
  if (base === 0 || four !== 4 * base) {
    throw new TypeError(`its time_embed.0.weight has shape [${four}, ${base}], not [4 n, n]`);
  }
  const last = Math.max(
    ...[...weights.keys()].map((name) => Number(name.match(/^input_blocks\.(\d+)\./)?.[1] ?? 0)),
  );
  if (last > 1000) throw new TypeError("it has more blocks than a network can have");
  const blocks = Array.from({ length: last }, (_, index) => blockAt(weights, index + 1));
  const ways = Array.from({ length: last }, (_, index) => levelsOf(blocks, index + 1))
    .filter((way) => way !== undefined).filter((way) => growsBy(weights, way));
  const chosen = ways.filter((way) => layers === undefined || way.layers === layers);
  const [way, other] = chosen;
  if (way === undefined) {
    const known = ways.map(({ layers }) => layers).join(" or ");
    throw new TypeError(
      known === ""
        ? "its blocks are not those of guided-diffusion"
        : `its blocks come in ${known} a level, not in ${layers}`,
    );
  }
  if (other !== undefined) {
    const known = ways.map(({ layers }) => layers).join(" or ");
    throw new TypeError(
      `its shapes leave open whether it has ${known} residual blocks a level; say it with --num_res_blocks (of a classifier --classifier_depth)`,
    );
  }
  const [embedded = 0] = shapeOf(weights, "input_blocks.1.0.emb_layers.1.weight");
  return {
    inputs,
    model_channels: base,
    num_res_blocks: way.layers,
    attention_resolutions: way.attends.flatMap((attends, level) => attends ? [2 ** level] : []),
    channel_mult: way.widths.map((width) => width / base),
    conv_resample: way.shrinks !== "none",
    use_scale_shift_norm: embedded === 2 * first,
    resblock_updown: way.shrinks === "residual",
  };
}

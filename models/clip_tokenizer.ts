/**
 * Texts as the numbers that CLIP reads, by the files of a `tokenizer/` folder.
 *
 * @module
 */
import { join } from "@std/path";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { readJson } from "./config.ts";

/** A text as numbers. */
export interface Tokens {
  /** As many as the text encoder takes: the text between its marks, then padding. */
  readonly ids: Int32Array;
  /** How many of them are the text and its marks; what follows is padding. */
  readonly used: number;
  /** The text that did not fit and was cut off; empty where all did. */
  readonly cut: string;
}

/** Splits texts into tokens. */
export interface Tokenizer {
  /** How many tokens every text has, its two marks included. */
  readonly length: number;
  encode(text: string): Tokens;
}

/** The length of a text where the files name none. */
const LENGTH = 77;

/** The pattern of words in CLIP's own code, as files say it. */
const WORDS =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

/**
 * Opens a folder with `tokenizer.json`, or with the `vocab.json` and `merges.txt` of older ones.
 *
 * @throws {Error} Where a file is missing or is none of a tokenizer.
 */
export function openTokenizer(folder: string): Tokenizer {
  const settings = {
    ...readOptional(join(folder, "special_tokens_map.json")),
    ...readOptional(join(folder, "tokenizer_config.json")),
  };
  const description = readOptional(join(folder, "tokenizer.json")) ??
    describe(readJson(join(folder, "vocab.json")), join(folder, "merges.txt"), settings);
  const library = new Library(description, settings);
  const { model_max_length: longest } = settings;
  // Files without a limit say so by a number of thirty digits.
  const length = Number.isSafeInteger(longest) ? Number(longest) : LENGTH;
  const idOf = (token: string) => {
    const id = library.token_to_id(token);
    if (id !== undefined) return id;
    throw new Error(`Cannot use "${folder}": its vocabulary has no ${token}`);
  };
  const end = idOf(tokenOf(settings, "eos_token") ?? "<|endoftext|>");
  const padding = idOf(tokenOf(settings, "pad_token") ?? "<|endoftext|>");
  return {
    length,
    encode(text) {
      const all = library.encode(text).ids;
      const ids = new Int32Array(length).fill(padding);
      ids.set(all.length <= length ? all : [...all.slice(0, length - 1), end]);
      const rest = all.length <= length ? [] : all.slice(length - 1, -1);
      const used = Math.min(all.length, length);
      return { ids, used, cut: rest.length === 0 ? "" : library.decode(rest) };
    },
  };
}

function readOptional(path: string): Record<string, unknown> | undefined {
  try {
    return readJson(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** A special token, which is a text or an object that holds one. */
function tokenOf(settings: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = settings[key];
  const { content } = (typeof value === "object" ? value ?? {} : {}) as { content?: unknown };
  return [value, content].find((each) => typeof each === "string");
}

/** What `tokenizer.json` would say for the files of CLIP's first tokenizer. */
function describe(
  vocabulary: Readonly<Record<string, unknown>>,
  mergesPath: string,
  settings: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merges = Deno.readTextFileSync(mergesPath).split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#version"));
  const special = ["bos_token", "eos_token"].map((key, i) =>
    tokenOf(settings, key) ?? ["<|startoftext|>", "<|endoftext|>"][i] ?? ""
  );
  const marks = special.map((content): [string, unknown] => [content, vocabulary[content]]);
  const [start, end] = marks;
  return {
    version: "1.0",
    added_tokens: marks.map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: end,
      cls: start,
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: tokenOf(settings, "unk_token") ?? "<|endoftext|>",
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges: merges.map((line) => line.split(" ")),
    },
  };
}

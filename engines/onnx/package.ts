/**
 * A traced model made ready for ONNX Runtime: its graph as bytes, its weights by reference.
 *
 * @module
 */
import { readRange } from "../../models/formats/elements.ts";
import { type Edge, type Model, sizeOf } from "./graph.ts";
import type { Blob } from "./messages.ts";
import { encodeModel, type Place } from "./protobuf.ts";
import type { Package } from "./session.ts";

const INLINE = 1024; // elements; smaller initializers go into the graph
const ALIGNMENT = 64; // bytes
const BYTES = new Set(["QLinearConv", "MatMulInteger", "MatMulIntegerToFloat"]);
const SLAB = 2 ** 26; // bytes; so much is given back to the system as soon as it is not needed

/** The deepest folder that all absolute paths lie in. */
export function commonFolder(paths: readonly string[]): string {
  const [first = [], ...rest] = paths.map((path) => path.split(/[\\/]/).slice(0, -1));
  const length = first.findIndex((part, index) => rest.some((parts) => parts[index] !== part));
  const parts = length === -1 ? first : first.slice(0, length);
  return parts.length === 1 && parts[0] === "" ? "/" : parts.join("/");
}

/** Packs a model; files are given by their real paths, because ONNX Runtime refuses links. */
export function packModel(model: Model): Package {
  // ONNX Runtime takes files or blobs, never both; weights in bytes are in no file, and what stays
  // float32 beside them is small.
  const mapped = model.initializers.every(({ type }) => type !== "int8" && type !== "int4");
  // Weights in blocks are bytes, too, and layers are computed in float32 with them.
  const bytes = model.nodes.some(({ op }) => BYTES.has(op));
  const paths = new Map<string, string>();
  for (const { source } of mapped ? model.initializers : []) {
    if (source?.kind === "file" && !paths.has(source.path)) {
      paths.set(source.path, Deno.realPathSync(source.path));
    }
  }
  const folder = commonFolder([...paths.values()]);
  const below = folder.endsWith("/") ? folder.length : folder.length + 1;
  const blobs: Blob[] = [];
  let end = 0; // of what the last blob holds
  const keep = ({ buffer, byteOffset, byteLength: length }: ArrayBufferView): Place => {
    let blob = blobs.at(-1);
    if (blob === undefined || end + length > blob.data.length) {
      blob = { path: `blob${blobs.length}`, data: new Uint8Array(Math.max(SLAB, length)) };
      blobs.push(blob);
      end = 0;
    }
    const offset = end;
    blob.data.set(new Uint8Array(buffer, byteOffset, length), offset);
    end += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
    return { location: blob.path, offset, length };
  };
  const placeOf = (edge: Edge): Place | undefined => {
    const { source } = edge;
    if (source?.kind === "file" && !mapped) {
      return keep(readRange(source.path, source.offset, source.length));
    }
    if (source?.kind === "file") {
      const location = paths.get(source.path)?.slice(below) ?? source.path;
      return { location, offset: source.offset, length: source.length };
    }
    if (source?.kind !== "lazy" || sizeOf(edge.dims) <= INLINE) return undefined;
    return keep(source.read());
  };
  return { model: encodeModel(model, placeOf), folder: paths.size > 0 ? folder : "", blobs, bytes };
}

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
  const bytes = model.initializers.some(({ type }) => type === "int8");
  const paths = new Map<string, string>();
  for (const { source } of bytes ? [] : model.initializers) {
    if (source?.kind === "file" && !paths.has(source.path)) {
      paths.set(source.path, Deno.realPathSync(source.path));
    }
  }
  const folder = commonFolder([...paths.values()]);
  const below = folder.endsWith("/") ? folder.length : folder.length + 1;
  const blobs: Blob[] = [];
  const keep = (data: Uint8Array<ArrayBuffer>): Place => {
    const location = `blob${blobs.length}`;
    blobs.push({ path: location, data });
    return { location, offset: 0, length: data.length };
  };
  const placeOf = (edge: Edge): Place | undefined => {
    const { source } = edge;
    if (source?.kind === "file" && bytes) {
      return keep(readRange(source.path, source.offset, source.length));
    }
    if (source?.kind === "file") {
      const location = paths.get(source.path)?.slice(below) ?? source.path;
      return { location, offset: source.offset, length: source.length };
    }
    if (source?.kind !== "lazy" || sizeOf(edge.dims) <= INLINE) return undefined;
    const values = source.read();
    const data = new Uint8Array(values.byteLength);
    data.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return keep(data);
  };
  return { model: encodeModel(model, placeOf), folder: paths.size > 0 ? folder : "", blobs, bytes };
}

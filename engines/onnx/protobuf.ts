/**
 * ONNX's messages as bytes: the few fields of `onnx.proto` that a traced graph needs.
 *
 * @module
 */
import { Writer } from "protobufjs/minimal.js";
import { type Attribute, type Edge, ELEMENT, type Model, type Node } from "./graph.ts";

const IR_VERSION = 10;
const OPSETS: Readonly<Record<string, number>> = { "": 21, "com.microsoft": 1 };

// A field's key is its number, shifted, with how its value is written.
const integer = (field: number) => field << 3;
const block = (field: number) => field << 3 | 2; // strings, bytes and messages
const fixed = (field: number) => field << 3 | 5; // float32

// Numbers of AttributeProto.type.
const FLOAT = 1, INTEGER = 2, STRING = 3, INTEGERS = 7;

const EXTERNAL = 1; // TensorProto.data_location

/** Where an initializer's bytes are when the model does not hold them itself. */
export interface Place {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

function message(writer: Writer, field: number, write: (writer: Writer) => void): void {
  write(writer.uint32(block(field)).fork());
  writer.ldelim();
}

function attribute(writer: Writer, name: string, value: Attribute): void {
  writer.uint32(block(1)).string(name);
  if (typeof value === "number") {
    writer.uint32(integer(3)).int64(value).uint32(integer(20)).int32(INTEGER);
  } else if (typeof value === "string") {
    writer.uint32(block(4)).string(value).uint32(integer(20)).int32(STRING);
  } else if ("float" in value) {
    writer.uint32(fixed(2)).float(value.float).uint32(integer(20)).int32(FLOAT);
  } else {
    for (const item of value) writer.uint32(integer(8)).int64(item);
    writer.uint32(integer(20)).int32(INTEGERS);
  }
}

function nodeProto(writer: Writer, node: Node): void {
  for (const input of node.inputs) writer.uint32(block(1)).string(input?.name ?? "");
  for (const output of node.outputs) writer.uint32(block(2)).string(output.name);
  writer.uint32(block(4)).string(node.op);
  for (const [name, value] of Object.entries(node.attributes)) {
    message(writer, 5, (writer) => attribute(writer, name, value));
  }
  if (node.domain !== "") writer.uint32(block(7)).string(node.domain);
}

function valueInfo(writer: Writer, edge: Edge): void {
  writer.uint32(block(1)).string(edge.name);
  const shape = (writer: Writer) => {
    for (const size of edge.dims) {
      message(writer, 1, (writer) => writer.uint32(integer(1)).int64(size));
    }
  };
  const tensor = (writer: Writer) => {
    writer.uint32(integer(1)).int32(ELEMENT[edge.type]);
    message(writer, 2, shape);
  };
  message(writer, 2, (writer) => message(writer, 1, tensor));
}

/** The bytes of an initializer that no file holds. */
export function bytesOf(edge: Edge): Uint8Array {
  if (edge.source === undefined) return new Uint8Array();
  const { source } = edge;
  if (source.kind === "file") {
    throw new Error(`Cannot write ${edge.name}: its bytes are in ${source.path}`);
  }
  const data = source.kind === "data" ? source.data : source.read();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function tensorProto(writer: Writer, edge: Edge, place: Place | undefined): void {
  for (const size of edge.dims) writer.uint32(integer(1)).int64(size);
  writer.uint32(integer(2)).int32(ELEMENT[edge.type]);
  writer.uint32(block(8)).string(edge.name);
  if (place === undefined) {
    writer.uint32(block(9)).bytes(bytesOf(edge));
    return;
  }
  for (const [key, value] of Object.entries(place)) {
    message(writer, 13, (writer) => {
      writer.uint32(block(1)).string(key).uint32(block(2)).string(String(value));
    });
  }
  writer.uint32(integer(14)).int32(EXTERNAL);
}

/**
 * A model as the bytes of an `.onnx` file.
 *
 * @param placeOf Where an initializer's bytes lie; without an answer they go into the model.
 */
export function encodeModel(
  model: Model,
  placeOf: (edge: Edge) => Place | undefined = () => undefined,
): Uint8Array<ArrayBuffer> {
  const writer = Writer.create();
  writer.uint32(integer(1)).int64(IR_VERSION);
  writer.uint32(block(2)).string("denoise");
  message(writer, 7, (writer) => {
    for (const node of model.nodes) message(writer, 1, (writer) => nodeProto(writer, node));
    writer.uint32(block(2)).string("traced");
    for (const edge of model.initializers) {
      message(writer, 5, (writer) => tensorProto(writer, edge, placeOf(edge)));
    }
    for (const edge of model.inputs) message(writer, 11, (writer) => valueInfo(writer, edge));
    for (const edge of model.outputs) message(writer, 12, (writer) => valueInfo(writer, edge));
  });
  for (const domain of new Set(["", ...model.nodes.map((node) => node.domain)])) {
    message(writer, 8, (writer) => {
      writer.uint32(block(1)).string(domain).uint32(integer(2)).int64(OPSETS[domain] ?? 1);
    });
  }
  return new Uint8Array(writer.finish());
}

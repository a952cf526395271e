import { assert, assertEquals } from "@std/assert";
import * as tf from "tfjs";
import { type Model, type Target } from "../../../engines/onnx/graph.ts";
import { shapeEdges } from "../../../engines/onnx/parameters.ts";
import { traceComputation } from "../../../engines/onnx/trace.ts";
import { upsample } from "../../../models/layers.ts";
import { asMap, type Case, compare, normal, withEngine } from "./_compare.ts";

type Forward = (...inputs: tf.Tensor[]) => tf.Tensor;

const same: Forward = (x, filter, bias) => {
  const y = tf.conv2d(asMap(x as tf.Tensor), asMap(filter as tf.Tensor), 1, "same");
  return bias === undefined ? y : tf.add(y, bias);
};
const doubled: Forward = (x, ...rest) => same(upsample(asMap(x as tf.Tensor)), ...rest);
const fused: Forward = (x, filter, bias) =>
  tf.fused.conv2d({
    x: asMap(x as tf.Tensor),
    filter: asMap(filter as tf.Tensor),
    strides: 1,
    pad: "same",
    bias: bias as tf.Tensor,
  });

const WIDE = [2, 16, 18, 64]; // channels, rows and columns for which Winograd's form pays
const FILTER = [3, 3, 64, 80];

function traced(run: Forward, shapes: readonly number[][], target: Target = "blocks"): Model {
  const source = shapeEdges((_, otherwise) => otherwise);
  return traceComputation((_, ...inputs) => [run(...inputs)], source, shapes, target).model;
}

/** The sizes of the filters of all convolutions. */
const windows = ({ nodes }: Model) =>
  nodes.filter(({ op }) => op === "Conv").map(({ attributes }) => String(attributes.kernel_shape));

const slopes = (run: Forward): Case["run"] => (...inputs) =>
  tf.grads((...inputs) => {
    const y = run(...inputs);
    return tf.sum(tf.mul(y, tf.randomNormal(y.shape, 0, 1, "float32", 77)));
  })(inputs);

Deno.test("onnx engine agrees with cpu on convolutions with fewer products", () =>
  withEngine(async (engine) => {
    const cases: Case[] = [
      { name: "Winograd", run: same, inputs: normal(WIDE, FILTER) },
      { name: "Winograd with bias", run: fused, inputs: normal(WIDE, FILTER, [80]) },
      { name: "doubled", run: doubled, inputs: normal([2, 5, 7, 6], [3, 3, 6, 8]) },
      { name: "slopes", run: slopes(same), inputs: normal([1, 16, 16, 64], [3, 3, 64, 64]) },
      {
        name: "slopes of doubled",
        run: slopes(doubled),
        inputs: normal([2, 4, 3, 4], [3, 3, 4, 5]),
      },
    ];
    for (const each of cases) await compare(engine, each);
  }));

Deno.test("trace takes 36 products for 16 where it pays, for ONNX Runtime on the CPU alone", () => {
  assertEquals(windows(traced(same, [WIDE, FILTER])).filter((size) => size === "3,3"), []);
  for (const target of ["any", "runtime"] as const) {
    assertEquals(windows(traced(same, [WIDE, FILTER], target)), ["3,3"]);
    assertEquals(windows(traced(doubled, [[1, 4, 4, 2], [3, 3, 2, 2]], target)), ["3,3"]);
  }
  assertEquals(
    windows(traced(doubled, [[1, 4, 4, 2], [3, 3, 2, 2]])),
    Array.from({ length: 4 }, () => "2,2"),
  );
});

Deno.test("trace leaves convolutions as they are that gain nothing", () => {
  const cases = {
    "few channels": [[2, 16, 16, 32], [3, 3, 32, 32]],
    "channels that fill no block": [[2, 16, 16, 72], [3, 3, 72, 80]],
    "an odd edge": [[2, 17, 16, 64], [3, 3, 64, 64]],
    "a small image": [[8, 8, 8, 64], [3, 3, 64, 64]],
    "a large image": [[1, 128, 128, 64], [3, 3, 64, 64]],
    "a larger image": [[1, 256, 256, 128], [3, 3, 128, 128]],
  };
  for (const [name, shapes] of Object.entries(cases)) {
    assertEquals(windows(traced(same, shapes)), ["3,3"], name);
  }
});

Deno.test("trace shares the depthwise filters of Winograd's form", () => {
  const twice: Forward = (x, filter) =>
    same(same(x as tf.Tensor, filter as tf.Tensor), filter as tf.Tensor);
  const shapes = [[1, 16, 16, 64], [3, 3, 64, 64]];
  const [one, two] = [same, twice].map((run) => traced(run, shapes).initializers.length);
  assert(one !== undefined && one === two, `${one} and ${two}`);
});

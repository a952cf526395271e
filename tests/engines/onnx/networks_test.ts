import * as tf from "tfjs";
import type { Computation } from "../../../engines/engine.ts";
import { loadedParameters } from "../../../models/parameters.ts";
import { scopeOf } from "../../../models/scope.ts";
import { networkOf } from "../../_networks.ts";
import { assertClose, withEngine } from "./_compare.ts";

for (const name of ["sd-odd", "unclip-decoder", "kl-attention"]) {
  Deno.test(`onnx engine computes the slope of a network as tfjs does: ${name}`, () =>
    withEngine(async (engine) => {
      const { computation, weights, inputs } = networkOf(`networks/${name}`);
      const slope: Computation = (scope, x, ...rest) => {
        const loss = (x: tf.Tensor): tf.Scalar => {
          const [first] = computation(scope, x, ...rest);
          return tf.sum(tf.square(first!));
        };
        return [tf.grad(loss)(x!)];
      };
      const given = inputs();
      const [traced] = await engine.compile(slope, weights)(...given);
      const loaded = loadedParameters(weights);
      const [eager] = slope(scopeOf(loaded), ...given);
      assertClose(traced!, eager!, 1e-4);
      loaded.dispose();
    }));
}

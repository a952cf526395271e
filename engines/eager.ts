/**
 * Engines that compute each tfjs operation as it is called.
 *
 * @module
 */
import * as tf from "tfjs";
import { loadedParameters } from "../models/parameters.ts";
import { scopeOf } from "../models/scope.ts";
import type { Compiled, Engine } from "./engine.ts";

/** An engine over the tfjs backend that is current. */
export function eagerEngine(name: string, description: string): Engine {
  const sources = new Map<unknown, ReturnType<typeof loadedParameters>>();
  return {
    name,
    description,
    compile(computation, weights) {
      const source = sources.get(weights) ?? loadedParameters(weights);
      sources.set(weights, source);
      const compute: Compiled = (...inputs) =>
        Promise.resolve(tf.tidy(() => computation(scopeOf(source), ...inputs)));
      compute.release = () => Promise.resolve(source.dispose()); // what else needs it, loads it again
      return compute;
    },
    dispose() {
      for (const source of sources.values()) source.dispose();
      sources.clear();
      return Promise.resolve();
    },
  };
}

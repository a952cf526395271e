/**
 * What a cell costs: calls of networks, and time without what is only done once.
 *
 * @module
 */
import * as tf from "tfjs";
import type { Compiled, Engine } from "../engines/engine.ts";

/** An engine whose use is counted. */
export interface Metered {
  readonly engine: Engine;
  /** Does some work and measures it. */
  measure<T>(work: () => Promise<T>): Promise<{ readonly result: T } & Cost>;
  /** Does something that is no part of what is measured, such as keeping a picture. */
  aside<T>(work: () => Promise<T>): Promise<T>;
}

/** What some work took. */
export interface Cost {
  readonly seconds: number;
  /** Calls of any network. */
  readonly calls: number;
}

/** Runs before a network is measured: the first two of a session are slower than all others. */
const WARM_UP = 2;

/**
 * Counts what is computed. A network that is first called with some shapes is prepared for them and
 * warmed up outside of the time that is measured, so that the first cell is not the slowest one.
 */
export function metered(inner: Engine): Metered {
  let [calls, outside, measuring] = [0, 0, false];
  const aside = async <T>(work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      return await work();
    } finally {
      outside += performance.now() - start;
    }
  };
  const count = (run: Compiled): Compiled => {
    const seen = new Set<string>();
    return async (...inputs) => {
      const shapes = inputs.map(({ shape }) => shape.join("x")).join(" ");
      if (measuring && !seen.has(shapes)) {
        seen.add(shapes);
        await aside(async () => {
          for (let i = 0; i < WARM_UP; i++) tf.dispose(await run(...inputs));
        });
      }
      calls++;
      return await run(...inputs);
    };
  };
  return {
    engine: {
      name: inner.name,
      description: inner.description,
      compile: (...network) => count(inner.compile(...network)),
      dispose: () => inner.dispose(),
    },
    aside,
    async measure(work) {
      const [start, called, before] = [performance.now(), calls, outside];
      measuring = true;
      const result = await work().finally(() => measuring = false);
      const seconds = (performance.now() - start - (outside - before)) / 1000;
      return { result, seconds, calls: calls - called };
    },
  };
}

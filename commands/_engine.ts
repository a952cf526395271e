/** The engine that a command's flags choose. */
import type { Engine } from "../engines/engine.ts";
import { openEngine } from "../engines/mod.ts";
import type { Model } from "../pipeline/model.ts";
import { choosePrecision, type Precision, type PrecisionWish } from "../quantization/precision.ts";
import type { Io } from "./_io.ts";

type Chosen = Parameters<typeof openEngine>;

/** Opens it, and tells those who want to know what it is and what was passed over. */
export async function engineOf(
  { engine: name, ...options }: { readonly engine: Chosen[0] } & NonNullable<Chosen[1]>,
  io: Io,
): Promise<Engine> {
  const engine = await openEngine(
    name,
    { threads: options.threads, provider: options.provider },
    (passed, reason) => io.detail(`Passed over ${passed}: ${reason}`),
  );
  io.detail(`Computing on ${engine.description}`);
  return engine;
}

/** What a model is computed with; what people should know of that is told. */
export async function precisionOf(
  model: Model,
  engine: Engine,
  wish: PrecisionWish,
  io: Io,
): Promise<Pick<Precision, "scales" | "bits" | "precision">> {
  const { reason, warning, ...chosen } = await choosePrecision(model, engine, wish);
  io.detail(`Precision: ${reason}`);
  if (warning !== undefined) io.warn(warning);
  return chosen;
}

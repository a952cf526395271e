/** The engine that a command's flags choose. */
import type { Engine } from "../engines/engine.ts";
import { openEngine } from "../engines/mod.ts";
import type { Model } from "../pipeline/model.ts";
import type { Settings } from "../pipeline/settings.ts";
import type { TimestepGroup } from "../quantization/scales.ts";
import { choosePrecision, type PrecisionWish } from "../quantization/precision.ts";
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

/** The layers that are computed in bytes, and what settings keep of that. */
export async function precisionOf(
  model: Model,
  engine: Engine,
  wish: PrecisionWish,
  io: Io,
): Promise<
  { readonly scales?: readonly TimestepGroup[] | undefined } & Pick<Settings, "precision">
> {
  const { scales, reason, warning } = await choosePrecision(model, engine, wish);
  io.detail(`Precision: ${reason}`);
  if (warning !== undefined) io.warn(warning);
  return scales === undefined ? {} : { scales, precision: "int8" };
}

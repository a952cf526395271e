import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Engine } from "../../engines/engine.ts";
import type { Model } from "../../pipeline/model.ts";
import { openModel } from "../../pipeline/model.ts";
import { scalesPath, writeScales } from "../../quantization/file.ts";
import { fingerprintOf } from "../../quantization/fingerprint.ts";
import { choosePrecision, openScales } from "../../quantization/precision.ts";
import type { Scales } from "../../quantization/scales.ts";
import { writeTiny } from "../commands/_tiny.ts";

const SCALES: Scales = new Map([["mid_block.resnets.0.conv1", {
  input: [[-1, 1]],
  output: [1],
  correction: undefined,
}]]);

const GROUPS = [{ below: Infinity, scales: SCALES }];

/** An engine on a processor that has, or has not, an instruction for products of bytes. */
function processor(exact: boolean): Pick<Engine, "description" | "bytes"> {
  const watch = () => () => Promise.resolve([]);
  return { description: "a processor", bytes: { exact: () => Promise.resolve(exact), watch } };
}

/** A model whose scales are absent, its own, or of weights that it had before. */
async function withModel(
  scales: "absent" | "own" | "stale",
  run: (model: Model, path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await writeTiny(folder);
    const model = openModel(folder);
    const path = scalesPath(model.unet.folder);
    if (scales !== "absent") {
      const weights = scales === "own" ? await fingerprintOf(model.unet.weights) : "old";
      await writeScales(path, { weights, calibration: {}, groups: GROUPS });
    }
    await run(model, path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("precision auto is int8 with scales on a processor with products of bytes", () =>
  withModel("own", async (model, path) => {
    const chosen = await choosePrecision(model, processor(true), { precision: "auto" });
    assertEquals(chosen.scales, GROUPS);
    assertEquals(chosen.warning, undefined);
    assertStringIncludes(chosen.reason, path);
  }));

Deno.test("precision auto stays float32 on a processor without products of bytes, and says why", () =>
  withModel("own", async (model) => {
    const chosen = await choosePrecision(model, processor(false), { precision: "auto" });
    assertEquals(chosen.scales, undefined);
    assert(/^float32: .*VNNI/.test(chosen.reason), chosen.reason);
  }));

Deno.test("precision auto stays float32 without scales or another engine, and says why", async () => {
  await withModel("absent", async (model) => {
    const chosen = await choosePrecision(model, processor(true), { precision: "auto" });
    assertEquals([chosen.scales, chosen.warning], [undefined, undefined]);
    assertStringIncludes(chosen.reason, "has no scales");
  });
  await withModel("own", async (model) => {
    const chosen = await choosePrecision(model, { description: "wasm" }, { precision: "auto" });
    assertEquals([chosen.scales, chosen.warning], [undefined, undefined]);
    assertStringIncludes(chosen.reason, "wasm does not compute in bytes");
  });
});

Deno.test("precision auto warns of scales that are of other weights", () =>
  withModel("stale", async (model, path) => {
    const chosen = await choosePrecision(model, processor(true), { precision: "auto" });
    assertEquals(chosen.scales, undefined);
    assertStringIncludes(chosen.warning ?? "", `scales in "${path}" are of other weights`);
  }));

Deno.test("precision f32 looks at no scales", () =>
  withModel("stale", async (model) => {
    const chosen = await choosePrecision(model, processor(true), { precision: "f32" });
    assertEquals([chosen.scales, chosen.warning], [undefined, undefined]);
  }));

Deno.test("precision int8 refuses what it cannot have", async () => {
  const ask = (model: Model, engine: Pick<Engine, "description" | "bytes">) =>
    choosePrecision(model, engine, { precision: "int8" });
  await withModel("absent", async (model, path) => {
    const message = `there are no scales at "${path}"`;
    await assertRejects(() => ask(model, processor(true)), Deno.errors.NotFound, message);
  });
  await withModel("stale", async (model, path) => {
    await assertRejects(() => ask(model, processor(true)), TypeError, path);
    await assertRejects(() => openScales(model, path), TypeError, "makes them anew");
  });
  await withModel("own", async (model) => {
    await assertRejects(() => ask(model, { description: "wasm" }), TypeError, "wasm does not");
    const { scales, warning = "" } = await ask(model, processor(false));
    assertEquals(scales, GROUPS); // as asked for
    assertStringIncludes(warning, "VNNI");
  });
});

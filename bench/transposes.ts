// deno-lint-ignore-file no-console -- a command-line tool
/**
 * Counts what moves data in a traced network as ONNX Runtime has optimised it:
 * `deno run -A bench/transposes.ts PYTHON MODEL`, with a Python that has onnx and onnxruntime.
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import { startHelper } from "./_lines.ts";

const [python = "python3", model = "digits"] = Deno.args;
const folder = await Deno.makeTempDir();
try {
  const file = join(folder, "model.onnx");
  const cli = fromFileUrl(new URL("../cli.ts", import.meta.url));
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", cli, "trace", model, "-o", file],
    stdout: "null",
  }).output();
  if (!success) throw new Error(`Cannot trace ${model}`);
  await using ort = startHelper(python, [
    fromFileUrl(new URL("./ort_side.py", import.meta.url)),
    "2",
  ]);
  console.log(JSON.stringify(await ort.ask({ op: "layouts", file }), null, 2));
} finally {
  await Deno.remove(folder, { recursive: true });
}

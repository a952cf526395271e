import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import config from "../../deno.json" with { type: "json" };
import { encodePng } from "../../images/png.ts";
import { denoise, run } from "./_run.ts";

Deno.test("denoise without a command prints the overview to stderr and fails", async () => {
  const { code, stdout, stderr } = await run([]);
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "Usage: denoise COMMAND");
});

for (const args of [["--help"], ["-h"], ["help"]]) {
  Deno.test(`denoise ${args} prints the overview to stdout`, async () => {
    const { code, stdout, stderr } = await run(args);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "Usage: denoise COMMAND");
  });
}

Deno.test("denoise --version prints the version of deno.json", async () => {
  const { code, stdout } = await run(["--version"]);
  assertEquals(code, 0);
  assert(stdout.startsWith(`denoise ${config.version} (deno `), stdout);
});

Deno.test("--help of a command wins over mistakes beside it", async () => {
  for (const args of [["list", "--bad", "-h"], ["help", "list"], ["list", "--help", "x", "y"]]) {
    const { code, stdout, stderr } = await run(args);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "Usage: denoise list [WHAT]");
  }
});

const mistakes: [string[], number, string][] = [
  [["lst"], 2, 'Cannot find the command "lst": did you mean list?\nSee denoise --help'],
  [["constructor"], 2, 'Cannot find the command "constructor": there are '],
  [["-x"], 2, "Cannot use -x here: the command comes first"],
  [["list", "--jsn"], 2, "Cannot use --jsn: did you mean --json?\nSee denoise list --help"],
  [["list", "samplrs"], 2, 'Cannot list "samplrs": did you mean samplers?'],
  [["metadata"], 1, "Cannot read stdin"],
  [["metadata", "none.png"], 1, 'Cannot read "none.png": no such file or directory\n'],
  [["metadata", "."], 1, 'Cannot read ".": '],
  [["completions", "zhs"], 2, 'Cannot complete for "zhs": did you mean zsh?'],
];

for (const [args, status, message] of mistakes) {
  Deno.test(`denoise ${args.join(" ")} fails in one sentence`, async () => {
    const { code, stdout, stderr } = await run(args);
    assertEquals([code, stdout], [status, ""]);
    assert(stderr.startsWith(`error: ${message}`), stderr);
    assert(!stderr.includes("    at "), stderr);
  });
}

Deno.test("--debug shows the stack", async () => {
  const { code, stderr } = await run(["metadata", "none.png", "--debug"]);
  assertEquals(code, 1);
  assertMatch(stderr, /^error: Cannot read "none.png".*\nNotFound: [^]*\n +at /);
});

Deno.test("a closed pipe ends it without a word", async () => {
  const child = denoise(["list", "--json"]).spawn();
  await child.stdout.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assertEquals([code, stderr], [141, ""]);
});

Deno.test("list names every plugin with its options, from any folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { code, stdout, stderr } = await run(["list", "--json"], folder);
    assertEquals([code, stderr], [0, ""]);
    const found: Record<string, { name: string; summary: string }[]> = JSON.parse(stdout);
    for (const { name, summary } of Object.values(found).flat()) {
      assert(summary !== "", `${name} has no summary`);
    }
    const { samplers, guidances, engines } = JSON.parse(stdout);
    const names = (list: { name: string }[]) => list.map(({ name }) => name);
    assert(names(samplers).includes("ddim") && names(guidances).includes("cfg"), stdout);
    assert(names(engines).includes("onnx"));
    const cfg = guidances.find(({ name }: { name: string }) => name === "cfg");
    assertEquals(Object.keys(cfg.options), ["scale", "form", "from", "until"]);
    assertStringIncludes((await run(["list", "sampler"])).stdout, "eta=NUMBER");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("metadata prints the text of a PNG and takes paths from where it is typed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const text = { parameters: "Steps: 20,\nSeed: 7", denoise: '{"seed":7}' };
    const png = encodePng(Uint8Array.of(0), { width: 1, height: 1, channels: 1 }, text);
    await Deno.writeFile(join(folder, "x.png"), png);
    const plain = await run(["metadata", "x.png"], folder);
    assertEquals(plain, {
      code: 0,
      stdout: 'parameters:\n  Steps: 20,\n  Seed: 7\ndenoise: {"seed":7}\n',
      stderr: "",
    });
    const { stdout } = await run(["metadata", "--json", "x.png"], folder);
    assertEquals(JSON.parse(stdout), { ...text, denoise: { seed: 7 } });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

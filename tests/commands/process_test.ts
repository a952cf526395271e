/**
 * What takes a process of its own: pipes, signals, permissions, plugins outside the project and the
 * default engine.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { denoise } from "../cli/_run.ts";
import { assertClose, assertFailure, check, filesOf, readPng, readPngs, succeed } from "./_main.ts";
import { writeTiny } from "./_tiny.ts";

const ignore = Deno.build.os === "windows";
const FAST = ["--engine", "cpu", "--steps", "3", "--seed", "5"];

async function tinyIn(folder: string): Promise<string> {
  await writeTiny(join(folder, "tiny"));
  return "tiny";
}

async function run(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await denoise(args, cwd).output();
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

check("a process writes nothing but image bytes to stdout", async (folder) => {
  const model = await tinyIn(folder);
  const args = ["sample", model, "--separate", "-n", "2", "--verbose", "--preview", "1"];
  const { code, stdout, stderr } = await run(folder, ...args, ...FAST);
  assertEquals(code, 0, stderr);
  assertEquals(readPngs(stdout).length, 2);
  assertStringIncludes(stderr, "2 images of 3 steps");
});

check("a reader that goes ends sample and forward without a word", async (folder) => {
  const model = await tinyIn(folder);
  await succeed("sample", join(folder, model), ...FAST, "-o", join(folder, "x.png"));
  const commands = [
    ["sample", model, ...FAST],
    ["sample", model, ...FAST, "--separate"],
    ["forward", "x.png"],
    ["forward", "x.png", "--animate"],
  ];
  for (const args of ignore ? [] : commands) {
    const child = denoise(args, folder).spawn();
    await child.stdout.cancel();
    const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
    assertEquals([code, stderr], [141, ""], args.join(" "));
  }
  assertEquals(await filesOf(folder), ["tiny", "x.png"]);
});

/** A sampler in plain JavaScript that tells of its steps and takes long at one of them. */
const slow = (long: number) => `
  let steps = 0;
  export default {
    name: "slow",
    summary: "stands still at step ${long}",
    paper: "https://example.org/",
    options: {},
    async step({ x, from, to, predict }) {
      console.error("step " + ++steps);
      if (steps === ${long}) await new Promise((done) => setTimeout(done, 1500));
      const { x0, eps } = await predict(x, from);
      return { x: x0.mul(to.alpha).add(eps.mul(to.sigma)) };
    },
  };
`;

/** Samples with the slow sampler and interrupts it there. */
async function interrupt(folder: string, signal: Deno.Signal, long: number, ...args: string[]) {
  const model = await tinyIn(folder);
  await Deno.writeTextFile(join(folder, "slow.js"), slow(long));
  const child = denoise(
    ["sample", model, ...FAST, "--sampler", "./slow.js", "--batch-size", "1", "-n", "9", ...args],
    folder,
  ).spawn();
  const stdout = new Response(child.stdout).bytes();
  let stderr = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    if (!stderr.includes(`step ${long}\n`) && (stderr + text).includes(`step ${long}\n`)) {
      child.kill(signal);
    }
    stderr += text;
  }
  const { code } = await child.status;
  return { code, stdout: await stdout, stderr: stderr.replaceAll(/^step \d+\n/gm, "") };
}

const stopping = "Stopping after this step; Ctrl-C again stops at once\n";

if (!ignore) {
  check("Ctrl-C keeps the finished files of a folder, and no others", async (folder) => {
    const { code, stdout, stderr } = await interrupt(folder, "SIGINT", 8, "-o", "out/");
    assertEquals([code, stdout.length], [130, 0], stderr);
    assertStringIncludes(stderr, stopping);
    assertEquals(await filesOf(join(folder, "out")), ["000000.png", "000001.png"]);
    for (const name of await filesOf(join(folder, "out"))) {
      assertEquals((await readPng(join(folder, "out", name))).width, 8);
    }
    assertEquals(await filesOf(folder), ["out", "slow.js", "tiny"]);
  });

  check("Ctrl-C writes the sheet and the animation of what is finished", async (folder) => {
    const outputs = ["-o", "x.png", "--trajectory", "run.png"];
    const { code, stderr } = await interrupt(folder, "SIGINT", 8, ...outputs);
    assertEquals(code, 130, stderr);
    assertEquals(await filesOf(folder), ["run.png", "slow.js", "tiny", "x.png"]);
    assertEquals((await readPng(join(folder, "x.png"))).width, 22); // two images
    assertEquals((await readPng(join(folder, "run.png"))).width, 22);
  });

  check("SIGTERM before the first image is finished leaves nothing", async (folder) => {
    const { code, stdout, stderr } = await interrupt(folder, "SIGTERM", 2, "-o", "x.png");
    assertEquals([code, stdout.length, stderr], [143, 0, stopping]);
    assertEquals(await filesOf(folder), ["slow.js", "tiny"]);
  });
}

/** As the README's example: a folder that knows nothing of the project. */
const MINE = `
import { combine, type Sampler } from "denoise/plugin";

const options = {
  strength: { type: "number", default: 1, min: 0, max: 4, help: "how much noise a step keeps" },
} as const;

const mine: Sampler<typeof options> = {
  name: "mine",
  summary: "the deterministic step of DDIM, its noise scaled",
  paper: "https://arxiv.org/abs/2010.02502",
  options,
  async step({ x, from, to, predict, options: { strength } }) {
    const { x0, eps } = await predict(x, from);
    return { x: combine([to.alpha, x0], [strength * to.sigma, eps]) };
  },
};
export default mine;
`;

check("a sampler outside the project runs with its options", async (folder) => {
  const model = await tinyIn(folder);
  await Deno.writeTextFile(join(folder, "mine.ts"), MINE);
  const sample = (spec: string, ...more: string[]) =>
    run(folder, "sample", model, ...FAST, "--sampler", spec, ...more);
  const help = await sample("./mine.ts,strength=2", "--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(new TextDecoder().decode(help.stdout), "Options of mine (the determin");
  assertStringIncludes(
    new TextDecoder().decode(help.stdout),
    "strength=NUMBER  how much noise a step keeps (0 to 4; default: 1)",
  );
  const { code, stderr } = await sample("./mine.ts,strength=2", "-o", "x.png");
  assertEquals(code, 0, stderr);
  const { text } = await readPng(join(folder, "x.png"));
  assertStringIncludes(text.parameters ?? "", "mine");
  assertStringIncludes(JSON.parse(text.denoise ?? "").sampler, "mine.ts,strength=2");
  // By its formula it is ddim at strength 1, whose own clipping keeps the noise.
  const clipped = ["--guidance", "clip"];
  const [mine, ddim] = [await sample("./mine.ts", ...clipped), await sample("ddim", ...clipped)];
  const [[a], [b]] = [readPngs(mine.stdout), readPngs(ddim.stdout)];
  assert(a !== undefined && b !== undefined);
  assertClose(a, b);
  assertFailure(await sample("./mine.ts,strength=9"), 2, "strength must be between 0 and 4");
});

check("a sampler in plain JavaScript without imports runs", async (folder) => {
  const model = await tinyIn(folder);
  await Deno.writeTextFile(join(folder, "slow.js"), slow(0));
  const { code, stdout } = await run(folder, "sample", model, ...FAST, "--sampler", "./slow.js");
  assertEquals(code, 0);
  assertStringIncludes(readPngs(stdout)[0]?.text.parameters ?? "", "slow");
});

check("onnx, the default engine, gives the image of cpu", async (folder) => {
  const model = await tinyIn(folder);
  const args = ["sample", model, "--steps", "3", "--seed", "5", "--guidance", "cfg,scale=2"];
  const onnx = await run(folder, ...args, "--guidance", "clip", "--verbose");
  assertEquals(onnx.code, 0, onnx.stderr);
  assertStringIncludes(onnx.stderr, "Computing on ONNX Runtime");
  const args2 = [...args.with(1, join(folder, model)), "--guidance", "clip", "--engine", "cpu"];
  const [a] = readPngs(onnx.stdout);
  const [b] = readPngs((await succeed(...args2)).stdout);
  assert(a !== undefined && b !== undefined);
  assertClose(a, b);
});

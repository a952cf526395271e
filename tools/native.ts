// deno-lint-ignore-file no-console -- a command-line tool
/**
 * Installs `@tensorflow/tfjs-node-gpu` and libtensorflow into `.native/`, for `--engine tensorflow`.
 *
 * Run as `deno task native`; see {@linkcode HELP}.
 *
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Rank, Tensor, Tensor4D } from "tfjs";
import config from "../deno.json" with { type: "json" };
import { loadTensorflow, NATIVE_FOLDER, type NativeInstall } from "../engines/tensorflow.ts";

const HELP = `Installs libtensorflow for --engine tensorflow into .native/

Usage: deno task native [options]

  --libtensorflow DIR  use the libtensorflow in DIR: a folder with lib/ and include/, or the
                       tensorflow/ folder of the Python package (env LIBTENSORFLOW)
  --from WAY           how to get it otherwise: "script", the install script of
                       ${"@tensorflow/tfjs-node-gpu"}; "wheel", the Python package from PyPI;
                       "auto", the first of these that works (default auto)
  --check              test what is installed and print its speed
  --force              install again
  --help               print this text
`;

const WHEEL = "tensorflow==2.21.0";
const HEADERS = "npm:node-api-headers@1.5.0";
const ORIGIN = Deno.build.os === "darwin" ? "@loader_path" : "$ORIGIN"; // the addon's folder
const FETCH_LIMIT = 60_000; // ms in which a download has to grow
const MB = 1e6;

/** A failure that the user can mend: printed without a stack. */
class SetupError extends Error {}

/** The user pressed Ctrl+C: what is half done is removed on the way out. */
class Interrupted extends Error {}

interface Options {
  /** A folder, or "" for none. */
  libtensorflow: string;
  from: string;
  force: boolean;
}

/** libtensorflow and its headers, ready for the linker. */
interface Library {
  /** Files to link with. */
  files: string[];
  include: string;
  /** What the addon searches at run time: an absolute folder, or one beside itself. */
  rpath: string;
}

interface Running {
  cwd?: string;
  env?: Record<string, string>;
  /** A folder whose growth shows progress; the command ends when it stops growing. */
  growing?: string;
}

const started = performance.now();

function log(message: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  console.error(`${seconds} s  ${message}`);
}

function path(url: URL): string {
  return fileURLToPath(url);
}

/** The line of a command's output that says best why it failed. */
function reasonIn(text: string): string {
  // deno-lint-ignore no-control-regex
  const lines = text.replaceAll(/\x1b\[[0-9;]*m/g, "").split("\n").map((line) => line.trim());
  const line = lines.find((line) => /Uncaught|fatal error|^ERROR/.test(line)) ??
    lines.find((line) => /error/i.test(line)) ?? lines.findLast((line) => line !== "");
  return (line ?? "no output").replace(
    /^(error: )?(Uncaught )?(\(in promise\) )?(\w*Error: )?/i,
    "",
  )
    .slice(0, 300);
}

async function exists(file: string | URL): Promise<boolean> {
  try {
    await Deno.stat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  try {
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      if (isDirectory) size += await sizeOf(`${folder}/${name}`);
      if (isFile) size += (await Deno.stat(`${folder}/${name}`)).size;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // removed while we look
  }
  return size;
}

/** Runs a command to its end and throws what it printed last where it fails. */
async function run(command: string, args: string[], options: Running = {}): Promise<string> {
  const { growing, ...rest } = options;
  // A group of its own, so that what the command started ends with it.
  const detached = Deno.build.os !== "windows";
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args,
      ...rest,
      detached,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new SetupError(`${command} is not installed`);
    throw error;
  }
  const end = () => Deno.kill(detached ? -child.pid : child.pid, "SIGTERM");
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    end();
  };
  let size = 0;
  let grown = performance.now();
  let stalled = false;
  const timer = growing === undefined ? undefined : setInterval(async () => {
    const now = await sizeOf(growing);
    if (now !== size) {
      grown = performance.now();
      log(`  ${(now / MB).toFixed(0)} MB`);
    } else if (!stalled && performance.now() - grown > FETCH_LIMIT) {
      stalled = true;
      end();
    }
    size = now;
  }, 3000);
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    const { success, stdout, stderr } = await child.output();
    if (interrupted) throw new Interrupted();
    const decoder = new TextDecoder();
    if (success) return decoder.decode(stdout);
    if (stalled) throw new SetupError(`nothing came for ${FETCH_LIMIT / 1000} s`);
    throw new SetupError(reasonIn(decoder.decode(stderr) + decoder.decode(stdout)));
  } finally {
    clearInterval(timer);
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** Runs the first of several commands that is there, and returns its name. */
async function firstOf(commands: string[], missing: string): Promise<string> {
  for (const command of commands) {
    try {
      await run(command, ["--version"]);
      return command;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
    }
  }
  throw new SetupError(missing);
}

function compiler(): Promise<string> {
  const chosen = Deno.env.get("CXX");
  return firstOf(
    chosen ? [chosen] : ["c++", "g++", "clang++"],
    "there is no C++ compiler to build the addon with (on Debian: apt-get install g++)",
  );
}

/** Installs the npm package with its dependencies, without its script, as a project of its own. */
async function installPackage(folder: string, specifier: string): Promise<void> {
  log(`npm package ${specifier.slice("npm:".length)}`);
  const dependencies = Object.fromEntries(
    [specifier, HEADERS].map((npm) => npm.slice("npm:".length).split(/(?<=.)@/)),
  );
  await Deno.writeTextFile(
    `${folder}/package.json`,
    JSON.stringify({ private: true, dependencies }),
  );
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ nodeModulesDir: "auto" }));
  try {
    await run(Deno.execPath(), ["install", "--quiet"], { cwd: folder });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`the npm package cannot be downloaded: ${error.message}`);
  }
}

/** The package's own way: its script downloads libtensorflow and an addon built for it. */
async function fromScript(folder: string, specifier: string): Promise<string> {
  log("libtensorflow by the package's install script");
  const home = `${folder}/node_modules/@tensorflow/tfjs-node-gpu`;
  let failure = "";
  try {
    const allow = `--allow-scripts=${specifier}`;
    await run(Deno.execPath(), ["install", allow], {
      cwd: folder,
      growing: await Deno.realPath(home),
    });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    failure = error.message;
  }
  for (const napi of [9, 8, 7, 6, 5, 4, 3]) {
    const addon = `lib/napi-v${napi}/tfjs_binding.node`;
    if (await exists(`${home}/${addon}`)) return `node_modules/@tensorflow/tfjs-node-gpu/${addon}`;
  }
  if (!await exists(`${home}/deps/include`)) {
    throw new SetupError(`the install script failed: ${failure || "it built no addon"}`);
  }
  const library = await findLibrary(`${home}/deps`);
  const rpath = `${ORIGIN}/node_modules/@tensorflow/tfjs-node-gpu/deps/lib`;
  return await build(folder, { ...library, rpath });
}

/** PyPI's way: the Python package holds the same library; the addon is built here. */
async function fromWheel(folder: string): Promise<string> {
  if (Deno.build.os !== "linux") throw new SetupError("the wheel serves Linux only");
  await compiler();
  const python = await firstOf(
    ["python3", "python"],
    "there is no Python to download the wheel with (on Debian: apt-get install python3-pip)",
  );
  try {
    await run(python, ["-m", "pip", "--version"]);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`${python} has no pip (on Debian: apt-get install python3-pip)`);
  }
  const download = path(new URL("../download", NATIVE_FOLDER));
  const wheel = await downloadWheel(python, download);
  log(`unpack ${wheel.split("/").at(-1)}`);
  await run(python, ["-c", UNPACK, wheel, folder]);
  const library = await findLibrary(`${folder}/tensorflow`);
  const addon = await build(folder, { ...library, rpath: `${ORIGIN}/tensorflow` });
  await Deno.remove(`${folder}/tensorflow/include`, { recursive: true });
  return addon;
}

const UNPACK = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        library = name.startswith("tensorflow/libtensorflow_")
        header = name.endswith(".h") and name.startswith((
            "tensorflow/include/tensorflow/c/", "tensorflow/include/tensorflow/core/platform/",
            "tensorflow/include/xla/tsl/", "tensorflow/include/tsl/"))
        if library or header:
            wheel.extract(name, sys.argv[2])
`;

async function downloadWheel(python: string, folder: string): Promise<string> {
  await Deno.mkdir(`${folder}/tmp`, { recursive: true });
  const [name, version] = WHEEL.split("==");
  const find = async (): Promise<string | undefined> => {
    for await (const file of Deno.readDir(folder)) {
      if (file.name.startsWith(`${name}-${version}-`) && file.name.endsWith(".whl")) {
        return `${folder}/${file.name}`;
      }
    }
    return undefined;
  };
  const kept = await find();
  if (kept !== undefined) return kept;
  log(`wheel ${WHEEL} from PyPI (about 570 MB)`);
  // Any Python will do: the library is the same in the wheel of each version.
  const machine = Deno.build.arch;
  await run(python, [
    ...["-m", "pip", "download", WHEEL, "--no-deps", "--only-binary=:all:", "--dest", folder],
    ...["--implementation", "cp", "--python-version", "3.12", "--abi", "cp312"],
    ...["--platform", `manylinux_2_27_${machine}`, "--platform", `manylinux2014_${machine}`],
  ], { env: { TMPDIR: `${folder}/tmp`, PIP_NO_INPUT: "1" }, growing: folder }).catch((error) => {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`the wheel cannot be downloaded: ${error.message}`);
  });
  const wheel = await find();
  if (wheel === undefined) throw new SetupError("pip downloaded no wheel");
  return wheel;
}

/** Finds the library and its headers in any of the layouts in which people have them. */
async function findLibrary(folder: string): Promise<Library> {
  if (!await exists(`${folder}/include/tensorflow/c/eager/c_api.h`)) {
    throw new SetupError(
      `${folder} does not hold libtensorflow's headers (include/tensorflow/c/eager/c_api.h)`,
    );
  }
  for (const lib of [`${folder}/lib`, folder]) {
    const names: string[] = [];
    if (await exists(lib)) { for await (const { name } of Deno.readDir(lib)) names.push(name); }
    names.sort();
    // The shortest names come first: libtensorflow.so.2 before libtensorflow.so.2.18.0.
    const main = names.find((name) => /^libtensorflow(_cc)?\.(so|(2\.)?dylib)/.test(name));
    const framework = names.find((name) => /^libtensorflow_framework\./.test(name));
    if (main === undefined) continue;
    const files = [main, ...(framework ? [framework] : [])].map((name) => `${lib}/${name}`);
    return { files, include: `${folder}/include`, rpath: lib };
  }
  throw new SetupError(`${folder} does not hold libtensorflow (libtensorflow.so or _cc.so.2)`);
}

/** Compiles the package's addon against a library; returns its path in the folder. */
async function build(folder: string, library: Library): Promise<string> {
  const cxx = await compiler();
  log(`build the addon with ${cxx}`);
  const home = `${folder}/node_modules/@tensorflow/tfjs-node-gpu`;
  const undefinedSymbols = Deno.build.os === "darwin" ? ["-undefined", "dynamic_lookup"] : [];
  try {
    await run(cxx, [
      ...["-shared", "-fPIC", "-O2", "-std=c++17", "-w", "-DNAPI_VERSION=8", ...undefinedSymbols],
      ...[`-I${home}`, `-I${library.include}`],
      ...[`-I${folder}/node_modules/node-api-headers/include`],
      ...[`${home}/binding/tfjs_backend.cc`, `${home}/binding/tfjs_binding.cc`],
      ...[...library.files, `-Wl,-rpath,${library.rpath}`, "-o", `${folder}/tfjs_binding.node`],
    ]);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`the addon does not compile: ${error.message}`);
  }
  return "tfjs_binding.node";
}

/** Writes `ready.json` and tests the backend in a process of its own, which may crash. */
async function finish(folder: string, install: NativeInstall): Promise<string> {
  const ready = `${folder}/ready.json`;
  await Deno.writeTextFile(ready, JSON.stringify(install, null, 2) + "\n");
  log("test");
  try {
    const self = fileURLToPath(import.meta.url);
    return await run(Deno.execPath(), ["run", "--quiet", "-A", self, "--check", folder]);
  } catch (error) {
    await Deno.remove(ready);
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`libtensorflow was installed but does not work: ${error.message}`);
  }
}

async function install(options: Options): Promise<void> {
  const specifier = config.imports["@tensorflow/tfjs-node-gpu"];
  const done = await readReady();
  const wanted = options.libtensorflow === ""
    ? ""
    : await Deno.realPath(options.libtensorflow).catch(() => {
      throw new SetupError(`${options.libtensorflow} does not exist`);
    });
  const same = done?.package === specifier &&
    (wanted ? done.source === wanted : ["auto", done.source].includes(options.from));
  if (done !== undefined && same && !options.force) {
    console.error(`Ready: ${done.package} with libtensorflow from ${done.source}`);
    return;
  }

  const native = path(new URL("..", NATIVE_FOLDER));
  await Deno.mkdir(native, { recursive: true });
  await removeAbandoned(native);
  const ways: Record<string, (folder: string) => Promise<string>> = wanted
    ? { [wanted]: async (folder) => build(folder, await findLibrary(wanted)) }
    : { script: (folder) => fromScript(folder, specifier), wheel: fromWheel };
  const failures: string[] = [];
  for (const [source, way] of Object.entries(ways)) {
    if (!wanted && options.from !== "auto" && options.from !== source) continue;
    const folder = await Deno.makeTempDir({ dir: native, prefix: "new-" });
    try {
      await installPackage(folder, specifier);
      const addon = await way(folder);
      await Deno.chmod(folder, 0o755).catch(() => {}); // not on Windows
      const report = await finish(folder, { package: specifier, source, addon });
      await Deno.remove(NATIVE_FOLDER, { recursive: true }).catch(() => {});
      await Deno.rename(folder, NATIVE_FOLDER);
      await Deno.remove(`${native}/download`, { recursive: true }).catch(() => {});
      log("ready");
      console.error(report.trimEnd());
      return;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      log(`no: ${error.message}`);
      failures.push(error.message);
    } finally {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  }
  throw new SetupError(`libtensorflow could not be installed: ${failures.join("; ")}`);
}

/** Removes what killed runs left, but not what one beside this one is filling. */
async function removeAbandoned(native: string): Promise<void> {
  for await (const { name } of Deno.readDir(native)) {
    if (!name.startsWith("new-")) continue;
    const { mtime } = await Deno.stat(`${native}/${name}`);
    if (Date.now() - (mtime?.getTime() ?? 0) > 24 * 3600_000) {
      await Deno.remove(`${native}/${name}`, { recursive: true });
    }
  }
}

async function readReady(): Promise<NativeInstall | undefined> {
  const file = new URL("ready.json", NATIVE_FOLDER);
  if (!await exists(file)) return undefined;
  const install: NativeInstall = JSON.parse(await Deno.readTextFile(file));
  return await exists(new URL(install.addon, NATIVE_FOLDER)) ? install : undefined;
}

/** Times one convolution with its gradients on the backend and prints what it found. */
async function check(folder: URL): Promise<void> {
  const { version, gpu } = await loadTensorflow(folder);
  const tf = await import("tfjs");
  const [batch, size, channels] = [16, 32, 64];
  const input = tf.randomNormal<Rank.R4>([batch, size, size, channels]);
  const kernel = tf.randomNormal<Rank.R4>([3, 3, channels, channels]);
  const gradients = tf.grads((x: Tensor, k: Tensor) =>
    tf.sum(tf.conv2d(x as Tensor4D, k as Tensor4D, 1, "same"))
  );
  const step = () => tf.tidy(() => gradients([input, kernel]).at(-1)?.dataSync());
  const steps = 10;
  step();
  step();
  const from = performance.now();
  for (let i = 0; i < steps; i++) step();
  const ms = (performance.now() - from) / steps;
  const flops = 3 * 2 * batch * size ** 2 * 9 * channels ** 2; // forward, input, kernel
  console.log(`libtensorflow ${version} on the ${gpu ? "GPU" : "CPU"}, tfjs ${tf.version.tfjs}`);
  console.log(
    `3×3 convolution of ${channels} channels with its gradients: ${ms.toFixed(1)} ms, ` +
      `${(flops / ms / 1e6).toFixed(0)} GFLOP/s`,
  );
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help) return console.log(HELP.trimEnd());
  const [folder, ...rest] = positionals; // the folder that an installation under way tests
  if (rest.length > 0 || (folder !== undefined && !values.check)) {
    throw new SetupError(`there is nothing to do with "${positionals.join(" ")}" (see --help)`);
  }
  if (!["auto", "script", "wheel"].includes(values.from)) {
    throw new SetupError(`--from must be auto, script or wheel: it is ${values.from}`);
  }
  if (!values.check) return await install(values);
  await check(folder === undefined ? NATIVE_FOLDER : pathToFileURL(`${folder}/`));
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        libtensorflow: { type: "string", default: Deno.env.get("LIBTENSORFLOW") ?? "" },
        from: { type: "string", default: "auto" },
        check: { type: "boolean", default: false },
        force: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new SetupError(error.message);
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    if (error instanceof Interrupted) Deno.exit(130);
    const expected = error instanceof SetupError ||
      (error instanceof Error && error.message.startsWith("Cannot use engine"));
    if (!expected) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(1);
  }
}

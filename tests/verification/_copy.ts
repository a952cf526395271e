import { assert } from "@std/assert";
import { ensureDir } from "@std/fs";
import { join } from "@std/path";
import { encodeSafetensors, type NewTensor, readSafetensors } from "../../models/safetensors.ts";
import { folderOf } from "../_parity.ts";

/** Copies a folder with its folders; resolves to the copy. */
export async function copyFolder(from: string, to: string): Promise<string> {
  await ensureDir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
  return to;
}

/** A pipeline of diffusers with its tokenizer, which all of them share. */
export async function assemble(name: string, folder: string): Promise<string> {
  // The run of sd-mask is of the networks of sd-img2img.
  const networks = name === "sd-mask" ? "sd-img2img" : name;
  const copy = await copyFolder(folderOf(`latents/${networks}`), join(folder, name));
  if (networks !== name) await copyFolder(folderOf(`latents/${name}`), copy);
  if (!name.startsWith("sd")) return copy;
  await copyFolder(folderOf("clip-tokenizer"), join(copy, "tokenizer"));
  return copy;
}

/** The pipeline of Stable Diffusion, whose parts are fixtures of their own. */
export async function stableDiffusion(folder: string): Promise<string> {
  const copy = await copyFolder(folderOf("pipeline-sd"), join(folder, "pipeline-sd"));
  const parts = {
    unet: "unet2dcondition-sd15",
    vae: "vae-kl",
    text_encoder: "clip-text-sd15",
    tokenizer: "clip-tokenizer",
  };
  for (const [part, name] of Object.entries(parts)) {
    await copyFolder(folderOf(name), join(copy, part));
  }
  return copy;
}

/** A run of unCLIP beside the pipeline, whose tokenizer others have too. */
export async function unCLIP(run: string, folder: string): Promise<string> {
  const copy = await copyFolder(folderOf("unclip/model"), join(folder, "unclip"));
  await copyFolder(folderOf("clip-tokenizer"), join(copy, "tokenizer"));
  return await copyFolder(folderOf(`unclip/${run}`), copy);
}

/** Adds to one value of one tensor. */
export async function changeWeight(path: string, name: string, by: number): Promise<void> {
  const tensors = new Map<string, NewTensor>();
  for (const { name, shape, read } of readSafetensors(path).tensors.values()) {
    tensors.set(name, { shape, values: read() });
  }
  const changed = tensors.get(name);
  assert(changed !== undefined);
  changed.values[0]! += by;
  await Deno.writeFile(path, encodeSafetensors(tensors));
}

"""An image of Stable Diffusion 1.5, drawn by `sample` and by diffusers from the same torch generator.

sd15_sample.py both FOLDER STEPS OUT: draws OUT-ours.png and OUT-theirs.png one after the other, each in
a process of its own, and prints seconds and peaks of memory of the whole processes and the largest
difference of the images in levels of 255.
sd15_sample.py theirs FOLDER STEPS FILE: diffusers alone, in float32.
FOLDER is what `sd15.py make` saved.
"""

import json
import os
import subprocess
import sys
import time

PROMPT = "a photo of a small red cat"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def theirs(folder, steps, file):
    import torch
    from diffusers import StableDiffusionPipeline

    torch.set_num_threads(2)
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    pipe(PROMPT, num_inference_steps=steps, guidance_scale=7.5, generator=generator).images[0].save(file)


def run(command):
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{command} failed")
    return {"seconds": round(time.perf_counter() - start, 1), "peakMB": round(usage.ru_maxrss / 1024)}


def difference(a, b):
    import numpy as np
    from PIL import Image

    pixels = [np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (a, b)]
    apart = abs(pixels[0] - pixels[1])
    return {"largest": int(apart.max()), "mean": float(apart.mean()), "std": float(pixels[1].std())}


def both(folder, steps, out):
    out = os.path.abspath(out)
    ours = ["deno", "task", "--quiet", "sample", folder, "--prompt", PROMPT, "--steps", steps, "--seed", "0"]
    files = [f"{out}-ours.png", f"{out}-theirs.png"]
    results = {"ours": run([*ours, "--rng", "torch", "--threads", "2", "-o", files[0]])}
    print(json.dumps(results), flush=True)
    results["theirs"] = run([sys.executable, os.path.abspath(__file__), "theirs", folder, steps, files[1]])
    print(json.dumps({**results, "difference": difference(*files)}))


if __name__ == "__main__":
    task, folder, steps, out = sys.argv[1:]
    if task == "both":
        both(folder, steps, out)
    else:
        theirs(folder, int(steps), out)

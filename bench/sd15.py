"""Stable Diffusion 1.5 with random weights.

sd15.py make FOLDER TOKENIZER [float16 | float32]: saves it. All its configurations are written out, so that nothing is downloaded; TOKENIZER is the folder of any
tokenizer of CLIP with at most 49,408 tokens.
sd15.py time FOLDER [CALLS] [THREADS]: seconds of each call of its UNet in float32 with a batch of two, as
guidance has it, at 512x512, those of the processor, and the peak of memory; beside sd15.ts.
"""
import json
import resource
import sys
import time

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

UNET = dict(
    sample_size=64, in_channels=4, out_channels=4, layers_per_block=2,
    block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
)
VAE = dict(
    sample_size=512, in_channels=3, out_channels=3, latent_channels=4, layers_per_block=2,
    block_out_channels=(128, 256, 512, 512), scaling_factor=0.18215,
    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
)
TEXT = dict(
    vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
    num_attention_heads=12, max_position_embeddings=77, hidden_act="quick_gelu",
    projection_dim=768, bos_token_id=0, eos_token_id=2, pad_token_id=1,
)
SCHEDULE = dict(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
    clip_sample=False, set_alpha_to_one=False, steps_offset=1,
)


def make(folder, tokenizer, dtype):
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(**VAE),
        text_encoder=CLIPTextModel(CLIPTextConfig(**TEXT)),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer),
        unet=UNet2DConditionModel(**UNET),
        scheduler=DDIMScheduler(**SCHEDULE),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )
    pipeline.to(dtype=dtype).save_pretrained(folder)


def measure(folder, calls=3, threads=2):
    torch.set_num_threads(threads)
    unet = UNet2DConditionModel.from_pretrained(f"{folder}/unet", torch_dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 64, 64, generator=generator)
    text = torch.randn(2, 77, 768, generator=generator)
    seconds, processor = [], []
    with torch.inference_mode():
        for _ in range(calls):
            start, began = time.perf_counter(), time.process_time()
            y = unet(x, torch.tensor([500.0, 500.0]), text).sample
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "processor": processor, "peakMB": peak, "std": float(y.std())}


if __name__ == "__main__":
    task, folder, *rest = sys.argv[1:]
    if task == "make":
        tokenizer, dtype = [*rest, "float16"][:2]
        make(folder, tokenizer, getattr(torch, dtype))
    else:
        print(json.dumps(measure(folder, *map(int, rest))))

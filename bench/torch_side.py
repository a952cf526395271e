"""diffusers on PyTorch, driven by bench.ts: torch_side.py THREADS."""

import copy
import os
import sys
import time
import warnings

import diffusers
import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from inputs import forward_inputs, training_inputs
from serve import serve

torch.set_num_threads(int(sys.argv[1]))
warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()

CONFIGS = {
    "cifar": dict(  # google/ddpm-cifar10-32
        sample_size=32, in_channels=3, out_channels=3, freq_shift=1, flip_sin_to_cos=False,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(128, 256, 256, 256), layers_per_block=2, downsample_padding=0,
        attention_head_dim=None, norm_num_groups=32, norm_eps=1e-6,
    ),
    "adm": dict(  # ADM for 64x64 with half its channels and two blocks a level
        sample_size=64, in_channels=3, out_channels=3, num_class_embeds=1000,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=(96, 192, 288, 384), layers_per_block=2, downsample_type="resnet",
        upsample_type="resnet", resnet_time_scale_shift="scale_shift", attention_head_dim=48,
        norm_num_groups=32,
    ),
}

state = {}


def versions():
    return {"torch": torch.__version__, "diffusers": diffusers.__version__, "python": sys.version.split()[0]}


def make(name, folder):
    """Saves a model with random weights, unless it is there."""
    if not os.path.exists(os.path.join(folder, "model_index.json")):
        torch.manual_seed(0)
        DDIMPipeline(UNet2DModel(**CONFIGS[name]), DDIMScheduler()).save_pretrained(folder)
    return {}


def load(folder):
    return UNet2DModel.from_pretrained(os.path.join(folder, "unet"))


def open_forward(model, batch, out, bf16=False):
    unet = load(model).eval()
    x, t, labels = forward_inputs(unet.config, batch)
    inputs = [torch.from_numpy(x), torch.from_numpy(t)]
    if labels is not None:
        inputs.append(torch.from_numpy(labels))

    def forward():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return unet(*inputs).sample

    state["run"] = forward
    with torch.no_grad():
        state["run"]().float().numpy().astype(np.float32).tofile(out)
    return {"parameters": sum(p.numel() for p in unet.parameters())}


def export(model, batch, file):
    """Writes PyTorch's own ONNX export of a network for one batch size, unless it is there."""
    if os.path.exists(file):
        return {}
    unet = load(model).eval()
    x, t, labels = forward_inputs(unet.config, batch)

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = unet

        def forward(self, sample, timestep, class_labels=None):
            return self.unet(sample, timestep, class_labels, return_dict=False)[0]

    inputs, names = [torch.from_numpy(x), torch.from_numpy(t)], ["sample", "timestep"]
    if labels is not None:
        inputs, names = [*inputs, torch.from_numpy(labels)], [*names, "class_labels"]
    with torch.no_grad():
        torch.onnx.export(Plain(), tuple(inputs), file, input_names=names, output_names=["out"],
                          opset_version=17, dynamo=False)
    return {}


def run(count):
    with torch.no_grad():
        start = time.perf_counter()
        for _ in range(count):
            state["run"]()
        return {"seconds": (time.perf_counter() - start) / count}


def open_training(model, batch):
    unet = load(model).train()
    b = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in training_inputs(unet.config, batch).items()}
    weights = list(unet.parameters())
    average = [copy.deepcopy(weight.detach()) for weight in weights]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0)

    def step():
        noisy = b["alpha"] * b["x0"] + b["sigma"] * b["eps"]
        velocity = b["alpha"] * b["eps"] - b["sigma"] * b["x0"]
        answer = unet(noisy, b["t"], b["labels"]).sample  # with the variance behind, where it is learned
        loss = torch.nn.functional.mse_loss(answer[:, : velocity.shape[1]], velocity)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - 0.999)
        return loss.item()

    state["step"] = step
    return {}


def train(count):
    start = time.perf_counter()
    losses = [state["step"]() for _ in range(count)]
    return {"seconds": (time.perf_counter() - start) / count, "losses": losses}


def close():
    state.clear()
    return {}


serve({"versions": versions, "make": make, "forward": open_forward, "export": export, "run": run,
       "training": open_training, "train": train, "close": close})

"""What `sample` does, with diffusers: sample.py MODEL COUNT STEPS SCALE FILE; a scale of 0 is no guidance."""

import os
import sys

import torch
from diffusers import DDIMScheduler, UNet2DModel
from PIL import Image

model, count, steps, scale, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
torch.set_num_threads(os.cpu_count())
unet = UNet2DModel.from_pretrained(os.path.join(model, "unet")).eval()
scheduler = DDIMScheduler.from_pretrained(os.path.join(model, "scheduler"))
scheduler.set_timesteps(steps)
edge, channels, classes = unet.config.sample_size, unet.config.in_channels, unet.config.num_class_embeds
x = torch.randn(count, channels, edge, edge, generator=torch.Generator().manual_seed(1))
labels = None if classes is None else torch.arange(count) % (classes - 1)
with torch.no_grad():
    for t in scheduler.timesteps:
        if scale == 0:
            answer = unet(x, t, labels).sample[:, :channels]  # without a learned variance
        else:
            both = torch.cat([labels, torch.full_like(labels, classes - 1)])
            labelled, free = unet(torch.cat([x, x]), t, both).sample[:, :channels].chunk(2)
            answer = free + scale * (labelled - free)
        x = scheduler.step(answer, t, x).prev_sample
columns = max(1, round(count ** 0.5))
rows = -(-count // columns)
sheet = torch.zeros(channels, rows * edge, columns * edge)
for i, image in enumerate(((x.clamp(-1, 1) + 1) * 127.5).round()):
    top, left = i // columns * edge, i % columns * edge
    sheet[:, top:top + edge, left:left + edge] = image
pixels = sheet.permute(1, 2, 0).byte().numpy()
Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file)

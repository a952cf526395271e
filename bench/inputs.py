"""The inputs of the measurements, the same as in inputs.ts."""

import numpy as np


def wave(count, pace, size):
    return (size * np.sin(pace * np.arange(count, dtype=np.float64))).astype(np.float32)


def forward_inputs(config, batch):
    edge, channels, classes = config["sample_size"], config["in_channels"], config["num_class_embeds"]
    x = wave(batch * channels * edge * edge, 0.37, 1.5).reshape(batch, channels, edge, edge)
    t = (100 + 37 * np.arange(batch)) % 1000
    labels = None if classes is None else np.arange(batch) % classes
    return x, t, labels


def training_inputs(config, batch):
    edge, channels, classes = config["sample_size"], config["in_channels"], config["num_class_embeds"]
    shape = (batch, channels, edge, edge)
    share = (np.arange(batch) + 0.5) / batch
    return {
        "x0": wave(np.prod(shape), 0.37, 1).reshape(shape),
        "eps": wave(np.prod(shape), 1.13, 1.4).reshape(shape),
        "t": np.floor(1000 * share).astype(np.int64),
        "alpha": np.cos(np.pi / 2 * share).astype(np.float32).reshape(-1, 1, 1, 1),
        "sigma": np.sin(np.pi / 2 * share).astype(np.float32).reshape(-1, 1, 1, 1),
        "labels": np.arange(batch) % classes,
    }

"""onnxruntime in Python, driven by bench.ts: ort_side.py THREADS."""

import collections
import json
import os
import sys
import tempfile
import time

import numpy as np
import onnxruntime

from inputs import forward_inputs
from serve import serve

state = {}


def options():
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = int(sys.argv[1])
    chosen.log_severity_level = 3
    return chosen


def versions():
    import onnx

    return {"onnxruntime (Python)": onnxruntime.__version__, "onnx": onnx.__version__}


def open_forward(model, batch, file, out):
    with open(os.path.join(model, "unet", "config.json")) as text:
        config = {"num_class_embeds": None, **json.load(text)}
    session = onnxruntime.InferenceSession(file, options(), providers=["CPUExecutionProvider"])
    types = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(int32)": np.int32}
    values = dict(zip(("sample", "timestep", "class_labels"), forward_inputs(config, batch)))
    feeds = {given.name: values[given.name].astype(types[given.type]) for given in session.get_inputs()}
    state["run"] = lambda: session.run(None, feeds)[0]
    state["run"]().astype(np.float32).tofile(out)
    return {}


def run(count):
    start = time.perf_counter()
    for _ in range(count):
        state["run"]()
    return {"seconds": (time.perf_counter() - start) / count}


def layouts(file):
    """Checks an ONNX file and counts the nodes that move data in its optimised graph."""
    import onnx

    onnx.checker.check_model(file)
    with tempfile.TemporaryDirectory() as folder:
        chosen = options()
        chosen.optimized_model_filepath = os.path.join(folder, "optimised.onnx")
        onnxruntime.InferenceSession(file, chosen, providers=["CPUExecutionProvider"])
        nodes = onnx.load(chosen.optimized_model_filepath).graph.node
    makers = {name: node for node in nodes for name in node.output}
    users = collections.defaultdict(list)
    for node in nodes:
        for name in node.input:
            users[name].append(node)
    core = {"Softmax", "Attention", "MultiHeadAttention"}
    light = {"Reshape", "Gemm", "MatMul", "FusedMatMul", "Mul", "Split", "Slice", "Squeeze", "Unsqueeze", "Transpose"}

    def attends(node, forwards, hops=6):
        """Whether a Softmax or Attention follows, or goes before, with light nodes between."""
        near = [user for name in node.output for user in users[name]] if forwards else [
            makers[name] for name in node.input if name in makers]
        return any(other.op_type in core or (
            hops > 0 and (other.op_type in light or (other.op_type == "Add" and not forwards)) and attends(other, forwards, hops - 1))
                   for other in near)

    moves = [node for node in nodes if node.op_type == "Transpose"]
    outside = [node for node in moves if not (attends(node, True) or attends(node, False))]
    counts = collections.Counter(node.op_type for node in nodes)
    return {"transposes": len(moves), "outside": len(outside),
            "which": [f"{node.name or '?'} {[list(a.ints) for a in node.attribute]}" for node in outside],
            "counts": dict(counts.most_common())}


def close():
    state.clear()
    return {}


serve({"versions": versions, "forward": open_forward, "run": run, "layouts": layouts, "close": close})

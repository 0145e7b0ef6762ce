"""Writes layouts.json: the strides of what PyTorch's operators give for inputs that lie in several ways, for tests/layouts.

Python with PyTorch: python tests/data/layouts.py [FOLDER [CASES]] > tests/data/layouts.json
The inputs are those of the operator cases in FOLDER (tests/data/opinfo), CASES (6) of each operator at most. A line for each case:
for each way to lie, the strides of each result (0: row-major order); after a "|" those of the gradients of the inputs that have one.
"""
import json
import os
import struct
import sys
import warnings

import torch

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "opinfo")
CASES = int(sys.argv[2]) if len(sys.argv) > 2 else 6
METHODS = {"view", "expand", "expand_as", "repeat", "unfold", "fill_"}


def load_file(path):
    """The tensors of a safetensors file."""
    data = open(path, "rb").read()
    (n,) = struct.unpack("<Q", data[:8])
    dtypes = {"F32": torch.float32, "I64": torch.int64, "BOOL": torch.bool}
    out = {}
    for key, of in json.loads(data[8 : 8 + n]).items():
        if key != "__metadata__":
            begin, end = (8 + n + x for x in of["data_offsets"])
            raw = torch.frombuffer(bytearray(data[begin:end]), dtype=dtypes[of["dtype"]]) if end > begin else torch.empty(0, dtype=dtypes[of["dtype"]])
            out[key] = raw.reshape(of["shape"])
    return out


def called(name):
    """The function that a name in the corpus means."""
    if name.startswith("nn.functional."):
        return getattr(torch.nn.functional, name.split(".")[2])
    if name.startswith("linalg."):
        return getattr(torch.linalg, name.split(".")[1])
    first = name.split(".")[0]
    if first in METHODS or not hasattr(torch, first):
        return lambda x, *args, **kwargs: getattr(x, first)(*args, **kwargs)
    return getattr(torch, first)


def reversed_axes(t):
    axes = list(range(t.dim()))[::-1]
    return t.permute(axes).contiguous().permute(axes)


def spread(t):
    return torch.stack([t, t], t.dim()).select(t.dim(), 1)


def expanded(t):
    """The first element along the first axis that has several, repeated."""
    for a, n in enumerate(t.shape):
        if n > 1:
            return t.narrow(a, 0, 1).contiguous().expand(t.shape)
    return t


def channels_last(t):
    if t.dim() < 3:
        return t
    return t.movedim(1, -1).contiguous().movedim(-1, 1)


# Name, and how input number i lies.
WAYS = {
    "contiguous": lambda i, t: t,
    "reversed": lambda i, t: reversed_axes(t),
    "spread": lambda i, t: spread(reversed_axes(t)),
    "expanded": lambda i, t: expanded(t),
    "channels_last": lambda i, t: channels_last(t),
    "first": lambda i, t: reversed_axes(t) if i == 0 else t,
}


def arg(v, tensors):
    kind, x = next(iter(v.items()))
    return {
        "tensor": lambda: tensors[x],
        "float": lambda: float(x),
        "none": lambda: None,
        "dtype": lambda: getattr(torch, x),
        "list": lambda: [arg(y, tensors) for y in x],
    }.get(kind, lambda: x)()


def keys(v, out):
    kind, x = next(iter(v.items()))
    if kind == "tensor" and x not in out:
        out.append(x)
    if kind == "list":
        for y in x:
            keys(y, out)


def listed(v):
    out = []
    keys(v, out)
    return out


def flat(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for r in result for t in flat(r)] if isinstance(result, (tuple, list)) else []


def strides(t):
    plain = torch.empty(t.shape, device="meta").stride()
    return 0 if t.stride() == plain else list(t.stride())


def laid_out(case, tensors, way):
    names = []
    for v in list(case["args"]) + [case["kwargs"][k] for k in sorted(case["kwargs"])]:
        keys(v, names)
    inputs = {}
    for i, k in enumerate(names):
        # As large as the operator's cases are, an input that needs a gradient is a leaf that lies so.
        inputs[k] = WAYS[way](i, tensors[k]).detach()
        if k in case["input_grads"]:
            inputs[k].requires_grad_()
    args = [arg(v, inputs) for v in case["args"]]
    kwargs = {k: arg(v, inputs) for k, v in case["kwargs"].items()}
    try:
        out = flat(called(case["op"])(*args, **kwargs))
    except Exception:
        return None
    grads = []
    if case["input_grads"] and len(out) == len(case["grad_outputs"]):
        try:
            total = sum((y * tensors[g]).sum() for y, g in zip(out, case["grad_outputs"]) if g is not None)
            total.backward()
        except Exception:
            return [[strides(t) for t in out]]
        grads = [None if inputs[k].grad is None else strides(inputs[k].grad) for k in sorted(case["input_grads"])]
    return [[strides(t) for t in out]] + ([grads] if grads else [])


lines = []
for file in sorted(f for f in os.listdir(FOLDER) if f.endswith(".json") and f != "promotion.json"):
    cases = json.load(open(os.path.join(FOLDER, file)))
    tensors = load_file(os.path.join(FOLDER, file[:-5] + ".safetensors"))
    good = [c for c in cases if c["error"] is None and not c["mutated"]]
    # Those with many axes that something goes along say most.
    wide = lambda key: 0 if tensors[key].numel() == 0 else sum(n > 1 for n in tensors[key].shape)
    inputs = lambda c: [k for v in list(c["args"]) + list(c["kwargs"].values()) for k in listed(v)]
    good.sort(key=lambda c: -max([wide(k) for k in c["outputs"] + inputs(c)] or [0]))
    for case in good[:CASES]:
        ways = {way: laid_out(case, tensors, way) for way in WAYS}
        lines.append(json.dumps(case["id"]) + ": " + json.dumps({w: s for w, s in ways.items() if s is not None}, separators=(",", ":")))
print("{\n" + ",\n".join(lines) + "\n}")

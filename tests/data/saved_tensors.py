"""Writes saved_tensors.json: what PyTorch's tape holds of every operator, for tests/opinfo/tape.rs.

Python with PyTorch: python tests/data/saved_tensors.py > tests/data/saved_tensors.json
A line for each call, that is each case of tests/data/opinfo and of functional.py with gradients, and each form below, and
again with only one of its inputs requiring a gradient: the names of the nodes that made its results, which inputs and results
a backward pass refuses to find changed in place, and whether a second backward pass through the same graph is refused.
"""
import contextlib
import io
import json
import os
import struct
import sys

import torch
import torch.nn.functional as F
from torch.autograd.graph import increment_version

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"F32": torch.float32, "I64": torch.int64, "BOOL": torch.bool}
VARIANTS = [
    "max.binary", "min.binary", "max.reduction_with_dim", "max.reduction_no_dim", "min.reduction_with_dim",
    "min.reduction_no_dim", "div.no_rounding_mode", "div.floor_rounding", "div.trunc_rounding", "round.decimals_0",
    "round.decimals_3", "round.decimals_neg_3", "norm.fro", "norm.inf", "var.unbiased", "std.unbiased",
    "var_mean.unbiased", "std_mean.unbiased", "split.list_args", "squeeze.multiple", "nn.functional.pad.circular",
    "nn.functional.pad.constant", "nn.functional.pad.reflect", "nn.functional.pad.replicate",
    "nn.functional.pad.replicate_negative", "nn.functional.interpolate.bilinear", "nn.functional.interpolate.nearest",
]
METHODS = ["view", "expand", "expand_as", "repeat", "unfold"]


def flat(results):
    return [results] if isinstance(results, torch.Tensor) else [r for r in results if isinstance(r, torch.Tensor)]


def differentiable(results):
    return [r for r in results if r.requires_grad and r.grad_fn is not None]


def is_one_of_views(results):
    """Whether a result must not be changed because its call gives several views."""
    increment_version(results[0])
    try:
        return results[0].grad_fn is None
    except RuntimeError:
        return True


def passes(results, leaves, keep):
    results = differentiable(results)
    weights = [torch.ones_like(r) for r in results]
    try:
        torch.autograd.grad(results, leaves, weights, retain_graph=keep, allow_unused=True)
        return True
    except RuntimeError as e:
        if "inplace operation" in str(e) or "second time" in str(e) or "is not implemented" in str(e):
            return False
        raise


def ask(name, keys, make, call, needs):
    """What the tape holds where the inputs `needs` require gradients."""
    def forward():
        inputs = make()
        for k in needs:
            inputs[keys.index(k)].requires_grad_(True)
        torch.manual_seed(0)
        return inputs, flat(call(*inputs))

    inputs, results = forward()
    leaves = lambda inputs: [inputs[keys.index(k)] for k in needs]
    if not differentiable(results):
        return None
    names = [None if r.grad_fn is None else type(r.grad_fn).__name__ for r in results]
    saved = []
    # What one of several views of one call shows must not be changed at all.
    asked = not is_one_of_views(forward()[1])
    for i in range(len(inputs) if asked else 0):
        inputs, results = forward()
        increment_version(inputs[i])
        if not passes(results, leaves(inputs), False):
            saved.append(keys[i])
    for i in range(len(results) if asked else 0):
        inputs, results = forward()
        increment_version(results[i])
        if not passes(results, leaves(inputs), False):
            saved.append([i])
    inputs, results = forward()
    if not passes(results, leaves(inputs), False):
        return {"case": name, "needs": needs, "names": names, "has no derivative": True}
    return {"case": name, "needs": needs, "names": names, "asked": asked, "saved": saved, "again": passes(results, leaves(inputs), False)}


LINES = []


def write(name, keys, make, call, needs):
    subsets = [needs] + ([[k] for k in needs] if len(needs) > 1 else [])
    for needs in subsets:
        try:
            line = ask(name, keys, make, call, needs)
        except RuntimeError as e:
            if "is not differentiable with respect to" not in str(e):
                raise
            continue
        if line:
            LINES.append(json.dumps(line))


def tensors(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    out = {}
    for key, entry in head.items():
        if key == "__metadata__":
            continue
        a, b = entry["data_offsets"]
        raw = bytearray(data[8 + n + a:8 + n + b])
        t = torch.frombuffer(raw, dtype=DTYPES[entry["dtype"]]) if b > a else torch.empty(0, dtype=DTYPES[entry["dtype"]])
        out[key] = t.reshape(entry["shape"])
    return out


def value(v, find):
    (kind, v), = v.items()
    if kind == "tensor":
        return find[v]
    if kind == "list":
        return [value(x, find) for x in v]
    return {"none": lambda: None, "float": lambda: float(v), "dtype": lambda: getattr(torch, str(v))}.get(kind, lambda: v)()


def keys_of(v, out):
    (kind, x), = v.items()
    if kind == "tensor" and x not in out:
        out.append(x)
    if kind == "list":
        for y in x:
            keys_of(y, out)


def called(op):
    if op in METHODS:
        return lambda x, *args, **kwargs: getattr(x, op)(*args, **kwargs)
    if op in VARIANTS:
        op = op.rsplit(".", 1)[0]
    f = torch
    for part in op.split("."):
        f = getattr(f, part)
    return f


def database():
    folder = os.path.join(HERE, "opinfo")
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".json") or file == "promotion.json":
            continue
        held = tensors(os.path.join(folder, file[:-5] + ".safetensors"))
        for case in json.load(open(os.path.join(folder, file))):
            if not case["input_grads"] or case["mutated"]:
                continue
            keys = []
            for v in case["args"] + list(case["kwargs"].values()):
                keys_of(v, keys)
            f = called(case["op"])

            def call(*inputs):
                find = dict(zip(keys, inputs))
                kwargs = {k: value(v, find) for k, v in case["kwargs"].items()}
                return f(*[value(v, find) for v in case["args"]], **kwargs)

            make = lambda: [held[k].clone() for k in keys]
            write(case["id"], keys, make, call, [k for k in keys if k in case["input_grads"]])


INPUTS = {}


def form(name, inputs, call):
    keys = list(range(len(inputs)))
    if name.startswith("form/"):
        INPUTS[name] = [
            {"dtype": str(t.dtype)[6:], "shape": list(t.shape), "data": t.to(torch.float64).reshape(-1).tolist()} for t in inputs
        ]
    make = lambda: [t.clone() for t in inputs]
    write(name, keys, make, call, [i for i in keys if inputs[i].is_floating_point()])


def functions():
    """The cases of functional.py."""
    text = open(os.path.join(HERE, "functional.py")).read().replace("def case(", "def unused(")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(text, "functional.py", "exec"), {"case": lambda name, xs, f: form("functional/" + name, xs, f)})


def numbers(*shape):
    n = 1
    for s in shape:
        n *= s
    return (0.25 + 0.0625 * torch.remainder(torch.arange(n) * 7, 11)).reshape(shape).to(torch.float32)


def ints(*xs):
    return torch.tensor(xs)


X, Y, V, S, C = numbers(3, 4), numbers(3, 4) + 0.125, numbers(4), numbers(), numbers(2, 3, 4)
M, N4 = numbers(4, 3), numbers(2, 3, 4, 4)
MASK = (X > 0.5)
B = torch.bool

FORMS = {}


def forms():
    exec(open(os.path.join(HERE, "saved_tensors_forms.py")).read(), globals())
    for name, (inputs, call) in FORMS.items():
        form("form/" + name, inputs, call)


if __name__ == "__main__":
    only = sys.argv[1:]
    database()
    functions()
    forms()
    inputs = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in INPUTS.items())
    print('{"inputs": {\n' + inputs + '\n}, "calls": [\n' + ",\n".join(LINES) + "\n]}")

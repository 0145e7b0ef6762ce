"""Writes operators_special.json: what PyTorch gives for numbers at the edge. NaN, infinities and zeros through elementwise
operators, comparisons, reductions and sorts with their gradients; tensors without elements; integers that overflow;
half precision. tests/operators/special.rs has the same names.

    python tests/data/operators_special.py
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

INF, NAN = math.inf, math.nan
EDGE = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e30, -1e30, 1e-40, 88.8, -104.0]
SHORT = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, -2.5, 1e30]
ROWS = [
    [1.0, 2.0, -3.0, 0.5],
    [NAN, 1.0, 2.0, 3.0],
    [1.0, NAN, -INF, NAN],
    [INF, -INF, 0.0, 1.0],
    [INF, INF, 1.0, 2.0],
    [-INF, -INF, -INF, -INF],
    [0.0, -0.0, 0.0, -0.0],
    [2.0, 2.0, 2.0, 1.0],
    [-0.0, 0.0, 1e30, 1e30],
]

ONE = {
    "abs": torch.abs, "acos": torch.acos, "acosh": torch.acosh, "asin": torch.asin, "asinh": torch.asinh,
    "atan": torch.atan, "atanh": torch.atanh, "ceil": torch.ceil, "cos": torch.cos, "cosh": torch.cosh,
    "deg2rad": torch.deg2rad, "erf": torch.erf, "erfc": torch.erfc, "exp": torch.exp, "exp2": torch.exp2,
    "expm1": torch.expm1, "floor": torch.floor, "frac": torch.frac, "log": torch.log, "log10": torch.log10,
    "log1p": torch.log1p, "log2": torch.log2, "logit": torch.logit, "neg": torch.neg, "rad2deg": torch.rad2deg,
    "reciprocal": torch.reciprocal, "round": torch.round, "rsqrt": torch.rsqrt, "sgn": torch.sgn,
    "sigmoid": torch.sigmoid, "sign": torch.sign, "sin": torch.sin, "sinc": torch.sinc, "sinh": torch.sinh,
    "sqrt": torch.sqrt, "square": torch.square, "tan": torch.tan, "tanh": torch.tanh, "trunc": torch.trunc,
    "nan_to_num": torch.nan_to_num, "isnan": torch.isnan, "isinf": torch.isinf, "isfinite": torch.isfinite,
    "isposinf": torch.isposinf, "isneginf": torch.isneginf, "signbit": torch.signbit,
    "logical_not": torch.logical_not, "relu": F.relu, "relu6": F.relu6, "hardtanh": F.hardtanh,
    "leaky_relu": F.leaky_relu, "elu": F.elu, "selu": F.selu, "celu": F.celu, "gelu": F.gelu, "silu": F.silu,
    "mish": F.mish, "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "hardshrink": F.hardshrink,
    "softshrink": F.softshrink, "tanhshrink": F.tanhshrink, "softplus": F.softplus, "softsign": F.softsign,
    "logsigmoid": F.logsigmoid, "clamp": lambda x: x.clamp(-1.0, 2.0), "pow2": lambda x: x.pow(2),
    "pow3": lambda x: x.pow(3), "pow_half": lambda x: x.pow(0.5), "pow_minus1": lambda x: x.pow(-1),
    "pow0": lambda x: x.pow(0), "rpow2": lambda x: torch.pow(2.0, x), "rpow0": lambda x: torch.pow(0.0, x),
    "threshold": lambda x: F.threshold(x, 0.5, -2.0),
}
TWO = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
    "div_floor": lambda a, b: torch.div(a, b, rounding_mode="floor"),
    "div_trunc": lambda a, b: torch.div(a, b, rounding_mode="trunc"),
    "remainder": torch.remainder, "fmod": torch.fmod, "maximum": torch.maximum, "minimum": torch.minimum,
    "atan2": torch.atan2, "hypot": torch.hypot, "pow": torch.pow, "xlogy": torch.xlogy, "copysign": torch.copysign,
    "logaddexp": torch.logaddexp, "logaddexp2": torch.logaddexp2, "eq": torch.eq, "ne": torch.ne, "lt": torch.lt,
    "le": torch.le, "gt": torch.gt, "ge": torch.ge, "logical_and": torch.logical_and,
    "logical_or": torch.logical_or, "logical_xor": torch.logical_xor, "clamp_min": torch.clamp_min,
    "clamp_max": torch.clamp_max, "isclose": lambda a, b: torch.isclose(a, b),
    "isclose_nan": lambda a, b: torch.isclose(a, b, equal_nan=True), "lerp": lambda a, b: torch.lerp(a, b, 0.25),
    "where": lambda a, b: torch.where(a > b, a, b), "float_power": torch.float_power,
}
OVER = {
    "sum": lambda x: x.sum(1), "mean": lambda x: x.mean(1), "prod": lambda x: x.prod(1),
    "amax": lambda x: x.amax(1), "amin": lambda x: x.amin(1), "max_dim": lambda x: x.max(1),
    "min_dim": lambda x: x.min(1), "argmax": lambda x: x.argmax(1), "argmin": lambda x: x.argmin(1),
    "aminmax": lambda x: torch.aminmax(x, dim=1), "all": lambda x: x.all(1), "any": lambda x: x.any(1),
    "count_nonzero": lambda x: x.count_nonzero(1), "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(1), "cummax": lambda x: x.cummax(1), "cummin": lambda x: x.cummin(1),
    "logcumsumexp": lambda x: x.logcumsumexp(1), "logsumexp": lambda x: x.logsumexp(1),
    "softmax": lambda x: x.softmax(1), "log_softmax": lambda x: x.log_softmax(1), "var": lambda x: x.var(1),
    "std": lambda x: x.std(1), "norm2": lambda x: x.norm(2, 1), "norm1": lambda x: x.norm(1, 1),
    "norm3": lambda x: x.norm(3, 1), "norm0": lambda x: x.norm(0, 1), "norm_inf": lambda x: x.norm(INF, 1),
    "norm_minus_inf": lambda x: x.norm(-INF, 1), "sort": lambda x: x.sort(dim=1, stable=True),
    "sort_down": lambda x: x.sort(dim=1, descending=True, stable=True), "topk": lambda x: (x.topk(2, 1)[0],),
    "topk_least": lambda x: (x.topk(2, 1, largest=False)[0],), "kthvalue": lambda x: (x.kthvalue(2, 1)[0],),
    "max": lambda x: x.max(), "min": lambda x: x.min(), "argmax_all": lambda x: x.argmax(),
    "argmin_all": lambda x: x.argmin(), "sum_all": lambda x: x.sum(), "norm_all": lambda x: x.norm(),
}
EMPTY = {
    **{k: OVER[k] for k in OVER if k not in ("topk", "topk_least", "kthvalue")},
    "prod_all": lambda x: x.prod(), "mean_all": lambda x: x.mean(), "all_all": lambda x: x.all(),
    "any_all": lambda x: x.any(), "var_all": lambda x: x.var(), "std_all": lambda x: x.std(),
    "topk0": lambda x: x.topk(0, 1), "amax_all": lambda x: x.amax(), "amin_all": lambda x: x.amin(),
    "logsumexp_all": lambda x: x.logsumexp((0, 1)), "norm_inf_all": lambda x: x.norm(INF),
}
WRAP = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum, "pow": torch.pow,
    "remainder": torch.remainder, "fmod": torch.fmod, "div_floor": TWO["div_floor"], "div_trunc": TWO["div_trunc"],
}
WRAP_ONE = {
    "neg": torch.neg, "abs": torch.abs, "square": torch.square, "sum_all": lambda x: x.sum(),
    "prod_all": lambda x: x.prod(), "cumsum0": lambda x: x.cumsum(0), "cumprod0": lambda x: x.cumprod(0),
    "pow2": lambda x: x.pow(2), "pow3": lambda x: x.pow(3), "sign": torch.sign,
    "cumsum0_same": lambda x: x.cumsum(0, dtype=x.dtype), "argmax_all": lambda x: x.argmax(),
}
HALF_ONE = {k: ONE[k] for k in ("exp", "tanh", "sqrt", "reciprocal", "sigmoid", "log", "sin", "square", "relu", "erf",
                                "gelu", "silu", "softplus", "neg", "abs", "round", "rsqrt", "expm1")}
HALF_ONE |= {"sum_all": lambda x: x.sum(), "mean_all": lambda x: x.mean(), "softmax0": lambda x: x.softmax(0),
             "log_softmax0": lambda x: x.log_softmax(0), "cumsum0": lambda x: x.cumsum(0), "norm_all": lambda x: x.norm(),
             "max": lambda x: x.max(), "var_all": lambda x: x.var(), "logsumexp0": lambda x: x.logsumexp(0)}
HALF_TWO = {k: TWO[k] for k in ("add", "sub", "mul", "div", "maximum", "atan2", "fmod", "remainder", "pow", "lerp", "lt")}
HALF_TWO |= {"dot": lambda a, b: a @ b, "mse_loss": F.mse_loss}
INTS = {
    "int64": [-(2**63), 2**63 - 1, 3, -2, 0, 2**62, 1], "int32": [-(2**31), 2**31 - 1, 3, -2, 0, 2**30, 1],
    "uint8": [0, 255, 3, 254, 128, 16, 1],
}


def numbers(t):
    def one(x):
        if isinstance(x, float) and not math.isfinite(x):
            return repr(x)
        return float(f"{x:.9g}") if isinstance(x, float) else int(x)
    t = torch.zeros(t.shape) if t._is_zerotensor() else t.detach()
    return [one(x) for x in t.flatten().tolist()]


def tensor(t):
    return {"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "data": numbers(t)}


def run(group, op, f, *inputs, grads=True):
    inputs = [x.clone() for x in inputs]
    wanted = grads and inputs[0].dtype.is_floating_point
    for x in inputs:
        x.requires_grad_(wanted)
    case = {"group": group, "op": op, "inputs": [tensor(x) for x in inputs]}
    try:
        out = f(*inputs)
    except (RuntimeError, IndexError, ValueError) as e:
        return case | {"error": str(e).splitlines()[0]}
    out = [out] if isinstance(out, torch.Tensor) else list(out)
    case["outputs"] = [tensor(y) for y in out]
    roots = [y for y in out if y.requires_grad]
    if wanted and roots:
        got = torch.autograd.grad([y.sum() for y in roots], inputs, allow_unused=True)
        case["grads"] = [tensor(torch.zeros_like(x) if g is None else g) for x, g in zip(inputs, got)]
    return case


def cases():
    edge = torch.tensor(EDGE)
    for op, f in ONE.items():
        yield run("special", op, f, edge)
    left = torch.tensor(SHORT).repeat_interleave(len(SHORT))
    right = torch.tensor(SHORT).repeat(len(SHORT))
    for op, f in TWO.items():
        yield run("special", op, f, left, right)
    for op, f in OVER.items():
        yield run("special", op, f, torch.tensor(ROWS))
    for op, f in EMPTY.items():
        for shape in ([0, 3], [3, 0], [0, 0]):
            yield run("empty", op, f, torch.zeros(shape))
    for name, values in INTS.items():
        x = torch.tensor(values, dtype=getattr(torch, name))
        for op, f in WRAP_ONE.items():
            yield run("wrap", op, f, x)
        a, b = x.repeat_interleave(len(x)), x.repeat(len(x))
        for op, f in WRAP.items():
            fine = b != 0 if op in ("remainder", "fmod", "div_floor", "div_trunc") else torch.ones_like(b, dtype=torch.bool)
            if op == "pow":
                fine = b >= 0
            yield run("wrap", op, f, a[fine], b[fine])
    torch.manual_seed(5)
    for dtype in (torch.float16, torch.bfloat16):
        x, y = (torch.randn(24) * 3).abs().add(0.1).to(dtype), (torch.randn(24) * 2).to(dtype)
        for op, f in HALF_ONE.items():
            yield run("half", op, f, x if op in ("sqrt", "log", "rsqrt") else y, grads=False)
        for op, f in HALF_TWO.items():
            yield run("half", op, f, x, y, grads=False)


def shared(cases):
    """The inputs apart, each once, and the cases with their names."""
    names = {}
    for case in cases:
        case["inputs"] = [names.setdefault(json.dumps(x), f"in{len(names)}") for x in case["inputs"]]
        yield case
    yield {"inputs": {name: json.loads(text) for text, name in names.items()}}


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_suffix(".json")
    lines = ",\n".join(json.dumps(case) for case in shared(cases()))
    path.write_text(f"[\n{lines}\n]\n")

"""Writes number_cases.json: what PyTorch (2.15, CPU) makes of numbers, dtypes and special values, call by call, with gradients.
tests/numbers has the same names. One case a line: name, arguments, results or the error, gradients of the float operands.

    python tests/data/number_cases.py
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

INF, NAN = math.inf, math.nan
DTYPES = {
    "bool": torch.bool, "u8": torch.uint8, "i32": torch.int32, "i64": torch.int64, "f16": torch.float16,
    "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64,
}
NAMES = {t: n for n, t in DTYPES.items()}

ONE = {n: getattr(torch, n) for n in """abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad erf erfc exp exp2 expm1
    floor frac isfinite isinf isnan isposinf isneginf log log10 log1p log2 logical_not bitwise_not logit neg positive rad2deg
    reciprocal round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc
    sum mean prod max min argmax argmin all any var std norm""".split()}
ONE |= {n: getattr(F, n) for n in """relu relu6 selu gelu silu mish hardsigmoid hardswish tanhshrink softsign
    logsigmoid""".split()}
TWO = {n: getattr(torch, n) for n in """mul maximum minimum atan2 eq ne lt le gt ge clamp_min clamp_max logical_and logical_or
    logical_xor add sub div remainder fmod pow float_power xlogy bitwise_and bitwise_or bitwise_xor copysign hypot ldexp
    floor_divide rsub logaddexp logaddexp2 matmul mm outer dot take""".split()}


def changed(name):
    def call(x, *args):
        y = x.clone()
        getattr(y, name)(*args)
        return y
    return call




CALLS = ONE | TWO | {n: changed(n) for n in """add_ sub_ mul_ div_ remainder_ fmod_ floor_divide_ pow_ clamp_min_ clamp_max_
    fill_ bitwise_and_ logical_or_ clamp_ masked_fill_""".split()} | {
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "div": lambda a, b: a / b, "sub": lambda a, b: a - b, "floor_divide": lambda a, b: a // b,
    "remainder": torch.remainder, "pow": torch.pow,
    "div_floor": lambda a, b: torch.div(a, b, rounding_mode="floor"),
    "div_trunc": lambda a, b: torch.div(a, b, rounding_mode="trunc"),
    "clamp": torch.clamp, "where": torch.where, "masked_fill": torch.masked_fill,
    "index_fill": lambda x, i, v: x.index_fill(0, i, v), "scatter": lambda x, i, v: x.scatter(0, i, v),
    "scatter_add": lambda x, i, v: x.scatter_add(0, i, v),
    "index_add": lambda x, i, v, a: x.index_add(0, i, v, alpha=a), "index_copy": lambda x, i, v: x.index_copy(0, i, v),
    "gather": lambda x, i: x.gather(0, i), "index_select": lambda x, i: x.index_select(0, i),
    "take_along_dim": lambda x, i: torch.take_along_dim(x, i, 0), "index": lambda x, i: x[i],
    "embedding": F.embedding, "one_hot": lambda x: F.one_hot(x, 4),
    "repeat_interleave": lambda x, n: torch.repeat_interleave(x, n, 0),
    "full_like": torch.full_like, "pad": lambda x, v: F.pad(x, (1, 0), value=v),
    "add:alpha": lambda x, y, a: torch.add(x, y, alpha=a), "sub:alpha": lambda x, y, a: torch.sub(x, y, alpha=a),
    "rsub:alpha": lambda x, y, a: torch.rsub(x, y, alpha=a),
    "addcmul": lambda x, a, b, v: torch.addcmul(x, a, b, value=v), "addcdiv": lambda x, a, b, v: torch.addcdiv(x, a, b, value=v),
    "lerp": torch.lerp, "threshold": F.threshold, "hardtanh": F.hardtanh, "leaky_relu": F.leaky_relu, "elu": F.elu,
    "celu": F.celu, "hardshrink": F.hardshrink, "softshrink": F.softshrink, "softplus": F.softplus, "prelu": F.prelu,
    "glu": lambda x: F.glu(x, -1), "logit:eps": torch.logit, "round:decimals": lambda x, n: torch.round(x, decimals=n),
    "nan_to_num": torch.nan_to_num,
    "isclose": lambda a, b, r, t, n: torch.isclose(a, b, rtol=r, atol=t, equal_nan=bool(n)),
    "to": lambda x, t: x.to(DTYPES[t]),
    "cosine_similarity": lambda a, b: F.cosine_similarity(a, b, -1), "pairwise_distance": F.pairwise_distance,
    "normalize": lambda x, p: F.normalize(x, p, -1), "dist": torch.dist,
    "addmm": lambda x, a, b, beta, alpha: torch.addmm(x, a, b, beta=beta, alpha=alpha),
    "addmv": lambda x, a, b, beta, alpha: torch.addmv(x, a, b, beta=beta, alpha=alpha),
    "baddbmm": lambda x, a, b, beta, alpha: torch.baddbmm(x, a, b, beta=beta, alpha=alpha),
    "addr": lambda x, a, b, beta, alpha: torch.addr(x, a, b, beta=beta, alpha=alpha),
    "linear": F.linear, "cross": lambda a, b: torch.linalg.cross(a, b), "cat": lambda *x: torch.cat(x),
    "stack": lambda *x: torch.stack(x),
    "attention": lambda q, k, v, m, c: F.scaled_dot_product_attention(q, k, v, m, is_causal=bool(c)),
    "layer_norm": lambda x, n, w, b: F.layer_norm(x, (n,), w, b),
    "max:dim": lambda x, d: x.max(d), "min:dim": lambda x, d: x.min(d),
    "aminmax": lambda x, d: torch.aminmax(x, dim=d[0]), "cummax": torch.cummax, "cummin": torch.cummin,
    "sort": lambda x, d: x.sort(dim=d, stable=True), "sort:down": lambda x, d: x.sort(dim=d, stable=True, descending=True),
    "topk": lambda x, d, k: (x.topk(k, d)[0],), "kthvalue": lambda x, d, k: (x.kthvalue(k, d)[0],),
    "var_mean": lambda x, d, c: torch.var_mean(x, d, correction=c), "std_mean": lambda x, d, c: torch.std_mean(x, d, correction=c),
    "sum:dim": torch.sum, "mean:dim": torch.mean, "prod:dim": torch.prod, "amax": torch.amax, "amin": torch.amin,
    "argmax:dim": torch.argmax, "argmin:dim": torch.argmin, "all:dim": torch.all, "any:dim": torch.any,
    "count_nonzero": torch.count_nonzero, "cumsum": torch.cumsum, "cumprod": torch.cumprod,
    "logcumsumexp": torch.logcumsumexp, "logsumexp": torch.logsumexp, "softmax": torch.softmax,
    "log_softmax": torch.log_softmax, "softmin": F.softmin,
    "var:dim": lambda x, d, c: torch.var(x, d, correction=c), "std:dim": lambda x, d, c: torch.std(x, d, correction=c),
    "norm:dim": torch.norm, "vector_norm": torch.linalg.vector_norm,
    "mse_loss": lambda x, t, r: F.mse_loss(x, t, reduction=r), "l1_loss": lambda x, t, r: F.l1_loss(x, t, reduction=r),
    "soft_margin_loss": lambda x, t, r: F.soft_margin_loss(x, t, reduction=r),
    "smooth_l1_loss": lambda x, t, r, b: F.smooth_l1_loss(x, t, reduction=r, beta=b),
    "huber_loss": lambda x, t, r, d: F.huber_loss(x, t, reduction=r, delta=d),
    "kl_div": lambda x, t, r, log: F.kl_div(x, t, reduction=r, log_target=bool(log)),
    "binary_cross_entropy": lambda x, t, r, w: F.binary_cross_entropy(x, t, w, reduction=r),
    "binary_cross_entropy_with_logits": lambda x, t, r, w, p: F.binary_cross_entropy_with_logits(
        x, t, w, reduction=r, pos_weight=p),
    "poisson_nll_loss": lambda x, t, r, log, full: F.poisson_nll_loss(x, t, bool(log), bool(full), reduction=r),
    "gaussian_nll_loss": lambda x, t, r, v, full: F.gaussian_nll_loss(x, t, v, bool(full), reduction=r),
    "hinge_embedding_loss": lambda x, t, r, m: F.hinge_embedding_loss(x, t, m, reduction=r),
    "margin_ranking_loss": lambda x, y, r, t, m: F.margin_ranking_loss(x, y, t, m, reduction=r),
    "cosine_embedding_loss": lambda x, y, r, t, m: F.cosine_embedding_loss(x, y, t, m, reduction=r),
    "triplet_margin_loss": lambda a, p, r, n, m: F.triplet_margin_loss(a, p, n, m, reduction=r),
    "multi_margin_loss": lambda x, t, r, w, p: F.multi_margin_loss(x, t, p, weight=w, reduction=r),
    "multilabel_soft_margin_loss": lambda x, t, r, w: F.multilabel_soft_margin_loss(x, t, w, reduction=r),
    "cross_entropy": lambda x, t, r, w, s: F.cross_entropy(x, t, w, reduction=r, label_smoothing=s),
    "nll_loss": lambda x, t, r, w: F.nll_loss(x, t, w, reduction=r),
}


def shown(x):
    if isinstance(x, bool) or isinstance(x, int):
        return str(int(x))
    return repr(x) if not math.isfinite(x) else f"{x:.17g}"


def element(x, dtype):
    if not dtype.is_floating_point:
        return str(int(x))
    digits = {torch.float64: 17, torch.float32: 9, torch.float16: 6, torch.bfloat16: 5}[dtype]
    return repr(x) if not math.isfinite(x) else f"{x:.{digits}g}"


def written(t):
    """f32[2] 0.5 -inf"""
    t = torch.zeros(t.shape, dtype=t.dtype) if t._is_zerotensor() else t.detach()
    shape = ",".join(str(n) for n in t.shape)
    return " ".join([f"{NAMES[t.dtype]}[{shape}]"] + [element(x, t.dtype) for x in t.flatten().tolist()])


def argument(x):
    if isinstance(x, torch.Tensor):
        return written(x)
    if isinstance(x, float) and not math.isfinite(x):
        return repr(x)
    return x


def weights(y):
    place = torch.arange(y.numel(), dtype=torch.float64) % 16 * 0.25 + 0.5
    return place.to(y.dtype).view(y.shape)


def case(op, *args, grads=True):
    """One line, from a call with these arguments."""
    def leaf(x):
        if not isinstance(x, torch.Tensor):
            return x
        return x.detach().clone().requires_grad_(grads and x.is_floating_point())
    inputs = [leaf(x) for x in args]
    line = [op, [argument(x) for x in args]]
    try:
        out = CALLS[op](*inputs)
    except Exception as e:
        return json.dumps(line + [f"{type(e).__name__}: {e}".splitlines()[0][:80]])
    out = [out] if isinstance(out, torch.Tensor) else list(out)
    line.append([written(y) for y in out])
    roots = [y for y in out if y.requires_grad]
    leaves = [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]
    if roots:
        try:
            got = torch.autograd.grad(roots, leaves, [weights(y) for y in roots], allow_unused=True)
        except Exception as e:
            return json.dumps(line[:2] + [f"backward {type(e).__name__}: {e}".splitlines()[0][:80]])
        line.append([written(torch.zeros_like(x) if g is None else g) for x, g in zip(leaves, got)])
    return json.dumps(line)


def tensor(name, values):
    return torch.tensor(values, dtype=torch.float64 if DTYPES[name].is_floating_point else torch.int64).to(DTYPES[name])


INTS = {"bool": [0, 1, 1, 0], "u8": [0, 1, 5, 255], "i32": [-(2**31), -2, 3, 2**31 - 1], "i64": [-(2**63), -2, 3, 2**63 - 1]}
BESIDE = [-3, 300, 2**40, True, 2.7, -1.5, 1e300, INF, NAN]
MASK = torch.tensor([True, False, True, False])


def numbers_beside_tensors():
    """A number meets a dtype: in arithmetic it wraps, in a bound it saturates, where it is written it is refused."""
    for name in ("bool", "u8", "i32", "f16", "f32"):
        x = tensor(name, INTS.get(name, [-1.5, -0.0, 2.0, 3.0]))
        whole = name in INTS
        for n in BESIDE:
            for op in """add sub mul div eq lt clamp_min clamp_max fill_ full_like add_ sub_ mul_ clamp_min_ bitwise_and logical_and
                copysign""".split():
                yield op, x, n
            for op in ("remainder", "div_floor", "fmod", "div_trunc"):
                yield op, x, n
            yield "div", n, x
            yield "sub", n, x
            yield "clamp", x, n, 5
            yield "where", MASK, x, n
            for op in ("masked_fill", "masked_fill_"):
                yield op, x, MASK, n
            yield "index_fill", x, torch.tensor([0]), n
            yield "scatter", x, torch.tensor([0]), n
            yield "pad", x, n
            if n != 1e300:
                yield "add:alpha", x, x, n
                yield "sub:alpha", x, x, n
                yield "rsub:alpha", x, x, n
            yield "addcmul", x, x, x, n
            if not isinstance(n, bool):
                yield "threshold", x, n, 7
                yield "threshold", x, 1, n
                yield "hardtanh", x, -1, n
                if n != 2**40 and (whole or math.isfinite(n)):
                    yield "pow", x, n
    for bound in (-1, 300):
        yield "clamp", tensor("u8", [0, 7, 255]), -1, bound
    yield "clamp_max", tensor("i32", [3, 2**31 - 1]), 2**40
    yield "clamp", tensor("f32", [1.0, -1.0]), -1e300, 1e300
    for op in ("remainder", "floor_divide", "fmod"):
        yield op, tensor("u8", [0, 1, 5, 255]), -3
        yield op, tensor("f32", [1.0, -1.0]), 2
    yield "remainder", 5.5, tensor("f32", [2.0, -2.0])


def losses():
    """Two dtypes, shapes that broadcast, targets of bools, what is refused."""
    one = {n: INTS.get(n, [0.25, -0.5, 2.0, 1.0]) for n in DTYPES}
    one |= {"i32": [-2, 0, 3, 7], "i64": [-2, 0, 3, 7]}
    for a in ("bool", "u8", "i64", "f16", "bf16", "f32", "f64"):
        for b in ("bool", "u8", "i64", "f16", "bf16", "f32", "f64"):
            x, t = tensor(a, one[a]), tensor(b, one[b][::-1])
            for r in ("none", "mean"):
                yield "mse_loss", x, t, r
                yield "l1_loss", x, t, r
                yield "smooth_l1_loss", x, t, r, 1.0
                yield "huber_loss", x, t, r, 1.0
                # Where floats differ PyTorch computes a part in the less precise one.
                if a == b or a in INTS or b in INTS:
                    yield "binary_cross_entropy_with_logits", x, t, r, None, None
                    yield "kl_div", x, t, r, 1
            yield "lerp", x, t, 0.25
            if not (a in INTS and b in INTS):
                yield "binary_cross_entropy", (0.25 + 0.5 * (x > 0)).to(x.dtype), (0.25 + 0.5 * (t > 0)).to(t.dtype), "none", None
            yield "margin_ranking_loss", x, t, "none", x, 0.5
            yield "hinge_embedding_loss", x, t, "none", 1.0
            if a in INTS and b in INTS or a == b == "f32":
                yield "cosine_similarity", x, t
    x = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]])
    for other in (x[0].clone(), x[:, :1].clone(), torch.tensor(0.5), x[:, :2].clone(), x[:0].clone()):
        for r in ("none", "mean", "sum"):
            for a, b in ((x, other), (other, x)):
                yield "mse_loss", a, b, r
                yield "l1_loss", a, b, r
                yield "smooth_l1_loss", a, b, r, 0.5
                yield "huber_loss", a, b, r, 0.5
                yield "kl_div", a, b.abs(), r, 0
                yield "binary_cross_entropy_with_logits", a, b, r, None, None
    zero = torch.tensor([0.0, 0.5, 0.0, 1.0])
    yield "kl_div", torch.tensor([-1.0, -2.0, -INF, -0.5]), zero, "none", 0
    for a, b in ((zero, zero), (zero, torch.tensor([0.0, 0.0, NAN, -1.0])), (zero, 0.0), (zero, NAN), (2.0, zero)):
        yield "xlogy", a, b
    for name in ("i64", "i32", "u8"):
        yield "nll_loss", x, torch.tensor([0, 2]).to(DTYPES[name]), "none", None
        yield "multi_margin_loss", x, torch.tensor([0, 2]).to(DTYPES[name]), "none", None, 1


def zeros_and_others():
    """Signs of zeros, NaN beside a mask, factors of 0, variances without freedom, indices."""
    for name in ("f16", "bf16", "f32", "f64"):
        minus, plus = tensor(name, [-0.0, -0.0, 1.0]), tensor(name, [0.0, -0.0, 1.0])
        for op in ("relu", "relu6", "hardshrink" if name == "" else "abs", "sum", "softsign"):
            yield op, minus
        for op in ("maximum", "minimum", "clamp_min", "clamp_max"):
            yield op, minus, plus
            yield op, plus, minus
        yield "clamp", minus, 0.0, 1.0
        yield "clamp", plus, -1.0, -0.0
        yield "softshrink", tensor(name, [-0.0, 0.0, -0.1, 0.1]), 0.5
        yield "hardshrink", tensor(name, [-0.0, 0.0, -0.1, 0.1]), 0.5
        yield "hardtanh", minus, 0.0, 1.0
        yield "threshold", minus, 0.0, 0.0
        yield "elu", minus, -1.0
        both = tensor(name, [[-0.0, -0.0, -0.0], [-0.0, 0.0, -1.0]])
        for axis in (0, 1):
            yield "sum:dim", both, [axis]
            yield "mean:dim", both, [axis]
            yield "cumsum", both, axis
            yield "amax", both[:, :2].clone(), [1]
            yield "amin", both[:, :2].clone(), [1]
    x, y = torch.tensor([[NAN, 1.0], [2.0, INF]]), torch.tensor([[1.0, 2.0], [0.5, -1.0]])
    for beta in (0, 0.0, 1, 2):
        yield "addmm", x, y, y, beta, 1
        yield "addmv", x[0].clone(), y, y[0].clone(), beta, 1
        yield "baddbmm", x[None].clone(), y[None].clone(), y[None].clone(), beta, 1
        yield "addr", x, y[0].clone(), y[1].clone(), beta, 1
        yield "addmm", y.long(), y.long(), y.long(), beta + 0.5, 2
    for values, correction in (([1.0, 2.0, 4.0], 3), ([1.0, 2.0, 4.0], 4), ([2.0], 1), ([1.0, 3.0], 2)):
        yield "var:dim", torch.tensor(values), [0], correction
        yield "std:dim", torch.tensor(values), [0], correction
    yield "var", torch.tensor([2.0])
    k = torch.tensor([[[1.0, 0.0], [NAN, 1.0], [0.0, 1.0]]])
    q, v = torch.ones(1, 2, 2), torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    yield "attention", q, k, v, torch.tensor([[True, False, True]] * 2), 0
    yield "attention", torch.ones(1, 3, 2), k.nan_to_num(), v, None, 1
    for name in ("i64", "i32", "u8", "bool"):
        i = torch.tensor([1, 0]).to(DTYPES[name])
        x = torch.tensor([0.5, 1.5, 2.5])
        for op in ("gather", "index_select", "take", "take_along_dim"):
            yield op, x, i
        yield "index_copy", x, i, x[:2].clone()
        yield "index_add", x, i, x[:2].clone(), 2
        yield "index_fill", x, i, 1.0
        yield "scatter", x, i, x[:2].clone()
        yield "one_hot", i
    for name in DTYPES:
        x = tensor(name, INTS.get(name, [0.5, 1.5, 2.5, 3.5]))
        for op in ("abs", "neg", "relu", "sign", "square", "exp", "frac", "mean", "softsign", "bitwise_not", "positive"):
            yield op, x
        yield "kthvalue", x, 0, 1
        if name not in ("f16", "bf16"):
            yield "normalize", x, 2.0


def main():
    lines = {}
    for part in (numbers_beside_tensors, losses, zeros_and_others):
        for op, *args in part():
            line = case(op, *args)
            # A number where PyTorch takes a tensor only is another overload here.
            if "TypeError" not in line:
                lines[line] = None
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()

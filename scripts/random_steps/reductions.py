"""Steps of random programs: reductions, cumulative operators and sorting."""

import math

import torch

from random_steps.draw import DTYPES, Skip, step


@step("sum mean all any", 5)
def reduce(g, name):
    x = g.var()
    args, kwargs = [x], {}
    if g.chance(0.65):
        kwargs["dim"] = g.axis(x) if g.chance(0.5) else g.axes(x)
        kwargs.update(g.given(0.4, keepdim=True))
        if name == "sum" and g.chance(0.1):
            kwargs["dim"] = []
    return args, kwargs


@step("amax amin", 1.2)
def extremes(g, name):
    x = g.var()
    kwargs = {"dim": g.axis(x) if g.chance(0.5) else g.axes(x)} if g.chance(0.7) else {}
    kwargs.update(g.given(0.3, keepdim=True) if kwargs else {})
    return [x], kwargs


@step("argmax argmin", 1)
def arg_extremes(g, name):
    x = g.var()
    kwargs = {"dim": g.axis(x), **g.given(0.4, keepdim=True)} if g.chance(0.7) else {}
    return [x], kwargs


@step("max.reduction_no_dim min.reduction_no_dim", 0.7)
def extreme(g, name):
    return [g.var()], {}


@step("max.reduction_with_dim min.reduction_with_dim", 1.2)
def extreme_dim(g, name):
    x = g.var()
    return [x, g.axis(x)], g.given(0.4, keepdim=True)


@step("prod", 0.8)
def prod(g, name):
    x = g.var()
    args = [x, g.axis(x)] if g.chance(0.6) else [x]
    return args, {**(g.given(0.4, keepdim=True) if len(args) > 1 else {}), **g.given(0.15, dtype=DTYPES[g.dtype()])}


@step("cumsum cumprod", 1.5)
def cumulative(g, name):
    x = g.var()
    return [x, g.axis(x)], g.given(0.12, dtype=DTYPES[g.dtype()])


@step("cummax cummin logcumsumexp", 0.9)
def cumulative_extreme(g, name):
    x = g.var()
    return [x, g.axis(x)], {}


@step("var std var_mean std_mean", 2)
def variance(g, name):
    x = g.var("f")
    kwargs = {"dim": g.axes(x)} if g.chance(0.6) else {}
    if kwargs and g.chance(0.3):
        kwargs["dim"] = g.axis(x)
    kwargs.update(g.given(0.5, correction=g.choice([0, 1, 2, 0.5, -1, 3])))
    kwargs.update(g.given(0.3, keepdim=True))
    return [x], kwargs


@step("var.unbiased std.unbiased var_mean.unbiased std_mean.unbiased", 0.5)
def unbiased(g, name):
    return [g.var("f"), g.chance(0.5)], {}


@step("norm norm.fro norm.inf linalg.vector_norm", 1.5)
def norms(g, name):
    x = g.var("f")
    p = {"norm": g.choice([2, 1, 0, 3, 1.5, -1, math.inf, -math.inf]), "norm.fro": "fro", "norm.inf": math.inf,
         "linalg.vector_norm": g.choice([2, 1, 0, 3, 0.5, -2, math.inf, -math.inf])}[name]
    args = [x, p] if g.chance(0.8) or name != "norm" else [x]
    kwargs = {}
    if g.chance(0.6) and len(args) > 1:
        kwargs["dim"] = g.axis(x) if g.chance(0.5) else g.axes(x)
        kwargs.update(g.given(0.4, keepdim=True))
    return args, kwargs


@step("logsumexp", 0.6)
def logsumexp(g, name):
    x = g.var()
    return [x, g.axis(x) if g.chance(0.5) else g.axes(x)], g.given(0.4, keepdim=True)


@step("softmax log_softmax", 1.6)
def softmax(g, name):
    x = g.var("f" if g.chance(0.9) else "fib")
    return [x, g.axis(x)], {}


@step("sort", 1.2)
def sort(g, name):
    x = g.var()
    return [x], {"stable": True, **g.given(0.7, dim=g.axis(x)), **g.given(0.4, descending=True)}


@step("argsort", 0.4)
def argsort(g, name):
    x = g.var()
    return [x], {"stable": True, **g.given(0.7, dim=g.axis(x)), **g.given(0.4, descending=True)}


@step("topk", 0.9)
def topk(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    no_ties(t, a)
    if t.dim() == 0:
        n = max(n, 1)
    return [x, g.rng.randint(0 if t.dim() else 1, n), a] + ([g.chance(0.6)] if g.chance(0.6) else []), {}


@step("kthvalue", 0.6)
def kthvalue(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    no_ties(t, a)
    return [x, g.rng.randint(1, max(n, 1)), a], g.given(0.4, keepdim=True)


def no_ties(t, axis):
    """Skips where the order of equal elements would be seen."""
    if t.dim() == 0 or not -t.dim() <= axis < t.dim() or t.numel() == 0:
        return
    s = t.detach().to(torch.float64).sort(axis).values
    n = s.shape[axis]
    if n > 1 and ((s.narrow(axis, 1, n - 1) == s.narrow(axis, 0, n - 1)).any() or s.isnan().any()):
        raise Skip


@step("count_nonzero", 0.3)
def count_nonzero(g, name):
    x = g.var()
    return [x], {"dim": g.axes(x)} if g.chance(0.6) else {}


@step("aminmax", 0.3)
def aminmax(g, name):
    x = g.var()
    return [x], {"dim": g.axis(x), **g.given(0.4, keepdim=True)} if g.chance(0.7) else {}

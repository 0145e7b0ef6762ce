"""Steps of random programs: reading and writing at indices."""

import math

import torch

from random_steps.draw import NAMES, Ref, Skip, step
from random_steps.views import index_of


@step("gather", 1.2)
def gather(g, name):
    x = g.var()
    t = g.value(x)
    a = g.axis(x)
    shape = [g.rng.randint(0, n) if g.chance(0.4) else n for n in t.shape]
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    if shape and g.chance(0.5):
        shape[a if -t.dim() <= a < t.dim() else 0] = g.size()
    return [x, a, g.places(shape, n)], {}


def unique_places(g, shape, n, axis):
    """Indices of which no two are the same along the axis."""
    if not shape:
        return g.leaf("int64", [], 0, max(n - 1, 0), grad=False)
    shape = list(shape)
    shape[axis] = min(shape[axis], n)
    t = torch.zeros(shape, dtype=torch.int64)
    for line in torch.unbind(t.movedim(axis, -1).reshape(-1, shape[axis]) if t.numel() else t[:0].reshape(0, 1)):
        line.copy_(torch.tensor(g.rng.sample(range(n), shape[axis])))
    lines = [g.rng.sample(range(n), shape[axis]) for _ in range(math.prod(shape) // max(shape[axis], 1))]
    moved = [s for i, s in enumerate(shape) if i != axis % len(shape)] + [shape[axis]]
    t = torch.tensor(lines, dtype=torch.int64).reshape(moved).movedim(-1, axis)
    if t.numel() and g.chance(0.03):
        t = t + n
    return Ref(g.new_leaf(g.laid_out(t.contiguous()), False))


@step("scatter scatter_", 1.2)
def scatter(g, name):
    x = g.var()
    t = g.value(x)
    a = g.axis(x)
    if t.dim() and not -t.dim() <= a < t.dim():
        a = 0
    reduce = g.chance(0.25) and name == "scatter"
    shape = [g.rng.randint(1, n) if n and g.chance(0.4) else n for n in t.shape]
    n = t.shape[a] if t.dim() else 1
    index = g.places(shape, n) if reduce else unique_places(g, shape, n, a)
    shape = list(g.value(index).shape)
    if g.chance(0.3):
        value = g.number()
    else:
        value = g.leaf(NAMES[t.dtype], [s + (1 if g.chance(0.15) else 0) for s in shape])
    return [x, a, index, value], {"reduce": "add"} if reduce else {}


@step("scatter_add scatter_add_", 1)
def scatter_add(g, name):
    x = g.var()
    t = g.value(x)
    a = g.axis(x)
    if t.dim() and not -t.dim() <= a < t.dim():
        a = 0
    shape = [g.rng.randint(1, n) if n and g.chance(0.4) else n for n in t.shape]
    if shape and g.chance(0.4):
        shape[a] = g.size()
    index = g.places(shape, t.shape[a] if t.dim() else 1)
    return [x, a, index, g.leaf(NAMES[t.dtype], [s + (1 if g.chance(0.15) else 0) for s in shape])], {}


@step("index_select", 1)
def index_select(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    return [x, a, g.places([g.size()], n, dtype=g.choice(["int64", "int64", "int32"]))], {}


@step("index_add index_copy index_add_ index_copy_", 1.2)
def index_add(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    if t.dim() and not -t.dim() <= a < t.dim():
        a = 0
    n = t.shape[a] if t.dim() else 1
    k = g.size() if "add" in name else min(g.size(), n)
    shape = list(t.shape)
    if shape:
        shape[a] = k
    index = g.places([k], n) if "add" in name else unique_places(g, [k], n, 0)
    return [x, a, index, g.leaf(NAMES[t.dtype], shape)], g.given(0.3, alpha=g.number("i")) if "add" in name else {}


@step("index_fill index_fill_", 0.6)
def index_fill(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    return [x, a, g.places([g.size()], n), g.number()], {}


@step("masked_fill masked_fill_", 1.6)
def masked_fill(g, name):
    x = g.var()
    value = g.number() if g.chance(0.75) else g.leaf(NAMES[g.value(x).dtype] if g.chance(0.7) else g.dtype(), [])
    return [x, g.fitting(x, "b", "bool"), value], {}


@step("masked_select", 0.3)
def masked_select(g, name):
    x = g.var()
    return [x, g.fitting(x, "b", "bool")], {}


@step("nonzero", 0.2)
def nonzero(g, name):
    return [g.var()], {}


@step("take_along_dim", 0.5)
def take_along_dim(g, name):
    x = g.var()
    t = g.value(x)
    if t.dim() == 0 or g.chance(0.2):
        return [x, g.places(g.shape(), t.numel())], {}
    a = g.rng.randrange(t.dim())
    shape = [1 if g.chance(0.2) else n for n in t.shape]
    shape[a] = g.size()
    return [x, g.places(shape, t.shape[a]), a], {}


@step("setitem", 3)
def setitem(g, name):
    x = g.var()
    parts = index_of(g, x)
    if any(isinstance(p, Ref) and g.value(p).dtype != torch.bool and g.value(p).numel() > 1 for p in parts):
        # Places given twice: which value stays is left open.
        for p in parts:
            if isinstance(p, Ref) and g.value(p).dtype != torch.bool and g.value(p).numel() > 1:
                raise Skip
    try:
        part = g.value(x)[tuple(index_value(g, p) for p in parts)]
    except (IndexError, RuntimeError, ValueError):
        return [x, g.number()] + parts, {}
    u = g.rng.random()
    own = NAMES[g.value(x).dtype]
    if u < 0.35:
        value = g.number()
    elif u < 0.5:
        value = g.leaf(own if g.chance(0.7) else g.dtype(), [])
    else:
        shape = [1 if g.chance(0.15) else n for n in part.shape]
        value = g.leaf(own if g.chance(0.8) else g.dtype(), shape)
    return [x, value] + parts, {}


@step("index_put_ index_put", 0.8)
def index_put(g, name):
    x = g.var(rank=range(1, 4))
    t = g.value(x)
    if t.dim() == 0 or t.shape[0] == 0:
        raise Skip
    accumulate = g.chance(0.6)
    index = (g.places([g.size()], t.shape[0], True) if accumulate
             else unique_places(g, [min(g.size(), t.shape[0])], t.shape[0], 0))
    shape = list(g.value(index).shape) + list(t.shape[1:])
    value = g.leaf(NAMES[t.dtype] if g.chance(0.9) else g.dtype(), shape if g.chance(0.7) else [])
    return [x, [index], value], {"accumulate": True} if accumulate else {}


def index_value(g, part):
    """The part of an index as Python has it."""
    if isinstance(part, Ref):
        return g.value(part)
    kind, v = next(iter(part.items()))
    return {"int": lambda: v, "none": lambda: None, "str": lambda: Ellipsis, "slice": lambda: slice(*v)}[kind]()

"""Steps of random programs: joining, repeating and reordering."""

from random_steps.draw import NAMES, step


@step("cat", 1.5)
def cat(g, name):
    x = g.var()
    t = g.value(x)
    a = g.axis(x)
    parts = [x]
    for _ in range(g.choice([0, 1, 1, 2])):
        shape = list(t.shape)
        if t.dim() and -t.dim() <= a < t.dim() and g.chance(0.7):
            shape[a] = g.size()
        parts.append(g.same(x) if shape == list(t.shape) else g.leaf(NAMES[t.dtype] if g.chance(0.8) else g.dtype(), shape))
    g.rng.shuffle(parts)
    return [parts] + ([a] if g.chance(0.8) else []), {}


@step("stack", 1)
def stack(g, name):
    x = g.var()
    parts = [x] + [g.same(x) for _ in range(g.choice([0, 1, 1, 2]))]
    return [parts] + ([g.axis(x, g.value(x).dim() + 1)] if g.chance(0.8) else []), {}


@step("hstack vstack dstack column_stack", 0.8)
def stacks(g, name):
    x = g.var()
    return [[x] + [g.same(x) for _ in range(g.choice([0, 1, 2]))]], {}


@step("repeat tile", 1)
def repeat(g, name):
    x = g.var()
    rank = g.value(x).dim()
    k = rank + g.choice([0, 0, 0, 1, -1 if name == "tile" or g.chance(0.05) else 0])
    return [x, [g.choice([1, 1, 2, 2, 0, 3]) if g.chance(0.9) else 1 for _ in range(max(k, 0))]], {}


@step("flip", 0.8)
def flip(g, name):
    x = g.var()
    return [x, g.axes(x, 0)], {}


@step("roll", 0.8)
def roll(g, name):
    x = g.var()
    if g.chance(0.3):
        return [x, g.choice([1, -1, 2, 5])], {}
    axes = g.axes(x)
    return [x, [g.choice([1, -1, 2, 0]) for _ in axes], axes], {}


@step("diag", 0.5)
def diag(g, name):
    x = g.var(rank=range(1, 3))
    return [x] + ([g.choice([-1, 0, 1])] if g.chance(0.5) else []), {}


@step("diag_embed", 0.3)
def diag_embed(g, name):
    return [g.var(rank=range(1, 3))], g.given(0.4, offset=g.choice([-1, 0, 1]))


@step("tril triu", 1.2)
def triangle(g, name):
    x = g.var(rank=range(2, 5))
    return [x] + ([g.choice([-1, 0, 1, 2])] if g.chance(0.5) else []), {}


@step("repeat_interleave", 0.3)
def repeat_interleave(g, name):
    x = g.var()
    return [x, g.choice([0, 1, 2])], g.given(0.6, dim=g.axis(x))


@step("rot90", 0.2)
def rot90(g, name):
    x = g.var(rank=range(2, 5))
    return [x, g.choice([0, 1, 2, 3, -1]), [0, 1]], {}


@step("contiguous", 1)
def contiguous(g, name):
    return [g.var()], {}

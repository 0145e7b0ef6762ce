"""Steps of random programs: views and changes of shape."""

from random_steps.draw import Skip, step


def other_shape(g, t):
    """A shape with as many elements, perhaps with a -1."""
    n = t.numel()
    if g.chance(0.04):
        return g.shape()
    if n == 0:
        return g.choice([list(t.shape), [0], [0, 2], [3, 0], [-1]])
    shape, rest = [], n
    for _ in range(g.rng.randint(0, 3)):
        d = g.choice([d for d in range(1, rest + 1) if rest % d == 0])
        shape.append(d)
        rest //= d
    if rest > 1 or not shape and g.chance(0.7):
        shape.append(rest)
    if not shape and n > 1:
        shape = [n]
    if g.chance(0.2):
        shape = list(t.shape)
    if shape and g.chance(0.3):
        shape[g.rng.randrange(len(shape))] = -1
    return shape


@step("reshape view", 4)
def reshape(g, name):
    x = g.var()
    return [x, other_shape(g, g.value(x))], {}


@step("permute", 1.5)
def permute(g, name):
    x = g.var()
    axes = list(range(g.value(x).dim()))
    if g.chance(0.9):
        g.rng.shuffle(axes)
    axes = [a - len(axes) if g.chance(0.2) else a for a in axes]
    return [x, axes[:-1] if axes and g.chance(0.02) else axes], {}


@step("transpose swapaxes", 2)
def transpose(g, name):
    x = g.var()
    return [x, g.axis(x), g.axis(x)], {}


@step("t", 1)
def t(g, name):
    return [g.var(rank=None if g.chance(0.05) else range(0, 3))], {}


@step("mT", 0.4)
def mt(g, name):
    return [g.var(rank=range(2, 5))], {}


@step("movedim", 0.7)
def movedim(g, name):
    x = g.var()
    rank = g.value(x).dim()
    k = g.rng.randint(0, rank)
    pick = lambda: [a - rank if g.chance(0.2) else a for a in g.rng.sample(range(rank), k)]
    return [x, pick(), pick()], {}


@step("squeeze", 1.2)
def squeeze(g, name):
    x = g.var()
    return [x] + ([g.axis(x)] if g.chance(0.6) else []), {}


@step("squeeze.multiple", 0.5)
def squeeze_many(g, name):
    x = g.var()
    return [x, g.axes(x, 0)], {}


@step("unsqueeze", 1)
def unsqueeze(g, name):
    x = g.var()
    return [x, g.axis(x, g.value(x).dim() + 1)], {}


@step("flatten", 1)
def flatten(g, name):
    x = g.var()
    if g.chance(0.5):
        return [x], {}
    rank = max(g.value(x).dim(), 1)
    a, b = sorted([g.rng.randrange(rank), g.rng.randrange(rank)])
    return [x, a, b if g.chance(0.7) else b - rank], {}


@step("ravel", 0.4)
def ravel(g, name):
    return [g.var()], {}


@step("unflatten", 0.4)
def unflatten(g, name):
    x = g.var(rank=range(1, 4))
    t = g.value(x)
    if t.dim() == 0:
        raise Skip
    a = g.rng.randrange(t.dim())
    n = t.shape[a]
    d = g.choice([d for d in range(1, n + 1) if n % d == 0] or [1])
    return [x, a, g.choice([[d, -1], [n // d, d], [-1]])], {}


@step("expand broadcast_to", 1.5)
def expand(g, name):
    x = g.var()
    shape = list(g.value(x).shape)
    new = [(g.size() if n == 1 and g.chance(0.7) else n) for n in shape]
    if g.chance(0.4):
        new = [g.choice([1, 2, 3])] + new
    if name == "expand" and new and g.chance(0.3):
        k = len(new) - len(shape)
        new = [(-1 if i >= k and g.chance(0.5) and new[i] == shape[i - k] else n) for i, n in enumerate(new)]
    return [x, shape if g.chance(0.1) else new], {}


@step("expand_as", 0.4)
def expand_as(g, name):
    x = g.var()
    shape = [(g.size() if n == 1 and g.chance(0.7) else n) for n in g.value(x).shape]
    return [x, g.leaf("float32", shape, grad=False)], {}


@step("view_as reshape_as", 0.4)
def view_as(g, name):
    x = g.var()
    shape = [abs(n) for n in other_shape(g, g.value(x))]
    return [x, g.leaf("float32", shape, grad=False)], {}


@step("narrow", 1.2)
def narrow(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    start = g.rng.randint(-1, n)
    return [x, a, start, g.rng.randint(0, n - max(start, 0)) + (1 if g.chance(0.03) else 0)], {}


@step("select", 1.2)
def select(g, name):
    x = g.var(rank=range(1, 5))
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    return [x, a, g.rng.randint(-n, n - 1) if n and g.chance(0.97) else n], {}


def one_index(g, n, bools=True):
    """One part of an index into an axis of n elements."""
    u = g.rng.random()
    if u < 0.25:
        return {"int": g.rng.randint(-n, n - 1) if n and g.chance(0.97) else n}
    if u < 0.6:
        pick = lambda: None if g.chance(0.35) else g.rng.randint(-n - 1, n + 1)
        step = g.choice([None, None, None, 1, 2, 3])
        return {"slice": [pick(), pick(), step]}
    if u < 0.68:
        return {"none": True}
    if u < 0.8 or not bools:
        return g.places([], n, True, g.choice(["int64", "int64", "int32", "uint8"]) if n < 5 else "int64")
    if u < 0.93:
        return g.places(g.shape(g.choice([1, 1, 1, 2])), n, True)
    return g.leaf("bool", [n], grad=False)


def index_of(g, x):
    """Parts of an index, for `x[..]`."""
    t = g.value(x)
    parts, axis, dots = [], 0, False
    while axis < t.dim() and not g.chance(0.15):
        if not dots and g.chance(0.1):
            parts.append({"str": "..."})
            dots = True
            axis += g.rng.randint(0, t.dim() - axis)
            continue
        if g.chance(0.05) and t.dim() - axis >= 2:
            parts.append(g.leaf("bool", list(t.shape[axis:axis + 2]), grad=False))
            axis += 2
            continue
        part = one_index(g, t.shape[axis])
        parts.append(part)
        if part != {"none": True}:
            axis += 1
    if not parts:
        parts = [g.choice([{"str": "..."}, {"slice": [None, None, None]}, {"none": True}])]
    return parts


@step("getitem", 6)
def getitem(g, name):
    x = g.var()
    return [x] + index_of(g, x), {}


@step("take", 0.3)
def take(g, name):
    x = g.var()
    return [x, g.places(g.shape(), max(g.value(x).numel(), 1), True)], {}


@step("unfold", 0.7)
def unfold(g, name):
    x = g.var()
    a = g.axis(x)
    t = g.value(x)
    n = t.shape[a] if t.dim() and -t.dim() <= a < t.dim() else 1
    return [x, a, g.rng.randint(0, n), g.choice([1, 1, 2, 3])], {}


@step("diagonal", 1)
def diagonal(g, name):
    x = g.var(rank=range(2, 5))
    if g.chance(0.6):
        return [x], g.given(0.3, offset=g.choice([-1, 0, 1, 2]))
    return [x, g.choice([-1, 0, 1]), g.axis(x), g.axis(x)], {}


@step("as_strided", 0.6)
def as_strided(g, name):
    x = g.var(rank=range(1, 4))
    t = g.value(x)
    total = t.untyped_storage().nbytes() // t.element_size()
    shape, strides = g.shape(g.choice([1, 2])), []
    shape = [min(n, 3) for n in shape]
    for n in shape:
        strides.append(g.choice([1, 2, 3, 0] if g.chance(0.2) else [1, 2, 3]))
    reach = sum((n - 1) * s for n, s in zip(shape, strides)) if all(shape) else 0
    if reach >= total and g.chance(0.95):
        raise Skip
    return [x, shape, strides, g.rng.randint(0, max(total - reach - 1, 0))], {}


@step("chunk tensor_split", 1)
def chunk(g, name):
    x = g.var(rank=range(1, 5))
    return [x, g.choice([1, 2, 3])] + ([g.axis(x)] if g.chance(0.6) else []), {}


@step("split", 0.8)
def split(g, name):
    x = g.var(rank=range(1, 5))
    return [x, g.choice([1, 1, 2, 3])] + ([g.axis(x)] if g.chance(0.6) else []), {}


@step("split.list_args split_with_sizes", 0.8)
def split_sizes(g, name):
    x = g.var(rank=range(1, 5))
    t = g.value(x)
    if t.dim() == 0:
        raise Skip
    a = g.rng.randrange(t.dim())
    n, parts = t.shape[a], []
    while n > 0 or not parts:
        parts.append(g.rng.randint(0, n))
        n -= parts[-1]
        if len(parts) > 3:
            parts.append(n)
            break
    return [x, parts, a], {}


@step("unbind", 0.9)
def unbind(g, name):
    x = g.var(rank=range(1, 5))
    return [x] + ([g.axis(x)] if g.chance(0.6) else []), {}

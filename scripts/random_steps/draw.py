"""What random programs draw their arguments from: variables, numbers, shapes, layouts. Knows no operator."""

import math

import torch

DTYPES = {
    "float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "int32": torch.int32,
    "uint8": torch.uint8, "bool": torch.bool, "float16": torch.float16, "bfloat16": torch.bfloat16,
}
NAMES = {v: k for k, v in DTYPES.items()}
FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTS = ["int64", "int32", "uint8"]

STEPS = {}  # name -> (weight, function of a `Draw` and the name that gives arguments)


def step(names, weight=1.0):
    """Registers how the arguments of some operators are drawn; the weight is shared among them."""
    names = names.split()

    def register(f):
        for name in names:
            STEPS[name] = (weight / len(names), f)
        return f

    return register


class Ref:
    """A variable of the program."""

    def __init__(self, index):
        self.index = index


class Skip(Exception):
    """The arguments cannot be drawn, or the result is left open by PyTorch."""


class Draw:
    """Draws arguments out of a program's variables. `new_leaf(tensor, requires_grad)` adds a variable."""

    def __init__(self, rng, variables, new_leaf):
        self.rng, self.variables, self.new_leaf = rng, variables, new_leaf

    # Chance.

    def chance(self, p):
        return self.rng.random() < p

    def choice(self, items):
        return self.rng.choice(items)

    def size(self):
        return self.rng.choices([0, 1, 2, 3, 4, 5], [4, 16, 28, 28, 14, 10])[0]

    def shape(self, rank=None):
        if rank is None:
            rank = self.rng.choices([0, 1, 2, 3, 4], [12, 26, 34, 20, 8])[0]
        shape = [self.size() for _ in range(rank)]
        while math.prod(shape) > 120:
            shape[self.rng.randrange(rank)] = self.choice([1, 2])
        return shape

    def dtype(self, kind=None):
        if kind == "f":
            return self.rng.choices(FLOATS, [70, 12, 9, 9])[0]
        if kind == "i":
            return self.rng.choices(INTS, [60, 20, 20])[0]
        if kind == "b":
            return "bool"
        return self.rng.choices(FLOATS + INTS + ["bool"], [48, 9, 6, 6, 12, 5, 5, 9])[0]

    # Values.

    def element(self, dtype):
        r = self.rng
        if dtype == "bool":
            return r.random() < 0.5
        if dtype in INTS:
            low, high = (0, 5) if dtype == "uint8" else (-4, 4)
            x = r.randint(low, high)
            return r.choice([0, 255, 100] if dtype == "uint8" else [0, 100, -100]) if r.random() < 0.04 else x
        u = r.random()
        if u < 0.04:
            return r.choice([0.0, -0.0, math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-3, 300.0])
        if u < 0.4:
            return r.randint(-4, 4) / 2
        return round(r.gauss(0, 1.5), 3)

    def values(self, dtype, shape, low=None, high=None, plain=False):
        """A contiguous tensor."""
        n = math.prod(shape)
        if low is not None:
            if dtype in INTS:
                data = [self.rng.randint(int(low), max(int(low), int(high))) for _ in range(n)]
            else:
                data = [self.rng.uniform(low, high) for _ in range(n)]
        else:
            data = [self.element(dtype) for _ in range(n)]
            if plain:
                data = [x if isinstance(x, bool) or math.isfinite(x) else 1.5 for x in data]
        return torch.tensor(data, dtype=DTYPES[dtype]).reshape(shape)

    def laid_out(self, t):
        """The same elements, perhaps in another layout."""
        u = self.rng.random()
        if t.dim() == 0 or t.numel() == 0 or u < 0.65:
            return t
        if u < 0.8 and t.dim() > 1:
            axes = list(range(t.dim()))
            self.rng.shuffle(axes)
            inverse = [axes.index(i) for i in range(t.dim())]
            return t.permute(axes).contiguous().permute(inverse)
        axis = self.rng.randrange(t.dim())
        if u < 0.9:
            return torch.stack([t, t], axis + 1).select(axis + 1, self.rng.randrange(2))
        if u < 0.96:
            return torch.cat([t.narrow(axis, 0, 1), t], axis).narrow(axis, 1, t.shape[axis])
        return t.select(axis, 0).unsqueeze(axis).clone().expand(t.shape)

    def leaf(self, dtype, shape, low=None, high=None, grad=None, plain=None):
        plain = self.chance(0.6) if plain is None else plain
        t = self.laid_out(self.values(dtype, shape, low, high, plain))
        grad = self.chance(0.5) if grad is None else grad
        return Ref(self.new_leaf(t, grad and t.is_floating_point()))

    # Variables.

    def value(self, ref):
        return self.variables[ref.index]

    def kind(self, t):
        return "b" if t.dtype == torch.bool else "f" if t.is_floating_point() else "i"

    def var(self, kinds="fib", rank=None, fits=None, fresh=0.12):
        """A variable of one of the kinds, usually one of the program's, of the rank (a number or a range)."""
        def is_fit(t):
            try:
                return fits is None or fits(t)
            except RuntimeError:
                return False  # PyTorch does not say where the history of a view is unclear.

        ranks = None if rank is None else {rank} if isinstance(rank, int) else set(rank)
        wanted = [
            i for i, t in enumerate(self.variables)
            if t is not None and self.kind(t) in kinds and t.numel() <= 300 and (ranks is None or t.dim() in ranks)
            and is_fit(t)
        ]
        if self.chance(0.03):
            wanted = [i for i, t in enumerate(self.variables) if t is not None and t.numel() <= 300]
            fresh = 0
        if wanted and not self.chance(fresh):
            # The latest ones are taken most.
            k = min(int(self.rng.expovariate(0.35)), len(wanted) - 1)
            return Ref(wanted[len(wanted) - 1 - k])
        for _ in range(20):
            kind = "f" if "f" in kinds and self.chance(0.75) else self.choice(list(kinds))
            shape = self.shape(None if ranks is None else self.choice(sorted(ranks)))
            if is_fit(self.values("float32", shape)):
                return self.leaf(self.dtype(kind), shape)
        raise Skip

    def fitting(self, ref, kinds="fib", dtype=None):
        """A second operand: broadcast with the first, mostly."""
        t = self.value(ref)
        u = self.rng.random()
        if u < 0.08:
            return ref
        if u < 0.12:
            return self.var(kinds)

        def broadcasts(o):
            try:
                return math.prod(torch.broadcast_shapes(o.shape, t.shape)) <= 300
            except RuntimeError:
                return False

        if u < 0.5:
            same = [i for i, o in enumerate(self.variables)
                    if o is not None and self.kind(o) in kinds and broadcasts(o)
                    and (dtype is None or NAMES[o.dtype] == dtype)]
            if same:
                return Ref(self.choice(same))
        shape = list(t.shape)
        v = self.rng.random()
        if v < 0.25 and shape:
            shape = shape[self.rng.randrange(len(shape) + 1):]
        if v < 0.45:
            shape = [1 if self.chance(0.4) else n for n in shape]
        if 0.45 < v < 0.5:
            shape = [2] + shape
        own = NAMES[t.dtype]
        kind = self.choice(list(kinds))
        if dtype is None:
            dtype = own if self.chance(0.6) and self.kind(t) in kinds else self.dtype(kind)
        return self.leaf(dtype, shape)

    def same(self, ref, kinds="fib", grad=None):
        """A new tensor of the same shape, mostly of the same dtype."""
        t = self.value(ref)
        dtype = NAMES[t.dtype] if self.kind(t) in kinds and self.chance(0.85) else self.dtype(self.choice(list(kinds)))
        if self.chance(0.3):
            same = [i for i, o in enumerate(self.variables)
                    if o is not None and o.shape == t.shape and self.kind(o) in kinds]
            if same:
                return Ref(self.choice(same))
        return self.leaf(dtype, list(t.shape), grad=grad)

    def axis(self, ref, rank=None):
        rank = self.value(ref).dim() if rank is None else rank
        if self.chance(0.02):
            return self.choice([rank, -rank - 1, rank + 3])
        if rank == 0:
            return self.choice([0, -1])
        return self.rng.randrange(-rank, rank)

    def axes(self, ref, least=1):
        rank = self.value(ref).dim()
        if rank == 0:
            return [] if self.chance(0.5) else [self.choice([0, -1])]
        picked = self.rng.sample(range(rank), self.rng.randint(min(least, rank), rank))
        picked = [a - rank if self.chance(0.3) else a for a in picked]
        if picked and self.chance(0.02):
            picked.append(picked[0])
        return picked

    def number(self, kinds="ifb"):
        kind = self.rng.choices(kinds, [{"i": 45, "f": 45, "b": 10}[k] for k in kinds])[0]
        if kind == "b":
            return self.chance(0.5)
        if kind == "i":
            u = self.rng.random()
            return self.choice([300, -300, 2**40, 127, 255, 256]) if u < 0.06 else self.rng.randint(-3, 5)
        return self.choice([0.5, 1.0, 2.0, -1.5, 5.1, 0.1, -2.5, 3.0, 0.0, -0.0, 0.25, -0.75] * 2 + [
            math.nan, math.inf, -math.inf, 1e10, 1e-8, 70000.0])

    def operand(self, ref, kinds="fib"):
        """A second operand: a tensor or a number."""
        return self.number() if self.chance(0.35) else self.fitting(ref, kinds)

    def given(self, chance, /, **kwargs):
        """Each keyword with this probability."""
        return {k: v for k, v in kwargs.items() if self.chance(chance)}

    def places(self, shape, n, negative=False, dtype="int64"):
        """Indices into an axis of n elements."""
        low, high = (-n if negative else 0), n - 1
        if n == 0:
            low, high = 0, 0
        if self.chance(0.03):
            high = n + 1
        return self.leaf(dtype, shape, low, high, grad=False)

    def same_gradient(self, t):
        """A gradient to begin a backward pass from `t` with."""
        return self.leaf(NAMES[t.dtype], list(t.shape), grad=self.chance(0.1), plain=True)


def cases(values):
    return lambda g, name: values

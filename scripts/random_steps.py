"""The steps that a random program is made of: for every operator, how its arguments are drawn.

A step is an operator's name (as in PyTorch's test database, with its variant) with positional and keyword arguments. The
tables know what an operator takes, not what anything here computes: nothing is left out because it differs. What is left
out is what PyTorch leaves open: order of ties in an unstable sort, places written twice, floats that no integer holds.
Used by random_programs.py."""

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


def cases(values):
    return lambda g, name: values


# Functions of each element.

@step("abs acos asin atan ceil cos cosh erf erfc exp exp2 expm1 floor frac isfinite isinf isnan log log10 log1p log2 "
      "logical_not neg reciprocal rsqrt sgn sigmoid sign sin sinh sqrt square tan tanh trunc round acosh asinh atanh "
      "positive sinc signbit isposinf isneginf bitwise_not deg2rad rad2deg", 14)
def unary(g, name):
    return [g.var()], {}


@step("nan_to_num", 0.3)
def nan_to_num(g, name):
    return [g.var()], g.given(0.4, nan=g.number("f"), posinf=g.number("f"), neginf=g.number("f"))


@step("logit", 0.3)
def logit(g, name):
    return [g.var()] + ([g.choice([0.2, 0.4, 0.0])] if g.chance(0.5) else []), {}


@step("round.decimals_0 round.decimals_3 round.decimals_neg_3", 0.4)
def rounded(g, name):
    return [g.var()], {"decimals": {"round.decimals_0": 0, "round.decimals_3": 3, "round.decimals_neg_3": -3}[name]}


# Two operands.

@step("mul eq ne lt le gt ge fmod clamp_max clamp_min", 6)
def tensor_and_operand(g, name):
    x = g.var()
    return [x, g.operand(x)], {}


@step("maximum minimum logical_and logical_or logical_xor atan2 hypot max.binary min.binary copysign logaddexp "
      "logaddexp2 ldexp", 4)
def tensor_and_tensor(g, name):
    x = g.var()
    return [x, g.fitting(x)], {}


@step("add sub rsub", 4)
def sum_of(g, name):
    x = g.var()
    pair = [x, g.operand(x)]
    if name != "rsub" and g.chance(0.08):
        pair = [g.number(), x]
    return pair, g.given(0.25, alpha=g.number())


@step("pow remainder xlogy div.no_rounding_mode floor_divide float_power", 4)
def either_side(g, name):
    x = g.var()
    y = g.operand(x)
    if g.chance(0.15):
        return [g.number(), x], {}
    return [x, y], {}


@step("div.floor_rounding div.trunc_rounding", 1.2)
def rounded_div(g, name):
    x = g.var()
    pair = [g.number(), x] if g.chance(0.12) else [x, g.operand(x)]
    return pair, {"rounding_mode": "floor" if "floor" in name else "trunc"}


@step("operator.add operator.sub operator.mul operator.truediv operator.mod operator.floordiv operator.pow", 3.5)
def operators(g, name):
    x = g.var()
    if g.chance(0.35):
        return [g.number("if"), x], {}
    return [x, g.number("if") if g.chance(0.5) else g.fitting(x)], {}


@step("bitwise_and bitwise_or bitwise_xor", 1)
def bitwise(g, name):
    x = g.var("ib")
    return [x, g.number("ib") if g.chance(0.3) else g.fitting(x, "ib")], {}


@step("addcmul addcdiv", 1)
def addc(g, name):
    x = g.var("f" if g.chance(0.8) else "fi")
    a = g.fitting(x)
    return [x, a, g.fitting(a)], g.given(0.4, value=g.number("if"))


@step("lerp", 0.7)
def lerp(g, name):
    x = g.var("f")
    return [x, g.fitting(x, "f"), g.number("if") if g.chance(0.4) else g.fitting(x, "f")], {}


@step("clamp", 1)
def clamp(g, name):
    x = g.var()
    if g.chance(0.5):
        low, high = g.number(), g.number()
    else:
        low, high = g.fitting(x), g.fitting(x)
    u = g.rng.random()
    return [x, None if u < 0.15 else low, None if u > 0.85 else high], {}


@step("where", 1.2)
def where(g, name):
    x = g.var()
    c = g.fitting(x, "b")
    y = g.operand(x)
    return [c, x, y] if g.chance(0.75) else [c, g.number(), g.number() if g.chance(0.2) else x], {}


@step("isclose", 0.3)
def isclose(g, name):
    x = g.var()
    return [x, g.fitting(x)], g.given(0.3, rtol=0.1, atol=0.5, equal_nan=True)


@step("to", 2)
def to(g, name):
    return [g.var(), DTYPES[g.dtype()]], {}


# Reductions.

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


# Products.

@step("matmul", 1.6)
def matmul(g, name):
    x = g.var("f" if g.chance(0.85) else "fi", range(1, 5))
    t = g.value(x)
    if t.dim() == 0:
        raise Skip
    k = t.shape[-1]
    if g.chance(0.2):
        shape = [k]
    else:
        batch = list(t.shape[:-2]) if g.chance(0.5) else []
        shape = [1 if g.chance(0.2) else n for n in batch] + [k, g.size()]
    return [x, paired(g, t, shape)], {}


def paired(g, t, shape):
    """An operand of a product: of the shape, out of the program or new."""
    if g.chance(0.03):
        shape = g.shape()
    fits = [i for i, o in enumerate(g.variables) if o is not None and list(o.shape) == shape and o.dtype == t.dtype]
    if fits and g.chance(0.4):
        return Ref(g.choice(fits))
    dtype = NAMES[t.dtype] if g.chance(0.94) else g.dtype()
    return g.leaf(dtype, shape)


@step("mm bmm mv dot outer", 2)
def products(g, name):
    rank = {"mm": 2, "bmm": 3, "mv": 2, "dot": 1, "outer": 1}[name]
    x = g.var("f" if g.chance(0.85) else "fi", rank)
    t = g.value(x)
    if t.dim() != rank:
        raise Skip
    shape = {"mm": lambda: [t.shape[1], g.size()], "bmm": lambda: [t.shape[0], t.shape[2], g.size()],
             "mv": lambda: [t.shape[1]], "dot": lambda: [t.shape[0]], "outer": lambda: [g.size()]}[name]()
    return [x, paired(g, t, shape)], {}


@step("addmm baddbmm", 1)
def addmm(g, name):
    n, k, m, b = g.size(), g.size(), g.size(), g.size()
    lead = [b] if name == "baddbmm" else []
    dtype = g.dtype("f") if g.chance(0.8) else g.dtype("i")
    x = g.leaf(dtype, g.choice([lead + [n, m], [m], [1, m], [n, 1], []]))
    t = g.value(x)
    numbers = "if" if dtype in FLOATS else "i"
    return ([x, paired(g, t, lead + [n, k]), paired(g, t, lead + [k, m])],
            g.given(0.4, beta=g.number(numbers), alpha=g.number(numbers)))


@step("einsum", 0.8)
def einsum(g, name):
    sizes = {c: g.size() for c in "ijkb"}
    dtype = g.dtype("f")
    equation = g.choice(["ij,jk->ik", "ij,kj->ik", "ij,kj->ki", "bij,bjk->bik", "i,j->ij", "ij->ji", "ij->i", "ii->i",
                         "ij,j->i", "bij,jk->bik", "ij,ij->ij", "ij->", "...i,i->...", "ij,jk", "bij->bji", "i,i->",
                         "ii", "bij,bij->b"])
    operands = []
    for part in equation.split("->")[0].split(","):
        operands.append(g.leaf(dtype, [sizes[c] for c in part.replace("...", "b")]))
    return [equation, operands], {}


@step("tensordot", 0.2)
def tensordot(g, name):
    x = g.var("f", range(1, 4))
    t = g.value(x)
    if t.dim() == 0 or not t.is_floating_point():
        raise Skip
    a = g.rng.randrange(t.dim())
    return [x, g.leaf(NAMES[t.dtype], [t.shape[a], g.size()])], {"dims": [[a], [0]]}


# Views and shapes.

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


# Index and place.

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


# In place.

@step("neg_ abs_ sqrt_ rsqrt_ reciprocal_ square_ exp_ exp2_ expm1_ log_ log2_ log10_ log1p_ sin_ cos_ tan_ asin_ acos_ "
      "atan_ sinh_ cosh_ tanh_ asinh_ acosh_ atanh_ erf_ erfc_ sigmoid_ relu_ floor_ ceil_ round_ trunc_ frac_ sign_ "
      "logical_not_ bitwise_not_ nan_to_num_", 4)
def unary_(g, name):
    return [g.var()], {}


@step("add_ sub_ mul_ div_ floor_divide_ remainder_ fmod_ pow_ clamp_min_ clamp_max_ logical_and_ logical_or_ bitwise_and_ "
      "bitwise_or_", 7)
def binary_(g, name):
    x = g.var()
    tensor = name.startswith("logical")
    y = g.fitting(x) if tensor or g.chance(0.6) else g.number()
    return [x, y], g.given(0.2, alpha=g.number()) if name in ("add_", "sub_") else {}


@step("lerp_", 0.3)
def lerp_(g, name):
    return lerp(g, name)


@step("addcmul_ addcdiv_", 0.5)
def addc_(g, name):
    return addc(g, name)


@step("clamp_", 0.5)
def clamp_(g, name):
    x = g.var()
    return ([x, g.number(), g.number()] if g.chance(0.6) else [x, g.fitting(x), g.fitting(x)]), {}


@step("cumsum_ cumprod_", 0.5)
def cumulative_(g, name):
    x = g.var()
    return [x, g.axis(x)], {}


@step("nn.functional.leaky_relu_ nn.functional.elu_ nn.functional.hardtanh_", 0.5)
def activations_(g, name):
    return [g.var("f")], {}


@step("copy_", 2.5)
def copy_(g, name):
    x = g.var()
    return [x, g.fitting(x)], {}


@step("fill_", 1.5)
def fill_(g, name):
    x = g.var()
    return [x, g.number() if g.chance(0.75) else g.leaf(g.dtype(), [])], {}


@step("zero_", 1)
def zero_(g, name):
    return [g.var()], {}


@step("diagonal.fill_ diagonal.mul_ diagonal.copy_", 0.6)
def diagonal_(g, name):
    x = g.var(rank=range(2, 4))
    t = g.value(x)
    if t.dim() < 2:
        raise Skip
    if name == "diagonal.copy_":
        return [x, g.leaf(NAMES[t.dtype], list(t.diagonal().shape))], {}
    return [x, g.number()], {}


# History.

@step("requires_grad_", 1.5)
def requires_grad_(g, name):
    return [g.var("f" if g.chance(0.95) else "fib")] + ([False] if g.chance(0.2) else []), {}


@step("detach", 1.2)
def detach(g, name):
    return [g.var()], {}


@step("detach_", 0.6)
def detach_(g, name):
    return [g.var("f")], {}


@step("retain_grad", 0.5)
def retain_grad(g, name):
    return [g.var("f", fits=lambda t: t.requires_grad)], {}


@step("get_grad", 0.8)
def get_grad(g, name):
    return [g.var("f", fits=lambda t: t.requires_grad and t.is_leaf and t.grad is not None, fresh=0)], {}


@step("drop_grad", 0.3)
def drop_grad(g, name):
    return [g.var("f", fits=lambda t: t.requires_grad and t.is_leaf and t.grad is not None, fresh=0)], {}


@step("backward", 5)
def backward(g, name):
    x = g.var("f", fits=lambda t: t.requires_grad, fresh=0.02)
    t = g.value(x)
    gradient = None if t.numel() == 1 and g.chance(0.5) or g.chance(0.03) else g.same_gradient(t)
    return [x, gradient], {**g.given(0.45, retain_graph=True), **g.given(0.1, create_graph=True)}


@step("grad", 2.5)
def grad(g, name):
    x = g.var("f", fits=lambda t: t.requires_grad and not t.is_leaf, fresh=0)
    t = g.value(x)
    inputs = [Ref(i) for i, v in enumerate(g.variables) if v is not None and v.requires_grad and i != x.index]
    if not inputs:
        raise Skip
    inputs = g.rng.sample(inputs, min(len(inputs), g.choice([1, 1, 2, 3])))
    gradient = None if t.numel() == 1 and g.chance(0.5) else g.same_gradient(t)
    return [[x], inputs, [gradient]], {
        **g.given(0.9, allow_unused=True), **g.given(0.4, retain_graph=True), **g.given(0.35, create_graph=True),
        **g.given(0.1, materialize_grads=True)}


def same_gradient(g, t):
    return g.leaf(NAMES[t.dtype], list(t.shape), grad=g.chance(0.1), plain=True)


Draw.same_gradient = same_gradient


# Chance.

@step("rand_like randn_like", 1)
def random_like(g, name):
    return [g.var("f")], g.given(0.15, dtype=DTYPES[g.dtype("f")])


@step("randint_like", 0.2)
def randint_like(g, name):
    return [g.var(), -2, 5], {}


@step("normal_ uniform_ exponential_ bernoulli_ random_", 1.2)
def fills(g, name):
    x = g.var("f" if name != "random_" else "i")
    args = {"normal_": [0.5, 2.0], "uniform_": [-1.0, 1.5], "exponential_": [2.0], "bernoulli_": [0.3],
            "random_": [0, 7]}[name]
    return [x] + args, {}


@step("bernoulli", 0.4)
def bernoulli(g, name):
    return [g.leaf(g.dtype("f"), g.shape(), 0.0, 1.0)], {}


@step("normal", 0.3)
def normal(g, name):
    shape = g.shape()
    return [g.leaf("float32", shape, plain=True), g.leaf("float32", shape, 0.1, 2.0)], {}


@step("rand randn", 0.6)
def draws(g, name):
    return [g.shape()], g.given(0.3, dtype=DTYPES[g.dtype("f")])


@step("randint", 0.2)
def randint(g, name):
    return [-3, 9, g.shape()], {}


@step("randperm", 0.3)
def randperm(g, name):
    return [g.choice([0, 1, 2, 5, 9])], {}


@step("nn.functional.dropout", 0.8)
def dropout(g, name):
    return [g.var("f"), g.choice([0.5, 0.2, 0.0, 1.0]), g.chance(0.85)], {}


# Made from nothing.

@step("zeros_like ones_like", 1)
def like(g, name):
    return [g.var()], g.given(0.25, dtype=DTYPES[g.dtype()])


@step("full_like", 0.5)
def full_like(g, name):
    return [g.var(), g.number()], g.given(0.2, dtype=DTYPES[g.dtype()])


@step("full", 0.4)
def full(g, name):
    return [g.shape(), g.number()], {"dtype": DTYPES[g.dtype()]}


@step("zeros ones", 0.4)
def zeros(g, name):
    return [g.shape()], {"dtype": DTYPES[g.dtype()]}


@step("arange", 0.5)
def arange(g, name):
    u = g.rng.random()
    args = ([g.rng.randint(0, 6)] if u < 0.4 else [g.rng.randint(-3, 2), g.rng.randint(2, 6)] if u < 0.7
            else [0.5, 4.2, g.choice([0.5, 0.3, 1])])
    return args, g.given(0.3, dtype=DTYPES[g.choice(["float32", "int64", "float64", "int32"])])


@step("eye", 0.3)
def eye(g, name):
    return [g.size()] + ([g.size()] if g.chance(0.5) else []), g.given(0.3, dtype=DTYPES[g.dtype()])


@step("linspace", 0.3)
def linspace(g, name):
    return [g.choice([0, -1.5, 2]), g.choice([1, 4.3, -3]), g.size()], g.given(0.2, dtype=torch.float64)


# torch.nn.functional.

@step("nn.functional.relu nn.functional.relu6 nn.functional.selu nn.functional.silu nn.functional.mish "
      "nn.functional.hardsigmoid nn.functional.hardswish nn.functional.softsign nn.functional.logsigmoid "
      "nn.functional.tanhshrink nn.functional.softshrink nn.functional.hardshrink", 3.5)
def activations(g, name):
    return [g.var("f" if g.chance(0.9) else "fib")], {}


@step("nn.functional.leaky_relu nn.functional.elu nn.functional.celu", 1)
def sloped(g, name):
    return [g.var("f" if g.chance(0.93) else "fib")] + ([g.choice([0.1, 0.5, 1.0, -0.2])] if g.chance(0.5) else []), {}


@step("nn.functional.gelu", 0.6)
def gelu(g, name):
    return [g.var("f")], g.given(0.6, approximate=g.choice(["tanh", "none", "tanh", "none", "erf"]))


@step("nn.functional.hardtanh", 0.4)
def hardtanh(g, name):
    return [g.var("f" if g.chance(0.85) else "fi")] + (g.choice([[-0.5, 2.0], [0, 1], [-2, 2]]) if g.chance(0.5) else []), {}


@step("nn.functional.softplus", 0.4)
def softplus(g, name):
    return [g.var("f")], g.given(0.4, beta=g.choice([2, 0.5]), threshold=g.choice([1, 3.5]))


@step("nn.functional.threshold", 0.3)
def threshold(g, name):
    return [g.var("f" if g.chance(0.85) else "fi"), g.choice([0.1, 1, -1.5]), g.choice([0, -2.5, 9])], {}


@step("nn.functional.glu", 0.4)
def glu(g, name):
    x = g.var("f", range(1, 4))
    return [x] + ([g.axis(x)] if g.chance(0.6) else []), {}


@step("nn.functional.prelu", 0.4)
def prelu(g, name):
    x = g.var("f")
    t = g.value(x)
    n = t.shape[1] if t.dim() > 1 and g.chance(0.6) else 1
    return [x, g.leaf(NAMES[t.dtype], [n])], {}


@step("nn.functional.mse_loss nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss", 1.6)
def losses(g, name):
    x = g.var("f")
    kwargs = g.given(0.6, reduction=g.choice(["mean", "sum", "none"]))
    if name.endswith("smooth_l1_loss"):
        kwargs.update(g.given(0.4, beta=g.choice([0.5, 2.0, 0.0])))
    if name.endswith("huber_loss"):
        kwargs.update(g.given(0.4, delta=g.choice([0.5, 2.0])))
    return [x, g.same(x, "f") if g.chance(0.75) else g.fitting(x)], kwargs


@step("nn.functional.kl_div", 0.4)
def kl_div(g, name):
    x = g.var("f")
    return [x, g.same(x, "f") if g.chance(0.8) else g.fitting(x)], {
        **g.given(0.7, reduction=g.choice(["mean", "sum", "none", "batchmean"])), **g.given(0.4, log_target=True)}


@step("nn.functional.binary_cross_entropy", 0.4)
def bce(g, name):
    shape, dtype = g.shape(), g.dtype("f")
    return ([g.leaf(dtype, shape, 0.0, 1.0), g.leaf(dtype if g.chance(0.9) else g.dtype(), shape, 0.0, 1.0)]
            + ([g.leaf(dtype, shape, 0.1, 2.0, grad=False)] if g.chance(0.2) else []),
            g.given(0.5, reduction=g.choice(["mean", "sum", "none"])))


@step("nn.functional.binary_cross_entropy_with_logits", 0.5)
def bce_logits(g, name):
    x = g.var("f")
    t = g.value(x)
    target = g.leaf(NAMES[t.dtype] if g.chance(0.8) else g.dtype(), list(t.shape), 0.0, 1.0, grad=g.chance(0.2))
    kwargs = g.given(0.5, reduction=g.choice(["mean", "sum", "none"]))
    if g.chance(0.2):
        kwargs["pos_weight"] = g.leaf(NAMES[t.dtype], list(t.shape[-1:]), 0.5, 2.0, grad=False)
    return [x, target], kwargs


@step("nn.functional.cross_entropy nn.functional.nll_loss", 1)
def classes(g, name):
    x = g.var("f", range(1, 5))
    t = g.value(x)
    if t.dim() == 0:
        raise Skip
    n = t.shape[0] if t.dim() == 1 else t.shape[1]
    shape = [] if t.dim() == 1 else [t.shape[0], *t.shape[2:]]
    if name.endswith("cross_entropy") and g.chance(0.2):
        target = g.leaf(NAMES[t.dtype], list(t.shape), 0.0, 1.0, grad=False)
    else:
        target = g.places(shape, n, dtype=g.choice(["int64"] * 9 + ["int32", "uint8"]))
    kwargs = g.given(0.6, reduction=g.choice(["mean", "sum", "none"]))
    if g.chance(0.2):
        kwargs["weight"] = g.leaf(NAMES[t.dtype], [n], 0.2, 2.0, grad=False)
    kwargs.update(g.given(0.15, ignore_index=g.choice([0, 1, -100])))
    if name.endswith("cross_entropy"):
        kwargs.update(g.given(0.2, label_smoothing=0.1))
    return [x, target], kwargs


def image(g, rank):
    """A float variable [.., channels, ..sizes], or a new one."""
    return g.var("f", rank, fits=lambda t: t.numel() > 0 and min(t.shape) > 0, fresh=0.3)


@step("nn.functional.conv1d nn.functional.conv2d nn.functional.conv_transpose2d", 1.8)
def conv(g, name):
    n = 1 if "1d" in name else 2
    x = image(g, g.choice([n + 1, n + 2, n + 2]))
    t = g.value(x)
    if t.dim() < n + 1:
        raise Skip
    if g.chance(0.06):
        x = g.leaf(g.dtype("i"), list(t.shape))
        t = g.value(x)
    c = t.shape[-n - 1]
    groups = g.choice([d for d in range(1, c + 1) if c % d == 0] or [1]) if g.chance(0.3) else 1
    out = groups * g.choice([1, 2])
    kernel = [g.choice([1, 2, 2, 3]) for _ in range(n)]
    if "transpose" in name:
        w, out = [c, max(out // groups, 1)] + kernel, max(out // groups, 1) * groups
    else:
        w = [out, max(c // groups, 1)] + kernel
    args = [x, paired(g, t, w)]
    if g.chance(0.5):
        args.append(g.leaf(NAMES[t.dtype] if g.chance(0.93) else "float32", [out]))
    kwargs = g.given(0.35, stride=g.choice([1, 2]), padding=g.choice([0, 1]), dilation=g.choice([1, 2]))
    if groups > 1:
        kwargs["groups"] = groups
    if "transpose" not in name and g.chance(0.1):
        kwargs["padding"] = g.choice(["same", "valid"])
    return args, kwargs


@step("nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.max_pool1d nn.functional.max_pool2d", 1.6)
def pool(g, name):
    n = 1 if "1d" in name else 2
    x = image(g, g.choice([n + 1, n + 2]))
    kwargs = g.given(0.4, stride=g.choice([1, 2]), ceil_mode=True)
    kwargs.update(g.given(0.3, padding=1))
    if "avg" in name:
        kwargs.update(g.given(0.3, count_include_pad=False))
    else:
        kwargs.update(g.given(0.2, dilation=2))
        kwargs.update(g.given(0.5, return_indices=True))
    return [x, g.choice([1, 2, 2, 3])], kwargs


@step("nn.functional.adaptive_avg_pool2d", 0.4)
def adaptive(g, name):
    return [image(g, g.choice([3, 4])), g.choice([1, 2, [2, 3], [1, 2], [None, 2]])], {}


@step("nn.functional.unfold", 0.4)
def unfold2d(g, name):
    return [image(g, g.choice([3, 4, 4])), g.choice([1, 2, [1, 2]])], g.given(0.3, padding=1, stride=2, dilation=1)


@step("nn.functional.interpolate.nearest nn.functional.interpolate.bilinear", 0.8)
def interpolate(g, name):
    bilinear = name.endswith("bilinear")
    x = image(g, 4 if bilinear else g.choice([3, 4]))
    kwargs = {"mode": "bilinear" if bilinear else "nearest"}
    if g.chance(0.5):
        kwargs["size"] = [g.choice([1, 2, 3, 5]) for _ in range(max(g.value(x).dim() - 2, 1))]
    else:
        kwargs["scale_factor"] = g.choice([2.0, 0.5, 1.5, 1.0])
    if bilinear:
        kwargs.update(g.given(0.4, align_corners=True))
    return [x], kwargs


@step("nn.functional.pad.constant", 0.9)
def pad_constant(g, name):
    x = g.var()
    rank = g.value(x).dim()
    pads = [g.choice([0, 0, 1, 2, -1]) for _ in range(2 * g.rng.randint(0, rank))]
    return [x, pads], {"mode": "constant", **g.given(0.5, value=g.number("if"))}


@step("nn.functional.pad.reflect nn.functional.pad.replicate nn.functional.pad.circular", 0.9)
def pad_mode(g, name):
    x = image(g, g.choice([2, 3, 4]))
    rank = g.value(x).dim()
    k = g.choice([1, 2]) if rank > 3 else 1
    return [x, [g.choice([0, 1, 1, 2, -1]) for _ in range(2 * k)], name.split(".")[-1]], {}


@step("nn.functional.pixel_shuffle", 0.3)
def pixel_shuffle(g, name):
    k = g.choice([1, 1, 2])
    x = g.var("fi", range(3, 5)) if k == 1 else g.leaf(g.dtype("f"), [g.choice([1, 2]), 4 * g.choice([1, 2]), 2, 1])
    return [x, k], {}


@step("nn.functional.channel_shuffle", 0.2)
def channel_shuffle(g, name):
    return [g.var("f", range(3, 5)), g.choice([1, 1, 2])], {}


@step("nn.functional.batch_norm nn.functional.instance_norm", 0.9)
def batch_norm(g, name):
    x = image(g, range(2, 5) if "batch" in name else range(3, 5))
    t = g.value(x)
    if t.dim() < 2:
        raise Skip
    c, dtype = t.shape[1], NAMES[t.dtype]
    stats = [g.leaf(dtype, [c], grad=False, plain=True), g.leaf(dtype, [c], 0.5, 2.0, grad=False)]
    args = [x] + (stats if g.chance(0.6) else [None, None])
    kwargs = {}
    if g.chance(0.6):
        kwargs = {"weight": g.leaf(dtype, [c]), "bias": g.leaf(dtype, [c])}
    train = "training" if "batch" in name else "use_input_stats"
    kwargs.update({train: True} if args[1] is None else g.given(0.6, **{train: g.chance(0.5)}))
    return args, kwargs


@step("nn.functional.layer_norm nn.functional.rms_norm", 0.9)
def layer_norm(g, name):
    x = g.var("f", range(1, 5))
    t = g.value(x)
    if t.dim() == 0:
        raise Skip
    k = g.rng.randint(1, min(t.dim(), 2))
    shape = list(t.shape[-k:])
    kwargs = {}
    if g.chance(0.5):
        kwargs["weight"] = g.leaf(NAMES[t.dtype], shape)
        if "layer" in name and g.chance(0.6):
            kwargs["bias"] = g.leaf(NAMES[t.dtype], shape)
    return [x, shape], kwargs


@step("nn.functional.group_norm", 0.5)
def group_norm(g, name):
    x = g.var("f", range(2, 5))
    t = g.value(x)
    if t.dim() < 2:
        raise Skip
    c = t.shape[1]
    kwargs = {"weight": g.leaf(NAMES[t.dtype], [c]), "bias": g.leaf(NAMES[t.dtype], [c])} if g.chance(0.5) else {}
    return [x, g.choice([d for d in range(1, c + 1) if c % d == 0] or [1])], kwargs


@step("nn.functional.normalize", 0.5)
def normalize(g, name):
    x = g.var("f")
    return [x], {**g.given(0.3, p=g.choice([1.0, 2.0, 3.0])), "dim": g.axis(x)}


@step("nn.functional.cosine_similarity", 0.4)
def cosine_similarity(g, name):
    x = g.var("f", range(1, 4))
    return [x, g.same(x, "f")], g.given(0.8, dim=g.axis(x))


@step("nn.functional.linear", 1)
def linear(g, name):
    x = g.var("f", range(1, 5))
    t = g.value(x)
    if t.dim() == 0:
        raise Skip
    out = g.size()
    return [x, paired(g, t, [out, t.shape[-1]])] + ([g.leaf(NAMES[t.dtype], [out])] if g.chance(0.5) else []), {}


@step("nn.functional.bilinear", 0.2)
def bilinear(g, name):
    a, b, out, lead, dtype = g.size(), g.size(), g.choice([1, 2]), g.shape(1), g.dtype("f")
    return [g.leaf(dtype, lead + [a]), g.leaf(dtype, lead + [b]), g.leaf(dtype, [out, a, b])], {}


@step("nn.functional.embedding", 0.5)
def embedding(g, name):
    w = g.var("f", 2)
    t = g.value(w)
    if t.dim() != 2:
        raise Skip
    return [g.places(g.shape(g.choice([0, 1, 2])), t.shape[0]), w], g.given(0.2, padding_idx=g.choice([0, -1]))


@step("nn.functional.one_hot", 0.3)
def one_hot(g, name):
    return [g.places(g.shape(g.choice([0, 1, 2])), 4)], g.given(0.6, num_classes=g.choice([4, 5]))


@step("nn.functional.scaled_dot_product_attention", 0.6)
def attention(g, name):
    lead, l, s, e, v = g.shape(g.choice([0, 1, 2])), g.choice([1, 2, 3]), g.choice([1, 2, 3]), g.choice([1, 2, 4]), 2
    lead, dtype = lead[:2], g.dtype("f")
    args = [g.leaf(dtype, lead + [l, e]), g.leaf(dtype, lead + [s, e]), g.leaf(dtype, lead + [s, v if g.chance(0.3) else e])]
    if g.chance(0.3):
        args.append(g.leaf("bool" if g.chance(0.5) else dtype, [l, s], grad=False))
        return args, {}
    return args, g.given(0.3, is_causal=True)

"""Steps of random programs: products of vectors and matrices."""

from random_steps.draw import FLOATS, NAMES, Ref, Skip, step


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

"""Records what PyTorch's generator draws, its saved states, and ranges, as bits: draws.py > draws.json"""
import json, struct, sys
import torch

torch.set_num_threads(1)
f, d, i, b = torch.float32, torch.float64, torch.int64, torch.bool
g = torch.Generator()


def bits(t):
    t = t.contiguous().flatten()
    if t.dtype == f:
        return [struct.unpack("<I", struct.pack("<f", v))[0] for v in t.tolist()]
    if t.dtype == d:
        return [str(struct.unpack("<Q", struct.pack("<d", v))[0]) for v in t.tolist()]
    return [int(v) for v in t.tolist()]


def record(t):
    return dict(dtype=str(t.dtype).removeprefix("torch."), shape=list(t.shape), bits=bits(t))


# One stream, each draw after those before it.
WEIGHTS = torch.tensor([0.1, 3.0, 0.0, 2.0, 0.7])
ROWS = torch.tensor([[0.2, 1.0, 0.5], [3.0, 1.0, 0.01]])
P = torch.tensor([0.1, 0.5, 0.9, 0.0, 1.0, 0.3])


def strided():
    return torch.zeros(4, 6)[:, 1:4]


DRAWS = {
    "rand": lambda: torch.rand(5, generator=g),
    "rand f64": lambda: torch.rand(5, dtype=d, generator=g),
    "randn 5": lambda: torch.randn(5, generator=g),
    "randn 16": lambda: torch.randn(16, generator=g),
    "randn 37": lambda: torch.randn(37, generator=g),
    "randn f64 3": lambda: torch.randn(3, dtype=d, generator=g),
    "randn f64 21": lambda: torch.randn(3, 7, dtype=d, generator=g),
    "randint": lambda: torch.randint(-5, 90, (7,), generator=g),
    "randint large": lambda: torch.randint(0, 2**40, (3,), generator=g),
    "randperm": lambda: torch.randperm(9, generator=g),
    "uniform_": lambda: torch.empty(6).uniform_(-2, 3, generator=g),
    "uniform_ f64": lambda: torch.empty(6, dtype=d).uniform_(-2, 3, generator=g),
    "normal_": lambda: torch.empty(6).normal_(1, 0.25, generator=g),
    "normal_ 20": lambda: torch.empty(20).normal_(1, 0.25, generator=g),
    "exponential_": lambda: torch.empty(6).exponential_(1.5, generator=g),
    "exponential_ f64": lambda: torch.empty(6, dtype=d).exponential_(1.5, generator=g),
    "random_ f32": lambda: torch.empty(4).random_(generator=g),
    "random_ f64": lambda: torch.empty(4, dtype=d).random_(generator=g),
    "random_ i64": lambda: torch.empty(4, dtype=i).random_(generator=g),
    "random_ bool": lambda: torch.empty(6, dtype=b).random_(generator=g),
    "random_range_": lambda: torch.empty(6).random_(-3, 12, generator=g),
    "bernoulli_ p": lambda: torch.empty(10).bernoulli_(0.3, generator=g),
    "bernoulli_ i64": lambda: torch.empty(10, dtype=i).bernoulli_(0.3, generator=g),
    "bernoulli_ tensor": lambda: torch.empty(6).bernoulli_(P, generator=g),
    "bernoulli": lambda: torch.bernoulli(P, generator=g),
    "bernoulli f64": lambda: torch.bernoulli(P.double(), generator=g),
    "normal mean and std": lambda: torch.normal(torch.tensor([[1.0], [2.0]]), torch.tensor([0.1, 0.2, 0.3]), generator=g),
    "normal mean": lambda: torch.normal(torch.tensor([1.0, 2.0, 3.0]), 0.5, generator=g),
    "normal std": lambda: torch.normal(2.0, torch.tensor([0.1, 0.2, 0.3]), generator=g),
    "normal numbers": lambda: torch.normal(2.0, 0.5, (4,), generator=g),
    "multinomial": lambda: torch.multinomial(WEIGHTS, 9, True, generator=g),
    "multinomial one": lambda: torch.multinomial(WEIGHTS, 1, True, generator=g),
    "multinomial without": lambda: torch.multinomial(WEIGHTS, 4, False, generator=g),
    "multinomial rows": lambda: torch.multinomial(ROWS, 6, True, generator=g),
    "multinomial rows without f64": lambda: torch.multinomial(ROWS.double(), 2, False, generator=g),
    "transposed normal_": lambda: torch.empty(5, 4).t().normal_(generator=g),
    "transposed uniform_": lambda: torch.empty(2, 3, 4).permute(2, 0, 1).uniform_(generator=g),
    "part uniform_": lambda: strided().uniform_(generator=g),
    "part normal_": lambda: torch.zeros(10, 6)[:, 1:4].normal_(generator=g),
    "transposed bernoulli_": lambda: torch.empty(5, 4).t().bernoulli_(0.5, generator=g),
    "transposed bernoulli": lambda: torch.bernoulli(P.reshape(3, 2).t(), generator=g),
    "transposed bernoulli_ tensor": lambda: torch.empty(3, 2).t().bernoulli_(P.reshape(2, 3), generator=g),
    "last": lambda: torch.rand(2, generator=g),
}
g.manual_seed(7)
draws = {name: record(draw()) for name, draw in DRAWS.items()}
torch.manual_seed(7)
likes = {
    "rand_like": record(torch.rand_like(torch.zeros(3))),
    "randn_like transposed": record(torch.randn_like(torch.zeros(5, 4).t())),
    "randint_like": record(torch.randint_like(torch.zeros(2, 3), -4, 50)),
    "dropout": record(torch.nn.functional.dropout(torch.ones(12), 0.3, True)),
}


def state():
    return bytes(g.get_state().tolist()).hex()


g.manual_seed(2**40 + 7)
states = dict(seeded=state())
g.manual_seed(3)
torch.rand(11, generator=g)
torch.randn(1, generator=g)
states["kept sample"] = state()
torch.rand(624 - 11 - 4, generator=g)
states["batch used up"] = state()
follows = record(torch.randn(3, generator=g))

RANGES = [
    ("linspace", a, e, n, dt)
    for dt in ("float32", "float64")
    for a, e, n in [(-1, 1, 100), (0, 1, 7), (0.1, 3.7, 50), (-5.3, 2.9, 133), (1, 10, 10), (3, 4, 1), (3, 4, 0), (0, 1, 2),
                    (1e-8, 1e8, 33), (5, -5, 21)]
] + [("linspace", 0, 10, 4, "int64"), ("linspace", -3, 9, 8, "int64")] + [
    ("arange", a, e, s, dt)
    for dt in ("float32", "float64")
    for a, e, s in [(0, 1, 0.1), (0, 10, 0.1), (-3.3, 9.1, 0.037), (5, -5, -0.3), (0.5, 100.2, 1.7), (0, 16, 1.0), (2, 2, 0.5),
                    (1 / 3, 40, 0.7), (0, 1e-3, 1e-5)]
] + [("arange", 0, 5, 1.5, "int64"), ("arange", 0.5, 5, 2.0, "int64"), ("arange", -7, 9, 3, "int64"), ("arange", 9, -7, -5, "int64"),
     ("arange", 0, 40, 1, "float32")] + [
    ("logspace", a, e, n, dt) for dt in ("float32", "float64") for a, e, n in [(0, 2, 5), (-1.3, 2.2, 40), (3, 4, 1), (-10, 10, 21)]
]
ranges = []
for kind, a, e, s, dt in RANGES:
    t = getattr(torch, kind)(a, e, s, dtype=getattr(torch, dt))
    ranges.append(dict(kind=kind, start=float(a), end=float(e), by=float(s), whole=all(isinstance(v, int) for v in (a, e, s)),
                       **record(t)))
json.dump(dict(torch=torch.__version__.split("+")[0], draws=draws, likes=likes, states=states, follows=follows, ranges=ranges),
          sys.stdout, separators=(",", ":"))

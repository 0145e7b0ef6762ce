"""Records how PyTorch prints tensors, with their elements as bits: printing.py > printing.json"""
import json, struct, sys
import torch

CASES = []


def bits(t):
    if t.dtype == torch.float32:
        return [struct.unpack("<I", struct.pack("<f", v))[0] for v in t.flatten().tolist()]
    if t.dtype == torch.float64:
        return [str(struct.unpack("<Q", struct.pack("<d", v))[0]) for v in t.flatten().tolist()]
    return [int(v) for v in t.flatten().tolist()]


def case(name, t, **options):
    torch.set_printoptions(profile=options.pop("profile", "default"))
    torch.set_printoptions(**options)
    opts = torch._tensor_str.PRINT_OPTS
    limits = dict(precision=opts.precision, threshold=None if opts.threshold == torch.inf else int(opts.threshold),
                  edgeitems=opts.edgeitems, linewidth=opts.linewidth, sci_mode=opts.sci_mode)
    # Elements of large tensors are rules, not data.
    rule = getattr(t, "rule", None)
    CASES.append(dict(name=name, dtype=str(t.dtype).removeprefix("torch."), shape=list(t.shape), rule=rule,
                      bits=None if rule else bits(t.detach()), requires_grad=t.requires_grad, options=limits, text=str(t)))
    torch.set_printoptions(profile="default")


def ramp(shape, dtype, scale=1):
    """element i is (i % 1013 - 500) * scale"""
    n = 1
    for d in shape:
        n *= d
    t = ((torch.arange(n) % 1013 - 500) * scale).to(dtype).reshape(shape)
    t.rule = [-500, 1013, scale]
    return t


f, d, i, b = torch.float32, torch.float64, torch.int64, torch.bool
inf, nan = float("inf"), float("nan")
ROWS = {
    "zero": [0.0], "negative zero": [-0.0], "one": [1.0], "whole": [1.0, -2.0, 30.0], "fraction": [0.5, 1.0],
    "thirds": [1 / 3, -2 / 3], "ties": [0.00005, 0.00015, 0.12345, 2.5, 0.00025], "nan": [nan], "inf": [inf, -inf],
    "nan among whole": [nan, 1.0, -inf], "nan among fractions": [nan, 1.5, -inf, inf], "zeros and nan": [0.0, nan, -0.0],
    "just under a thousand": [1.0, 1000.0], "just over a thousand": [1.0, 1001.0], "fractions far apart": [0.5, 600.5],
    "fractions near": [0.5, 499.5], "large": [1e8, 2e8], "larger": [1.5e9], "small": [1e-4], "smaller": [9e-5],
    "tiny": [1e-30, 3e-31], "huge": [3e38], "sci with inf": [1e-10, inf, -inf, nan, 0.0], "sci whole": [1.0, -1e9],
    "negative fractions": [-0.25, 12.75], "mixed zeros": [0.0, -0.0, 0.125], "long whole": [99999999.0, 1.0e5],
}
for name, row in ROWS.items():
    case(name, torch.tensor(row, dtype=f))
for name in ("thirds", "ties", "whole", "sci with inf", "nan", "huge", "large"):
    case(name + " f64", torch.tensor(ROWS[name], dtype=d))
case("1e-300", torch.tensor([1e-300, 1e300], dtype=d))
case("scalar", torch.tensor(3.14159))
case("scalar whole", torch.tensor(-7.0))
case("scalar f64", torch.tensor(2.0, dtype=d))
case("scalar i64", torch.tensor(-42))
case("scalar bool", torch.tensor(True))
case("scalar nan", torch.tensor(nan))
case("scalar small", torch.tensor(1e-7))
case("ints", torch.tensor([1, -20, 300]))
case("int limits", torch.tensor([2**63 - 1, -(2**63), 0]))
case("bools", torch.tensor([True, False, True]))
case("bool matrix", torch.tensor([[True, False], [False, False]]))
case("one bool", torch.tensor([False]))
case("matrix", torch.tensor([[1.0, 2.0], [3.0, -4.5]]))
case("int matrix", torch.tensor([[1, -2], [300, 4]]))
case("cube", torch.arange(24, dtype=f).reshape(2, 3, 4))
case("four axes", torch.arange(24).reshape(2, 2, 3, 2))
case("five axes", torch.arange(16).reshape(2, 2, 1, 2, 2) > 7)
for shape in ((0,), (0, 3), (3, 0), (2, 0, 4)):
    for dtype in (f, d, i, b):
        case(f"empty {shape} {dtype}", torch.empty(shape, dtype=dtype))
case("wrapped", ramp((50,), f, 0.25))
case("wrapped ints", ramp((60,), i))
case("wrapped bools", torch.arange(40) % 3 == 0)
case("wrapped rows", ramp((3, 30), d, 0.5))
case("a thousand", ramp((1000,), i))
case("a thousand and one", ramp((1001,), i))
case("summarised whole", ramp((2000,), f))
case("summarised matrix", ramp((40, 50), f, 0.5))
case("summarised wide matrix", ramp((4, 500), f, 0.5))
case("summarised tall matrix", ramp((500, 4), i))
case("summarised cube", ramp((10, 11, 12), d, 0.125))
case("summarised cube, short axes", ramp((2, 600, 2), f, 3))
case("summarised four axes", ramp((7, 2, 8, 20), i))
case("summarised ignores the middle", ramp((1013,), f, 1e6))
case("needs grad", torch.tensor([1.0, 2.0], requires_grad=True))
case("needs grad f64", torch.tensor([[1.0], [2.5]], dtype=d, requires_grad=True))
case("needs grad empty", torch.empty((0, 2), requires_grad=True))
case("grad on a full line", torch.full((7,), 0.125, requires_grad=True))
case("grad after a long line", torch.full((8,), 0.125, requires_grad=True))
case("dtype after a long line", torch.full((8,), 0.125, dtype=d, requires_grad=True))
for n in range(4, 12):
    case(f"suffix at the edge {n}", torch.full((n,), 0.5, dtype=d))
    case(f"suffix of two lines {n}", torch.full((2, n), 0.5, dtype=d, requires_grad=True))
x = torch.tensor([0.00001234, 1.5, 20000.125])
case("precision 2", x, precision=2)
case("precision 0", torch.tensor([0.5, 1.5, 2.25]), precision=0)
case("precision 10", x.double(), precision=10)
case("sci", torch.tensor([1.0, 2.5]), sci_mode=True)
case("sci whole numbers", torch.tensor([1.0, 20.0]), sci_mode=True)
case("sci, no nonzero", torch.tensor([0.0, nan]), sci_mode=True)
case("no sci", x, sci_mode=False)
case("no sci, large", torch.tensor([1e10, 0.5]), sci_mode=False)
case("threshold", ramp((11,), i), threshold=5)
case("threshold 0 of a scalar", torch.tensor(1.0), threshold=0)
case("edge items 1", ramp((11, 9), f, 0.5), threshold=5, edgeitems=1)
case("edge items 0", ramp((11,), f, 0.5), threshold=5, edgeitems=0)
case("edge items 0, matrix", ramp((11, 2), d, 0.5), threshold=5, edgeitems=0)
case("edge items 0, all shown", ramp((3,), f, 0.5), edgeitems=0)
case("narrow lines", ramp((20,), i), linewidth=30)
case("lines of nothing", ramp((4,), i), linewidth=1)
case("wide lines", ramp((50,), f, 0.25), linewidth=200)
case("short profile", ramp((40, 50), f, 1 / 3), profile="short")
case("full profile", ramp((1100,), i), profile="full")
json.dump(dict(torch=torch.__version__.split("+")[0], cases=CASES), sys.stdout, indent=None, separators=(",", ":"))

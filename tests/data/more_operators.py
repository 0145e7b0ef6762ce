"""Writes more_operators.json: values and gradients of PyTorch for tests/more_operators.

Python with PyTorch: python tests/data/more_operators.py > tests/data/more_operators.json
Each case: inputs (dtype, shape, numbers), outputs, and the gradients of sum(output * weights(output)) for the float inputs. The
eager ones are refused in a trace.
"""
import json
import torch

CASES = []
NAMES = {torch.float32: "f32", torch.float64: "f64", torch.int64: "i64", torch.int32: "i32", torch.bool: "bool", torch.uint8: "u8",
         torch.float16: "f16", torch.bfloat16: "bf16"}


def weights(out):
    i = torch.arange(out.numel(), dtype=torch.float64)
    return (torch.remainder(i * 7, 11) / 4 - 1.25).to(out.dtype).reshape(out.shape)


def flat(t):
    xs = t.detach().reshape(-1).tolist()
    odd = lambda x: isinstance(x, float) and (x != x or abs(x) == float("inf"))
    return {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data": [str(x) if odd(x) else x for x in xs]}


def case(name, inputs, f, eager=False, tol=1e-5, grads=True):
    inputs = [t.clone().requires_grad_(t.is_floating_point() and grads) for t in inputs]
    outs = f(*inputs)
    outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
    sums = [(o * weights(o)).sum() for o in outs if o.is_floating_point() and o.requires_grad]
    if sums and grads:
        sum(sums).backward()
    CASES.append({
        "name": name,
        "eager": eager,
        "tol": tol,
        "inputs": [flat(t) for t in inputs],
        "outputs": [flat(t) for t in outs],
        "grads": [None if t.grad is None else flat(t.grad) for t in inputs],
    })


def n(*shape, k=0, dtype=torch.float32):
    count = 1
    for s in shape:
        count *= s
    i = torch.arange(count, dtype=torch.float64)
    return (torch.remainder(i * 37 + k * 101, 257) / 64 - 2).to(dtype).reshape(shape)


nan, inf = float("nan"), float("inf")
f32 = lambda *xs: torch.tensor(xs, dtype=torch.float32)
ints = lambda *xs: torch.tensor(xs)
ties = f32(2, 1, 2, 3, 1, 2, 0, 3).reshape(2, 4)
holes = f32(2, nan, 1, 3, nan, nan, 5, -inf, inf, nan, nan, nan, 4, 0, 1, 2, 7, 8).reshape(3, 6)

for name, x in [("", n(3, 5)), ("_even", n(2, 4, 3)), ("_ties", ties), ("_nan", holes), ("_f64", n(4, 3, dtype=torch.float64))]:
    case(f"median{name}", [x], lambda x: x.median())
    case(f"nanmedian{name}", [x], lambda x: x.nanmedian())
for name, x in [("", n(3, 5)), ("_even", n(2, 4, 3)), ("_f64", n(4, 3, dtype=torch.float64))]:
    case(f"median_dim{name}", [x], lambda x: tuple(x.median(1)))
    case(f"nanmedian_dim{name}", [x], lambda x: tuple(x.nanmedian(0, True)))
case("median_dim_nan", [holes], lambda x: x.median(1)[0])
case("nanmedian_dim_nan", [holes], lambda x: x.nanmedian(1)[0])
case("median_t", [n(3, 5)], lambda x: tuple(x.t().median(0)))
case("median_0d", [f32(3).reshape(())], lambda x: tuple(x.median(0)))
case("median_i64", [ints(5, 3, 8, 1)], lambda x: x.median())
case("median_empty", [torch.zeros(0)], lambda x: x.median(), grads=False)
case("median_f16", [n(5).half()], lambda x: x.median(), grads=False)

levels = f32(0, 0.25, 0.6, 1)
for how in ["linear", "lower", "higher", "midpoint", "nearest"]:
    case(f"quantile_{how}", [n(4, 6), levels], lambda x, q: x.quantile(q.detach(), 1, True, interpolation=how))
    case(f"nanquantile_{how}", [holes[[0, 2]].abs().clamp(max=9), levels], lambda x, q: x.nanquantile(q.detach(), 1, interpolation=how))
case("quantile_all", [n(3, 4)], lambda x: x.quantile(0.3))
case("quantile_nan", [holes], lambda x: x.quantile(0.5, 1), grads=False)
case("nanquantile_nan", [holes], lambda x: x.nanquantile(0.5, 1), grads=False)
case("quantile_dim0", [n(4, 3, 2), levels], lambda x, q: x.quantile(q.detach(), 0))
case("quantile_keep_all", [n(4, 3), levels], lambda x, q: x.quantile(q.detach(), None, True))
case("quantile_f64", [n(7, dtype=torch.float64)], lambda x: x.quantile(0.77))
case("mode", [ties], lambda x: x.mode(1)[0])
case("mode_keep", [ties], lambda x: x.mode(0, True)[0])
case("mode_int", [ints(3, 1, 3, 2, 2)], lambda x: x.mode()[0])

case("nansum", [holes.clamp(-9, 9)], lambda x: x.nansum(1))
case("nansum_keep", [n(2, 3)], lambda x: x.nansum((0, 1), True))
case("nansum_int", [ints(1, 2)], lambda x: x.nansum())
case("nanmean", [holes.clamp(-9, 9)], lambda x: x.nanmean(1))
case("nanmean_none", [holes[1:2, 3:]], lambda x: x.nanmean(), grads=False)
case("sum_f64", [n(2, 3)], lambda x: x.sum(1, dtype=torch.float64))
case("sum_i32", [n(2, 3)], lambda x: x.sum(1, dtype=torch.int32), grads=False)
case("mean_i64", [ints(1, 2)], lambda x: x.mean(dtype=torch.float32))
case("prod_f64", [n(3)], lambda x: x.prod(dtype=torch.float64))
case("prod_dim_f64", [n(2, 3)], lambda x: x.prod(1, dtype=torch.float64))
case("cumsum_f64", [n(2, 3)], lambda x: x.cumsum(1, dtype=torch.float64))
case("cumprod_f64", [n(2, 3)], lambda x: x.cumprod(1, dtype=torch.float64))

case("histc", [n(40)], lambda x: x.histc(7, -1, 1.5), grads=False)
case("histc_range", [n(40)], lambda x: x.histc(5), grads=False)
case("histc_flat", [f32(3, 3)], lambda x: x.histc(4), grads=False)
case("histc_nan", [f32(3, nan, 1, 0, 2)], lambda x: x.histc(4, 0, 2), grads=False)
case("histc_empty", [torch.zeros(0)], lambda x: x.histc(3), grads=False)
case("histogram", [n(40)], lambda x: tuple(torch.histogram(x, 6)), grads=False)
case("histogram_density", [n(40), n(40, k=1).abs()],
     lambda x, w: tuple(torch.histogram(x, 5, range=(-1, 1), weight=w, density=True)), grads=False)
case("histogram_edges", [f32(1, 2, 1, 4, 0, -1), f32(0, 1, 2, 4)], lambda x, e: torch.histogram(x, e)[0], grads=False)
case("bincount", [ints(4, 1, 1, 0)], lambda x: x.bincount(), eager=True)
case("bincount_min", [ints(1, 1)], lambda x: x.bincount(minlength=5), eager=True)
case("bincount_weights", [ints(4, 1, 1, 0), f32(0.5, 1, 2, 3)], lambda x, w: x.bincount(w), eager=True, grads=False)
case("bincount_weights_int", [ints(2, 1, 1), ints(5, 1, 2)], lambda x, w: x.bincount(w), eager=True)
case("bincount_empty", [torch.zeros(0, dtype=torch.int64)], lambda x: x.bincount(minlength=2), eager=True)

for right in [False, True]:
    case(f"searchsorted_{right}", [f32(1, 3, 3, 5, 9), f32(3, 0, 9, 10, 4, nan, 5, inf).reshape(2, 4)],
         lambda s, v: torch.searchsorted(s, v, right=right), grads=False)
    case(f"searchsorted_rows_{right}", [n(3, 6).sort(1)[0], n(3, 4, k=2)], lambda s, v: torch.searchsorted(s, v, right=right), grads=False)
    case(f"bucketize_{right}", [ints(3, 6, 9).reshape(3, 1), ints(1, 3, 5, 7, 9)], lambda v, b: torch.bucketize(v, b, right=right))
case("searchsorted_sorter", [f32(5, 1, 3), f32(2, 4, 1)], lambda s, v: torch.searchsorted(s, v, sorter=s.argsort()), grads=False)
case("searchsorted_empty", [torch.zeros(0), f32(2, 4)], lambda s, v: torch.searchsorted(s, v), grads=False)

case("unique", [f32(2, 1, 2, 3, 1, 0).reshape(2, 3)], lambda x: x.unique(True, True, True), eager=True, grads=False)
case("unique_nan", [f32(2, nan, 2, nan, -0.0, 0.0)], lambda x: x.unique(True, True, True), eager=True, grads=False)
case("unique_bool", [torch.tensor([True, False, True])], lambda x: x.unique(True, True, True), eager=True)
case("unique_dim", [ints(1, 2, 0, 1, 1, 2, 0, 0).reshape(4, 2)], lambda x: x.unique(True, True, True, dim=0), eager=True)
case("unique_dim1", [ints(1, 2, 1, 1, 0, 1).reshape(2, 3)], lambda x: x.unique(True, True, True, dim=1), eager=True)
case("unique_consecutive", [ints(1, 1, 2, 2, 1, 3)], lambda x: x.unique_consecutive(True, True), eager=True)
case("unique_consecutive_dim", [ints(1, 2, 1, 2, 0, 2, 1, 2).reshape(4, 2)], lambda x: x.unique_consecutive(True, True, dim=0), eager=True)
case("unique_empty", [torch.zeros(0)], lambda x: x.unique(True, True, True), eager=True, grads=False)

at = ints(0, 2, 2, 0, 1, 2).reshape(2, 3)
for how in ["sum", "prod", "mean", "amax", "amin"]:
    for own in [True, False]:
        case(f"scatter_reduce_{how}_{own}", [n(4, 3), n(2, 3, k=3), at], lambda x, s, at: x.scatter_reduce(0, at, s, how, include_self=own))
        case(f"scatter_reduce_ties_{how}_{own}", [f32(1, 2, 0), f32(2, 2, 0, 0, 5, 1), ints(1, 1, 2, 2, 2, 0)],
             lambda x, s, at: x.scatter_reduce(0, at, s, how, include_self=own))
        case(f"scatter_reduce_small_{how}_{own}", [n(4, 4), n(3, 5, k=3), at],
             lambda x, s, at: x.scatter_reduce(1, at, s[:2, :3], how, include_self=own))
        if how != "sum":
            case(f"index_reduce_{how}_{own}", [n(3, 4), n(3, 5, k=2), ints(0, 3, 3, 1, 3)],
                 lambda x, s, at: x.index_reduce(1, at, s, how, include_self=own))
    case(f"scatter_reduce_nan_{how}", [f32(1, 2), f32(nan, 5, 3), ints(0, 0, 1)], lambda x, s, at: x.scatter_reduce(0, at, s, how), grads=False)
    case(f"scatter_reduce_int_{how}", [ints(7, -2, 4), ints(-5, 3, 9, 2), ints(0, 1, 0, 1)],
         lambda x, s, at: x.scatter_reduce(0, at, s, how))

case("slice_scatter", [n(4, 6), n(4, 2, k=1)], lambda x, s: x.slice_scatter(s, 1, 1, 5, 2))
case("select_scatter", [n(4, 3), n(4, k=1)], lambda x, s: x.select_scatter(s, 1, -1))
case("diagonal_scatter", [n(4, 3), n(2, k=1)], lambda x, s: x.diagonal_scatter(s, 1))
case("slice_scatter_t", [n(6, 4), n(4, 2, k=1)], lambda x, s: x.t().slice_scatter(s, 1, 1, 5, 2))
case("fill_diagonal", [n(4, 3)], lambda x: (x * 1).fill_diagonal_(7))
case("fill_diagonal_wrap", [n(9, 2)], lambda x: (x * 1).fill_diagonal_(7, True))
case("fill_diagonal_3", [n(3, 3, 3)], lambda x: (x * 1).fill_diagonal_(7))

case("view_i32", [n(2, 3)], lambda x: x.detach().view(torch.int32), eager=True, grads=False)
case("view_u8", [n(2, 2)], lambda x: x.detach().view(torch.uint8), eager=True, grads=False)
case("view_f64", [n(2, 4)], lambda x: x.detach().view(torch.float64), eager=True, grads=False)
for p in [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, inf]:
    case(f"cdist_{p}", [n(3, 4), n(5, 4, k=1)], lambda x, y: torch.cdist(x, y, p, "donot_use_mm_for_euclid_dist"))
    case(f"cdist_same_{p}", [f32(1, 2, 3, 4, 1, 2).reshape(3, 2), f32(1, 2, 0, 4).reshape(2, 2)],
         lambda x, y: torch.cdist(x, y, p, "donot_use_mm_for_euclid_dist"))
case("cdist_batch", [n(2, 1, 3, 4), n(3, 2, 4, k=1)], lambda x, y: torch.cdist(x, y, 2.0, "donot_use_mm_for_euclid_dist"))

away = n(12) * 1.7 + 0.013
case("lgamma", [away], lambda x: x.lgamma())
case("digamma", [away], lambda x: x.digamma(), tol=2e-5)
case("polygamma1", [away], lambda x: x.polygamma(1), tol=2e-5)
case("polygamma2", [away.abs()], lambda x: x.polygamma(2), tol=2e-5)
case("polygamma4", [away.abs().double()], lambda x: x.polygamma(4))
case("erfinv", [n(12) / 2.1], lambda x: x.erfinv())
case("lgamma_special", [f32(0, -0.0, -1, -2, inf, -inf, nan, 1, 2)], lambda x: x.lgamma(), grads=False)
case("digamma_special", [f32(0, -0.0, -1, -2, inf, -inf, nan, 1, 2)], lambda x: x.digamma(), grads=False)
case("erfinv_special", [f32(0, -0.0, -1, 1, inf, -2, nan)], lambda x: x.erfinv(), grads=False)
case("lgamma_int", [ints(1, 4, 7)], lambda x: x.lgamma())
case("lgamma_f16", [n(12).half()], lambda x: x.lgamma(), grads=False, tol=1e-3)

L = torch.linalg
d = torch.float64
square = torch.eye(4, dtype=d) * 2 + n(2, 4, 4, dtype=d) / 3
sym = lambda x: (x + x.mT) / 2
pos = lambda x: x @ x.mT + torch.eye(x.shape[-1], dtype=x.dtype)
spread = torch.diag(torch.tensor([1.0, 3, 6, 10], dtype=d)) + n(4, 4, dtype=d) / 5
tall, wide = n(2, 5, 3, dtype=d) + torch.eye(5, 3, dtype=d), n(2, 3, 5, k=4, dtype=d) + torch.eye(3, 5, dtype=d)
E9 = 1e-9


def lin(name, inputs, f, **more):
    case(name, inputs, f, eager=True, **({"tol": E9} | more))


lin("solve", [square, n(2, 4, 3, k=1, dtype=d)], L.solve)
lin("solve_vector", [square[0], n(4, k=1, dtype=d)], L.solve)
lin("solve_vectors", [square, n(2, 4, k=1, dtype=d)], L.solve)
lin("solve_batch", [square[0], n(3, 4, 2, k=1, dtype=d)], L.solve)
lin("solve_t", [square[0], n(4, 2, k=1, dtype=d)], lambda a, b: L.solve(a.t(), b))
lin("solve_f32", [square.float(), n(2, 4, 3, k=1)], L.solve, tol=1e-4)
lin("inv", [square], L.inv)
lin("det", [square], L.det)
lin("det_odd", [n(3, 3, 3, dtype=d)], L.det)
lin("det_singular", [torch.tensor([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]], dtype=d)], L.det)
lin("slogdet", [square], lambda a: tuple(L.slogdet(a)))
lin("slogdet_singular", [torch.zeros(2, 2)], lambda a: tuple(L.slogdet(a)), grads=False)
lin("cholesky", [square], lambda a: L.cholesky(pos(a)))
for name, a in [("", square), ("_tall", tall), ("_wide", wide)]:
    # The sign of a row of R is not defined.
    lin(f"qr{name}", [a], lambda a: (lambda q, r: (q @ r, (q * q).cumsum(-1), r * r))(*L.qr(a)))
lin("qr_complete", [tall], lambda a: (lambda q, r: (q @ r, r * r))(*L.qr(a, "complete")), grads=False)
for name, a in [("", spread), ("_tall", tall), ("_wide", wide)]:
    for full in [False, True]:
        lin(f"svd{name}_{full}", [a], lambda a: (lambda u, s, v: (s, u[..., :3] ** 2, v[..., :3, :] ** 2))(*L.svd(a, full)))
lin("svdvals", [tall], L.svdvals)
lin("eigh", [spread], lambda a: (lambda w, v: (w, v * v))(*L.eigh(sym(a))))
lin("eigvalsh", [spread.float()], lambda a: L.eigvalsh(sym(a)), tol=1e-4)
lin("eigh_lower", [spread], lambda a: L.eigvalsh(a), grads=False)
lin("lstsq", [tall, n(2, 5, 2, k=1, dtype=d)], lambda a, b: L.lstsq(a, b).solution)
lin("lstsq_wide", [wide, n(2, 3, 2, k=1, dtype=d)], lambda a, b: L.lstsq(a, b).solution)
lin("pinv", [tall], L.pinv)
lin("pinv_wide", [wide], L.pinv)
lin("pinv_singular", [torch.tensor([[1.0, 2], [2, 4], [0, 0]], dtype=d)], L.pinv)
lin("matrix_rank", [torch.stack([torch.eye(3), torch.ones(3, 3), torch.zeros(3, 3)])], L.matrix_rank, grads=False)
lin("det_empty", [torch.zeros(2, 0, 0)], L.det, grads=False)

z = lambda x: torch.view_as_complex(x.contiguous())
r = torch.view_as_real
F = torch.fft
for norm in ["backward", "ortho", "forward"]:
    lin(f"fft_{norm}", [n(3, 5, 2, dtype=d)], lambda x: r(F.fft(z(x), norm=norm)))
    lin(f"ifft_{norm}", [n(3, 6, 2, dtype=d)], lambda x: r(F.ifft(z(x), norm=norm)))
    lin(f"rfft_{norm}", [n(3, 5, dtype=d)], lambda x: r(F.rfft(x, norm=norm)))
    lin(f"irfft_{norm}", [n(3, 5, 2, dtype=d)], lambda x: F.irfft(z(x), norm=norm))
lin("fft_dim", [n(4, 3, 2)], lambda x: r(F.fft(z(x), dim=0)), tol=1e-5)
lin("fft_pad", [n(3, 2, dtype=d)], lambda x: r(F.fft(z(x), 7)))
lin("fft_cut", [n(5, 2, dtype=d)], lambda x: r(F.fft(z(x), 3)))
lin("rfft_even", [n(6, 2, dtype=d)], lambda x: r(F.rfft(x, dim=0)))
lin("irfft_odd", [n(4, 2, dtype=d)], lambda x: F.irfft(z(x), 7))
lin("irfft_pad", [n(2, 2, dtype=d)], lambda x: F.irfft(z(x), 8))

print(json.dumps(CASES))

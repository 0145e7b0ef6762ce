"""Writes functional.json: values and gradients of torch.nn.functional for tests/functional.

Python with PyTorch: python tests/data/functional.py > tests/data/functional.json
Each case: inputs (shape and numbers), outputs, and the gradients of sum(output * weights(output)) for the float inputs.
"""
import json
import torch
import torch.nn.functional as F

CASES = []


def numbers(shape, k, scale=8.0):
    """Multiples of 1/scale between -2 and 2, without ties near each other."""
    n = 1
    for s in shape:
        n *= s
    i = torch.arange(n, dtype=torch.float64)
    x = torch.remainder(i * 37 + k * 101, 257) / 64 - 2
    return (x * scale).round().div(scale).to(torch.float32).reshape(shape) if scale else x.to(torch.float32).reshape(shape)


def weights(out):
    i = torch.arange(out.numel(), dtype=torch.float64)
    return (torch.remainder(i * 7, 11) / 4 - 1.25).to(torch.float32).reshape(out.shape)


def flat(t):
    xs = t.detach().reshape(-1).tolist()
    return {"shape": list(t.shape), "data": [x if not isinstance(x, float) or abs(x) < 1e30 else str(x) for x in xs]}


def case(name, inputs, f):
    inputs = [t.clone().requires_grad_(t.is_floating_point()) for t in inputs]
    outs = f(*inputs)
    outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
    total = sum((o * weights(o)).sum() for o in outs if o.is_floating_point() and o.requires_grad)
    total.backward()
    CASES.append({
        "name": name,
        "inputs": [flat(t) | {"int": not t.is_floating_point()} for t in inputs],
        "outputs": [flat(t) | {"int": not t.is_floating_point()} for t in outs],
        "grads": [None if t.grad is None else flat(t.grad) for t in inputs],
    })


n = lambda *shape, k=0: numbers(shape, k, 64)
ints = lambda *xs: torch.tensor(xs)
x1, x2, x3 = n(2, 4, 7), n(2, 4, 5, 6), n(1, 2, 4, 3, 5)
case("conv1d", [x1, n(6, 2, 3, k=1), n(6, k=2)], lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2, 2))
case("conv1d_same", [x1, n(3, 4, 4, k=1)], lambda x, w: F.conv1d(x, w, None, 1, "same", 2))
case("conv2d", [x2, n(3, 4, 3, 2, k=1), n(3, k=2)], lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2), (1, 2)))
case("conv2d_depthwise", [x2, n(8, 1, 3, 3, k=1)], lambda x, w: F.conv2d(x, w, None, 1, 1, 1, 4))
case("conv3d", [x3, n(3, 2, 2, 3, 2, k=1), n(3, k=2)], lambda x, w, b: F.conv3d(x, w, b, (2, 1, 1), (1, 1, 0)))
case("conv_transpose1d", [x1, n(4, 3, 3, k=1), n(6, k=2)], lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1, 2, 2))
case("conv_transpose2d", [x2, n(4, 2, 3, 2, k=1)], lambda x, w: F.conv_transpose2d(x, w, None, (1, 3), (2, 0), (0, 2)))
case("conv_transpose3d", [x3, n(2, 1, 2, 2, 2, k=1)], lambda x, w: F.conv_transpose3d(x, w, None, 2, 1))
case("avg_pool1d_ceil", [x1], lambda x: F.avg_pool1d(x, 3, 2, 1, True))
case("avg_pool2d_exclude", [x2], lambda x: F.avg_pool2d(x, (3, 2), (2, 3), (1, 1), True, False))
case("avg_pool3d", [x3], lambda x: F.avg_pool3d(x, 2, 1, 1))
case("max_pool1d", [x1], lambda x: F.max_pool1d(x, 3, 2, 1, 2, True, True))
case("max_pool2d_ties", [torch.tensor([[[[1., 3, 3], [3, 1, 2], [0, 2, 2]]]])], lambda x: F.max_pool2d(x, 2, 1, 1, 1, False, True))
case("max_pool3d", [x3], lambda x: F.max_pool3d(x, 2, (2, 1, 2), 1, 1, True, True))
case("adaptive_avg_pool1d", [x1], lambda x: F.adaptive_avg_pool1d(x, 3))
case("adaptive_avg_pool2d", [x2], lambda x: F.adaptive_avg_pool2d(x, (3, 4)))
case("adaptive_avg_pool3d", [x3], lambda x: F.adaptive_avg_pool3d(x, (2, 2, 7)))
case("adaptive_max_pool1d", [x1], lambda x: F.adaptive_max_pool1d(x, 3, True))
case("adaptive_max_pool2d", [x2], lambda x: F.adaptive_max_pool2d(x, (3, 4), True))
case("unfold", [x2], lambda x: F.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1)))
case("fold", [n(2, 12, 4)], lambda x: F.fold(x, (5, 6), (3, 2), (1, 2), (0, 1), (2, 3)))
case("linear_resize", [x1], lambda x: F.interpolate(x, 11, mode="linear"))
case("nearest_exact", [x2], lambda x: F.interpolate(x, (7, 4), mode="nearest-exact"))
case("bilinear_corners", [x2], lambda x: F.interpolate(x, (7, 4), mode="bilinear", align_corners=True))
case("trilinear", [x3], lambda x: F.interpolate(x, scale_factor=(0.5, 2, 1.3), mode="trilinear"))
case("bicubic", [x2], lambda x: F.interpolate(x, (8, 4), mode="bicubic"))
case("bicubic_corners", [x2], lambda x: F.interpolate(x, (3, 9), mode="bicubic", align_corners=True))
case("area", [x2], lambda x: F.interpolate(x, (3, 4), mode="area"))
case("pad_reflect", [x2], lambda x: F.pad(x, (3, -1, 0, 4), "reflect"))
case("pad_replicate", [x1], lambda x: F.pad(x, (-2, 3), "replicate"))
case("pad_circular", [x2], lambda x: F.pad(x, (3, 1, -1, 2), "circular"))
case("pixel_unshuffle", [n(2, 1, 4, 6)], lambda x: F.pixel_unshuffle(x, 2))
case("channel_shuffle", [x2], lambda x: F.channel_shuffle(x, 2))
case("batch_norm", [x2, n(4, k=1), n(4, k=2)], lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, 1e-3))
case("instance_norm", [x1], lambda x: F.instance_norm(x))
case("layer_norm", [x2, n(5, 6, k=1), n(5, 6, k=2)], lambda x, w, b: F.layer_norm(x, (5, 6), w, b))
case("group_norm", [x2, n(4, k=1), n(4, k=2)], lambda x, w, b: F.group_norm(x, 2, w, b))
case("rms_norm", [x1], lambda x: F.rms_norm(x, (7,)))
case("local_response_norm", [x2], lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0))
case("normalize_zero", [torch.tensor([[3., 4], [0, 0]])], lambda x: F.normalize(x))
case("normalize_inf", [x1], lambda x: F.normalize(x, float("inf"), 2))
case("normalize_3", [x1], lambda x: F.normalize(x, 3.0, 1))
case("cosine_similarity", [x1, n(2, 1, 7, k=3)], lambda x, y: F.cosine_similarity(x, y, 2))
case("pairwise_distance", [x1, n(2, 4, 7, k=3)], lambda x, y: F.pairwise_distance(x, y, 3.0, keepdim=True))
case("embedding_padding", [ints(1, 3, 1, 2), n(4, 3)], lambda i, w: F.embedding(i, w, 1))
q, k, v = n(2, 4, 3, 5), n(2, 2, 6, 5, k=1), n(2, 2, 6, 2, k=2)
case("attention_gqa", [q, k, v], lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True))
case("attention_mask", [n(2, 3, 5), n(2, 4, 5, k=1), n(2, 4, 2, k=2), n(3, 4, k=3)], lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m, scale=0.3))
case("attention_bool", [n(2, 3, 5), n(2, 4, 5, k=1), n(2, 4, 2, k=2), ints([1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1])], lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m != 0))
a, b = n(3, 5), n(3, 5, k=5)
p = torch.tensor([[0., 1, 0.25], [0.5, 1, 0]])
t = torch.tensor([[1., 1, 0.5], [0, 0.25, 0]])
case("smooth_l1_loss", [a, b], lambda x, y: F.smooth_l1_loss(x, y, reduction="sum", beta=0.5))
case("smooth_l1_inf", [ints(1, 2).float() * float("inf"), ints(1, 2).float()], lambda x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.5))
case("huber_loss", [a, b], lambda x, y: F.huber_loss(x, y, reduction="none", delta=0.75))
case("binary_cross_entropy", [p, t], lambda x, y: F.binary_cross_entropy(x, y, reduction="none"))
case("bce_with_logits", [torch.tensor([0., 200, -200, 1.5]), torch.tensor([0.25, 1, 1, 0]), torch.tensor([2., 2, 2, 3])], lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w.detach(), reduction="none"))
w = torch.tensor([0.5, 1, 2, 0.25, 1])
classes = ints(4, 1, -100)
case("cross_entropy_smooth", [a, classes, w], lambda x, y, w: F.cross_entropy(x, y, w.detach(), label_smoothing=0.2))
case("cross_entropy_smooth_none", [a, classes, w], lambda x, y, w: F.cross_entropy(x, y, w.detach(), reduction="none", label_smoothing=0.2))
case("cross_entropy_probabilities", [n(2, 3, 4), n(2, 3, 4, k=3).abs()], lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1))
case("cross_entropy_places", [n(2, 3, 4), ints([0, 2, 1, 1], [2, 0, 0, 1])], lambda x, y: F.cross_entropy(x, y, ignore_index=1))
case("nll_loss_infinite", [torch.tensor([[-float("inf"), -1], [-2, -3]]), ints(0, 1)], lambda x, y: F.nll_loss(x, y, ignore_index=0))
case("kl_div", [a, b.abs()], lambda x, y: F.kl_div(x, y, reduction="batchmean"))
case("hinge_embedding_loss", [a, ints([1, -1, 1, -1, 1]).expand(3, 5).contiguous()], lambda x, y: F.hinge_embedding_loss(x, y, margin=0.5, reduction="none"))
case("cosine_embedding_loss", [a, b, ints(1, -1, -1)], lambda x, y, t: F.cosine_embedding_loss(x, y, t, margin=-0.5))
case("margin_ranking_loss", [n(5), n(5, k=5), ints(1, -1, 1, 1, -1)], lambda x, y, t: F.margin_ranking_loss(x, y, t, margin=0.5))
case("gaussian_nll_loss", [a, b, n(3, 1, k=3).abs() * 0.01], lambda x, y, v: F.gaussian_nll_loss(x, y, v, full=True, eps=0.01))
case("poisson_nll_loss", [a, b.abs() * 2], lambda x, y: F.poisson_nll_loss(x, y, full=True))
case("poisson_nll_loss_plain", [a.abs(), b.abs()], lambda x, y: F.poisson_nll_loss(x, y, log_input=False, reduction="sum"))
case("triplet_margin_loss", [a, b, n(3, 5, k=9)], lambda x, y, z: F.triplet_margin_loss(x, y, z, swap=True, margin=2.0))
case("soft_margin_loss", [a, ints([1, -1, 1, -1, 1]).expand(3, 5).contiguous()], lambda x, y: F.soft_margin_loss(x, y, reduction="none"))
case("multi_margin_loss", [a, ints(4, 0, 2), w], lambda x, y, w: F.multi_margin_loss(x, y, 2, 0.5, w.detach()))
case("multilabel_soft_margin_loss", [a, ints([1, 0, 1, 0, 0]).expand(3, 5).float().contiguous()], lambda x, y: F.multilabel_soft_margin_loss(x, y.detach()))


def dropped(x):
    torch.manual_seed(3)
    return F.dropout(x, 0.3), F.alpha_dropout(x, 0.3, True), F.dropout2d(x[None], 0.5)[0]


case("dropout", [n(3, 4, 2)], dropped)
print("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]")

"""Steps of random programs: `torch.nn.functional`."""

from random_steps.draw import NAMES, Skip, step
from random_steps.products import paired


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

"""Writes layer_variants.json and layer_variants.safetensors: layers with arguments that PyTorch's own module database leaves out, in the
format of that corpus, for tests/modules.

Python with PyTorch and safetensors: python tests/data/layer_variants.py, in the root of the repository.
"""
import json
import math
import torch
from torch import nn
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False
torch.manual_seed(1)
randn = torch.randn
CASES, TENSORS = [], {}


def encoded(x, key):
    if isinstance(x, torch.Tensor):
        return {"tensor": key(x)}
    if x is None:
        return {"none": True}
    for kind, name in ((bool, "bool"), (int, "int"), (str, "str")):
        if isinstance(x, kind):
            return {name: x}
    if isinstance(x, float):
        return {"float": x if math.isfinite(x) else str(x)}
    return {"list": [encoded(v, key) for v in x]}


def case(cls, constructor, options, *args, training=True, **kwargs):
    """The layer of a class, called: as in the corpus, which says what each part is."""
    seed = 1000 + 7 * len(CASES)
    case_id = f"{cls}/v{len(CASES):03d}"
    count = iter(range(10000))

    def put(t, what):
        name = f"{case_id}.{what}{next(count)}"
        TENSORS[name] = t.detach().clone().contiguous()
        return name

    torch.manual_seed(seed)
    module = getattr(nn, cls)(*constructor, **options)
    state = {name: put(t, "state") for name, t in module.state_dict().items()}
    shown = repr(module)
    module.train(training)
    inputs = {}

    def key(t):
        name = put(t, "in")
        inputs[name] = t
        return name

    leaf = lambda x: x.clone().requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
    args, kwargs = [leaf(x) for x in args], {name: leaf(x) for name, x in kwargs.items()}
    written = [encoded(x, key) for x in args], {name: encoded(x, key) for name, x in kwargs.items()}
    torch.manual_seed(seed + 1)
    outputs = module(*args, **kwargs)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    back = [randn(y.shape) if y.is_floating_point() else None for y in outputs]
    parameters = dict(module.named_parameters())
    leaves = {name: t for name, t in inputs.items() if t.requires_grad} | parameters
    total = sum((y * g).sum() for y, g in zip(outputs, back) if g is not None)
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True) if leaves else ()
    grads = {name: None if g is None else put(g, "grad") for name, g in zip(leaves, found)}
    CASES.append({
        "id": case_id, "module": cls, "training": training, "seed": seed,
        "constructor_args": [encoded(x, key) for x in constructor],
        "constructor_kwargs": {name: encoded(x, key) for name, x in options.items()},
        "repr": shown, "state": state, "args": written[0], "kwargs": written[1],
        "outputs": [put(y, "out") for y in outputs],
        "grad_outputs": [None if g is None else put(g, "gout") for g in back],
        "input_grads": {name: g for name, g in grads.items() if name not in parameters},
        "parameter_grads": {name: g for name, g in grads.items() if name in parameters},
        "buffers_after": {name: put(t, "buffer") for name, t in module.named_buffers()},
    })


def both(cls, constructor, options, shape, **kwargs):
    """With the axis of the batch and without it."""
    case(cls, constructor, options, randn(2, *shape), **kwargs)
    case(cls, constructor, options, randn(*shape), **kwargs)


case("Linear", [4, 3], dict(bias=False), randn(2, 3, 4))
case("Linear", [1, 1], {}, randn(5, 1))
case("Linear", [2, 3], {}, randn(0, 2))
case("Bilinear", [2, 3, 1], {}, randn(2, 4, 2), randn(2, 4, 3))
case("Identity", [], {}, randn(3))

for d in (1, 2, 3):
    cls, places = f"Conv{d}d", {1: (9,), 2: (7, 6), 3: (5, 5, 6)}[d]
    case(cls, [4, 6, 3], dict(stride=2, padding=1, groups=2), randn(2, 4, *places))
    case(cls, [4, 4, 3], dict(dilation=2, groups=4, bias=False), randn(2, 4, *places))
    case(cls, [4, 2, 2], dict(padding="same", dilation=2), randn(2, 4, *places))
    case(cls, [4, 2, 2], dict(padding="valid"), randn(4, *places))
    for mode in ("reflect", "replicate", "circular"):
        case(cls, [2, 2, 3], dict(padding=2, padding_mode=mode), randn(1, 2, *places))
        case(cls, [2, 2, 4], dict(padding="same", padding_mode=mode), randn(1, 2, *places))
        case(cls, [2, 2, 2], dict(padding="valid", padding_mode=mode), randn(1, 2, *places))
        case(cls, [2, 2, 2, 1, 1], dict(padding_mode=mode), randn(2, *places))
    if d > 1:
        kernel = (3, 2, 1)[:d]
        case(cls, [2, 2, kernel], dict(stride=(1, 2, 3)[:d], padding=(0, 1, 0)[:d]), randn(1, 2, *places))
        case(cls, [2, 2, kernel, 1, (1, 0, 0)[:d]], dict(padding_mode="circular"), randn(1, 2, *places))

    cls, places = f"ConvTranspose{d}d", {1: (5,), 2: (4, 3), 3: (2, 3, 2)}[d]
    case(cls, [4, 6, 3], dict(stride=2, padding=1, output_padding=1, groups=2), randn(2, 4, *places))
    case(cls, [4, 6, 3, 2, 0, 0, 2, False, 2], {}, randn(1, 4, *places))
    case(cls, [4, 3, 2], dict(stride=3, output_padding=2, dilation=2), randn(4, *places))
    case(cls, [2, 3, 3], dict(stride=2, padding=1), randn(2, 2, *places), output_size=[2 * n for n in places])
    case(cls, [2, 3, 3], dict(stride=2, padding=1), randn(2, 2, *places), [2 * n - 1 for n in places])

    places = {1: (11,), 2: (7, 8), 3: (5, 6, 5)}[d]
    both(f"MaxPool{d}d", [3], dict(stride=2, padding=1), (2, *places))
    both(f"MaxPool{d}d", [3], dict(stride=2, ceil_mode=True), (2, *places))
    both(f"MaxPool{d}d", [2], dict(dilation=2, return_indices=True), (2, *places))
    both(f"MaxPool{d}d", [3, 1, 1, 2], {}, (2, *places))
    both(f"MaxPool{d}d", [2], dict(stride=None), (2, *places))
    for constructor, options in (([3], dict(stride=2, padding=1)), ([3, 2, 0, True], {}), ([3, 2, 1, False, False], {}), ([3, 2, 1, True, False], {})):
        both(f"AvgPool{d}d", constructor, options, (2, *places))
    if d > 1:
        case(f"AvgPool{d}d", [2], dict(divisor_override=-3), randn(2, 2, *places))
        case(f"MaxPool{d}d", [(3, 2, 2)[:d]], dict(padding=(1, 0, 1)[:d], dilation=(1, 2, 1)[:d]), randn(2, 2, *places))
        case(f"AdaptiveAvgPool{d}d", [(None,) * d], {}, randn(2, 2, *places))
        case(f"AdaptiveMaxPool{d}d", [(None, 4, 4)[:d]], dict(return_indices=True), randn(2, 2, *places))
    case(f"AdaptiveAvgPool{d}d", [(4,) * d], {}, randn(2, 2, *places))
    case(f"AdaptiveAvgPool{d}d", [9], {}, randn(2, *places))
    case(f"AdaptiveMaxPool{d}d", [(4,) * d], {}, randn(2, 2, *places))
    case(f"AdaptiveMaxPool{d}d", [5, True], {}, randn(2, *places))
    for constructor, options in (([2, 3], {}), ([3.0, 2], dict(stride=1)), ([2.0, 3], dict(ceil_mode=True, stride=2)), ([1, 2, None], {})):
        case(f"LPPool{d}d", constructor, options, randn(2, 2, *places).abs() + 0.1)
        case(f"LPPool{d}d", constructor, options, randn(2, *places).abs() + 0.1)
    pool = getattr(nn, f"MaxPool{d}d")(2, return_indices=True)
    case(f"MaxUnpool{d}d", [2], dict(stride=2), *pool(randn(2, 2, *places)), output_size=list(places))
    values, indices = pool(randn(2, 2, *[4] * d))
    case(f"MaxUnpool{d}d", [2], {}, values, indices)
    case(f"MaxUnpool{d}d", [2], {}, values[0], indices[0])

    places = {1: (5,), 2: (5, 4), 3: (3, 4, 2)}[d]
    for training in (True, False):
        for options in ({}, dict(momentum=None), dict(eps=1e-3, affine=False), dict(track_running_stats=False),
                        dict(affine=False, track_running_stats=False), dict(bias=False, momentum=0.0)):
            case(f"BatchNorm{d}d", [3], options, randn(3, 3, *places), training=training)
        for options in ({}, dict(affine=True, track_running_stats=True), dict(track_running_stats=True, momentum=0.5),
                        dict(affine=True, bias=False)):
            both(f"InstanceNorm{d}d", [3], options, (3, *places), training=training)

    sides, places = 2 * d, {1: (5,), 2: (5, 4), 3: (4, 3, 4)}[d]
    for name in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
        case(f"{name}{d}d", [2], {}, randn(2, *places))
        case(f"{name}{d}d", [(1, 0, 2, 1, 0, 1)[:sides]], {}, randn(1, 2, *places))
    case(f"ZeroPad{d}d", [(-1, 0, 2, 1, 0, 1)[:sides]], {}, randn(1, 2, *places))
    case(f"ConstantPad{d}d", [(-1, 0, 2, 1, 0, 1)[:sides], 1.5], {}, randn(1, 2, *places))
    case(f"ConstantPad{d}d", [1, -2], {}, randn(2, *places))

case("ZeroPad1d", [1], {}, randn(4))
case("BatchNorm1d", [3], {}, randn(4, 3))
case("BatchNorm1d", [3], dict(momentum=None), randn(0, 3))
for options in ({}, dict(elementwise_affine=False), dict(bias=False, eps=1e-2)):
    case("LayerNorm", [(3, 4)], options, randn(2, 3, 4))
    case("LayerNorm", [4], options, randn(2, 3, 4))
for options in ({}, dict(eps=1e-2), dict(elementwise_affine=False)):
    case("RMSNorm", [(3, 4)], options, randn(2, 3, 4))
    case("RMSNorm", [4], options, randn(2, 3, 4))
for options in ({}, dict(affine=False), dict(bias=False, eps=1e-2)):
    case("GroupNorm", [2, 6], options, randn(2, 6, 4))
    case("GroupNorm", [3, 6], options, randn(2, 6, 4, 2))
    case("GroupNorm", [3, 6], options, randn(2, 6))
for size in (1, 2, 3, 5):
    case("LocalResponseNorm", [size], dict(alpha=0.5), randn(2, 6, 4))
    case("LocalResponseNorm", [size], dict(alpha=0.5, beta=0.5, k=2.0), randn(2, 6, 4, 3))

for training in (True, False):
    for cls, shape in (("Dropout", (40,)), ("Dropout", (4, 5, 6)), ("Dropout1d", (4, 5, 6)), ("Dropout1d", (5, 6)),
                       ("Dropout2d", (3, 4, 5, 6)), ("Dropout2d", (4, 5, 6)), ("Dropout3d", (3, 4, 2, 2, 3)), ("Dropout3d", (4, 2, 2, 3)),
                       ("AlphaDropout", (40,)), ("FeatureAlphaDropout", (4, 5, 6))):
        for constructor in ([], [0.2], [0.0], [1.0]):
            case(cls, constructor, {}, randn(*shape), training=training)

words = torch.tensor([[0, 3, 1], [1, 1, 4]])
for options in ({}, dict(padding_idx=1), dict(padding_idx=-1), dict(max_norm=1.0), dict(max_norm=1.0, norm_type=1.0, padding_idx=0),
                dict(scale_grad_by_freq=True), dict(scale_grad_by_freq=True, padding_idx=1)):
    case("Embedding", [5, 3], options, words)
case("Embedding", [5, 3], {}, torch.tensor(2))
case("Embedding", [5, 3], {}, torch.zeros(0, 2, dtype=torch.long))
for mode in ("sum", "mean", "max"):
    for options in ({}, dict(padding_idx=1), dict(padding_idx=-1), dict(max_norm=1.0), dict(max_norm=1.0, norm_type=1.0),
                    dict(scale_grad_by_freq=True)):
        if mode == "max" and "scale_grad_by_freq" in options:
            continue
        options = options | dict(mode=mode)
        case("EmbeddingBag", [5, 3], options, words)
        case("EmbeddingBag", [5, 3], options, words.reshape(-1), torch.tensor([0, 2, 2, 5]))
        case("EmbeddingBag", [5, 3], options | dict(include_last_offset=True), words.reshape(-1), torch.tensor([0, 2, 2, 6]))
case("EmbeddingBag", [5, 3], dict(mode="sum"), words, None, randn(2, 3))
case("EmbeddingBag", [5, 3], dict(mode="sum", padding_idx=1), words.reshape(-1), offsets=torch.tensor([0, 1, 6]), per_sample_weights=randn(6))

case("Flatten", [], {}, randn(2, 3, 4))
case("Flatten", [0, -2], {}, randn(2, 3, 4))
case("Unflatten", [1, (2, -1)], {}, randn(3, 6, 2))
case("PixelShuffle", [2], {}, randn(2, 8, 3, 4))
case("PixelUnshuffle", [2], {}, randn(2, 2, 6, 4))
case("ChannelShuffle", [3], {}, randn(2, 6, 3, 4))
for mode, shape in (("nearest", (2, 3, 5)), ("nearest", (2, 3, 5, 4)), ("nearest-exact", (2, 3, 5, 4)), ("linear", (2, 3, 5)),
                    ("bilinear", (2, 3, 5, 4)), ("bicubic", (2, 3, 5, 4)), ("trilinear", (1, 2, 3, 4, 2)), ("area", (2, 3, 5, 4))):
    case("Upsample", [], dict(scale_factor=2, mode=mode), randn(*shape))
    case("Upsample", [7], dict(mode=mode), randn(*shape))
    case("Upsample", [], dict(scale_factor=1.7, mode=mode, recompute_scale_factor=True), randn(*shape))
    if mode in ("linear", "bilinear", "bicubic", "trilinear"):
        case("Upsample", [], dict(scale_factor=2.5, mode=mode, align_corners=True), randn(*shape))
case("Upsample", [], dict(scale_factor=(2, 3)), randn(2, 3, 5, 4))
case("Upsample", [(3, 4)], dict(mode="bilinear"), randn(2, 3, 5, 4))
case("UpsamplingNearest2d", [], dict(scale_factor=2), randn(2, 3, 5, 4))
case("UpsamplingBilinear2d", [(3, 9)], {}, randn(2, 3, 5, 4))
case("Unfold", [2], dict(padding=1, stride=2), randn(2, 3, 5, 4))
case("Unfold", [(2, 3)], dict(dilation=(2, 1)), randn(3, 5, 4))
case("Fold", [(5, 4), (2, 2)], {}, randn(2, 12, 12))
case("Fold", [4, 2], dict(stride=2, padding=(0, 1)), randn(12, 6))
case("CosineSimilarity", [], {}, randn(3, 4), randn(3, 4))
case("CosineSimilarity", [0], dict(eps=1e-3), randn(3, 4), randn(4))
case("PairwiseDistance", [], {}, randn(3, 4), randn(3, 4))
case("PairwiseDistance", [1.0], dict(keepdim=True), randn(3, 4), randn(4))

with open("tests/data/layer_variants.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]\n")
save_file(TENSORS, "tests/data/layer_variants.safetensors")
print(len(CASES), "cases")

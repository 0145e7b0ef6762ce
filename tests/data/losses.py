"""Records losses and activations that PyTorch's module database has no cases of, with gradients: losses.py > losses.json"""
import json, sys
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(7)


def numbers(t):
    return [v if v == v and abs(v) != float("inf") else str(v) for v in t.flatten().tolist()]


def plain(t):
    return dict(shape=list(t.shape), values=numbers(t))


def ctc(name, log_probs, targets, inputs, lengths, **options):
    x = log_probs.detach().clone().requires_grad_()
    y = nn.CTCLoss(**options)(x, targets, torch.tensor(inputs), torch.tensor(lengths))
    g = torch.linspace(0.5, 1.5, max(y.numel(), 1)).reshape(y.shape)
    (y * g).sum().backward()
    return dict(name=name, x=plain(x), targets=dict(shape=list(targets.shape), values=targets.flatten().tolist()), inputs=inputs,
                target_lengths=lengths, options=options, y=plain(y), g=plain(g), gradient=plain(x.grad))


def scores(t, n, c):
    return torch.randn(t, n, c)


def normal(t, n, c):
    return scores(t, n, c).log_softmax(-1)


long = torch.long
ROWS = torch.tensor([[1, 2, 2, 3], [4, 4, 4, 1], [3, 1, 0, 0]])
impossible = normal(3, 2, 4)
one = normal(6, 1, 4)[:, 0]
forbidden = normal(5, 1, 3)
forbidden[2, 0, 2] = -float("inf")
CTC = [
    ctc("rows", normal(9, 3, 5), ROWS, [9, 8, 7], [4, 3, 2]),
    ctc("rows, each", normal(9, 3, 5), ROWS, [9, 8, 7], [4, 3, 2], reduction="none"),
    ctc("not normalised", scores(9, 3, 5), ROWS, [9, 8, 7], [4, 3, 2], reduction="sum"),
    ctc("large scores", scores(9, 3, 5) * 40, ROWS, [9, 8, 7], [4, 3, 2], reduction="none"),
    ctc("one after the other", normal(9, 3, 5), torch.tensor([1, 2, 2, 3, 4, 4, 1]), [9, 9, 5], [3, 3, 1]),
    ctc("empty targets", normal(4, 3, 5), ROWS, [4, 2, 0], [0, 2, 0], reduction="none"),
    ctc("no targets at all", normal(4, 2, 5), torch.zeros(2, 0, dtype=long), [4, 2], [0, 0]),
    ctc("other blank", normal(9, 3, 5), torch.tensor([[1, 0, 0], [4, 4, 1], [0, 1, 4]]), [9, 8, 7], [3, 3, 3], blank=3),
    # No label at the end is the blank: PyTorch overwrites a sum of its gradient there.
    ctc("blank among the labels", normal(9, 3, 5), torch.tensor([[1, 0, 2], [0, 0, 1], [4, 0, 1]]), [9, 8, 7], [3, 3, 3]),
    ctc("impossible", impossible, torch.tensor([[1, 1], [1, 2]]), [2, 3], [2, 2], reduction="none"),
    ctc("impossible as 0", impossible, torch.tensor([[1, 1], [1, 2]]), [2, 3], [2, 2], zero_infinity=True),
    ctc("no steps for a target", normal(3, 2, 4), torch.tensor([[1], [2]]), [0, 3], [1, 1], reduction="none"),
    ctc("no batch", one, torch.tensor([1, 2, 2]), 6, 3, reduction="none"),
    ctc("no batch, mean", one, torch.tensor([1, 2, 2]), [6], [3]),
    ctc("forbidden class", forbidden, torch.tensor([[1]]), [5], [1], reduction="sum"),
    ctc("many steps", normal(60, 2, 6), torch.randint(1, 6, (2, 20)), [60, 45], [20, 15]),
]

torch.manual_seed(3)
x = torch.cat([torch.linspace(-2, 2, 9), torch.tensor([float("nan"), -0.0])])
RRELU = dict(seed=3, x=plain(x), y=plain(nn.RReLU()(x)), evaluated=plain(nn.RReLU().eval()(x)))


def gaussian(shape):
    x, t, v = torch.randn(4, 3), torch.randn(4, 3), torch.rand(shape) + 0.1
    x.requires_grad_(), v.requires_grad_()
    y = nn.GaussianNLLLoss(full=True)(x, t, v)
    y.backward()
    return dict(x=plain(x), t=plain(t), v=plain(v), y=plain(y), by_x=plain(x.grad), by_v=plain(v.grad))


a, p, n = (torch.randn(5, 4).requires_grad_() for _ in range(3))
y = nn.TripletMarginWithDistanceLoss(swap=True, margin=0.7)(a, p, n)
y.backward()
TRIPLET = dict(a=plain(a), p=plain(p), n=plain(n), y=plain(y), gradients=[plain(t.grad) for t in (a, p, n)])
torch.manual_seed(11)
layer = nn.AdaptiveLogSoftmaxWithLoss(16, 30, [5, 12], div_value=2.0, head_bias=True)
x, t = torch.randn(6, 16).requires_grad_(), torch.tensor([0, 29, 7, 11, 4, 12])
out = layer(x, t)
out.loss.backward()
ADAPTIVE = dict(seed=11, x=plain(x), t=t.tolist(), repr=str(layer), names=list(layer.state_dict()), output=plain(out.output), loss=plain(out.loss),
                log_prob=plain(layer.log_prob(x)), predict=layer.predict(x).tolist(), gradient=plain(x.grad),
                head=plain(layer.head.weight.grad))
json.dump(dict(torch=torch.__version__.split("+")[0], ctc=CTC, rrelu=RRELU, triplet=TRIPLET, adaptive=ADAPTIVE,
               gaussian=[gaussian(s) for s in [(4, 3), (4,), (4, 1), (1, 3)]]), sys.stdout, separators=(",", ":"))

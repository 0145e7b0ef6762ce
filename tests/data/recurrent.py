"""Records what PyTorch makes of packed sequences with recurrent layers: recurrent.py > recurrent.json"""
import json
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.backends.mkldnn.enabled = False
torch.set_num_threads(1)
CASES = []


def numbers(t):
    # The shortest digits that read back as the same float32.
    data = [x if isinstance(x, int) else float(str(x)) for x in t.detach().flatten().numpy()]
    data = [int(x) for x in data] if t.dtype == torch.int64 else data
    return dict(shape=list(t.shape), data=data, int=t.dtype == torch.int64)


def case(kind, lengths, options, enforce_sorted=False, states=False, steps=None, seed=7):
    torch.manual_seed(seed)
    layer = getattr(torch.nn, kind)(3, 4, **options)
    generator = torch.Generator().manual_seed(seed + 1)
    draw = lambda *shape: torch.randn(*shape, generator=generator).requires_grad_()
    time, batch = steps or max(lengths), len(lengths)
    x = draw(batch, time, 3) if options.get("batch_first") else draw(time, batch, 3)
    given = {"x": x}
    if states:
        layers = layer.num_layers * (2 if layer.bidirectional else 1)
        given["h"] = draw(layers, batch, options.get("proj_size") or 4)
        if kind == "LSTM":
            given["c"] = draw(layers, batch, 4)
    torch.manual_seed(seed + 2)
    packed = pack_padded_sequence(x, lengths, layer.batch_first, enforce_sorted)
    before = [given[name] for name in "hc" if name in given]
    out, end = layer(packed, (tuple(before) if kind == "LSTM" else before[0]) if states else None)
    ends = list(end) if kind == "LSTM" else [end]
    padded, back = pad_packed_sequence(out, layer.batch_first, total_length=time)
    loss = out.data.pow(2).sum() + sum((e * (e + 0.5)).sum() for e in ends)
    parameters = dict(layer.named_parameters())
    sources = list(given.values()) + list(parameters.values())
    grads = torch.autograd.grad(loss, sources)
    results = [out.data, out.batch_sizes, padded, back] + ends
    if out.sorted_indices is not None:
        results += [out.sorted_indices, out.unsorted_indices]
    CASES.append(dict(kind=kind, options=options, lengths=lengths, enforce_sorted=enforce_sorted, seed=seed,
                      given={k: numbers(v) for k, v in given.items()}, packed=numbers(packed.data),
                      results=[numbers(r) for r in results], grads=[numbers(g) for g in grads]))


for kind in ["RNN", "LSTM", "GRU"]:
    case(kind, [2, 5, 1, 5], {})
    case(kind, [4, 2, 2], dict(bidirectional=True), enforce_sorted=True, states=True)
    case(kind, [1, 3], dict(num_layers=2, bidirectional=True, batch_first=True), states=True, steps=4)
    case(kind, [3, 4, 2], dict(num_layers=3, dropout=0.5, bias=False))
    case(kind, [3], dict(batch_first=True))
case("RNN", [2, 3], dict(nonlinearity="relu", bidirectional=True))
case("LSTM", [2, 4, 3], dict(proj_size=2, num_layers=2, bidirectional=True), states=True)
print("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]")

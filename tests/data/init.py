"""Records what torch.nn.init makes of tensors from a seed, as bits, and the gains: init.py > init.json"""
import json, struct, sys
import torch
from torch.nn import init

torch.set_num_threads(1)
SEED = 20


def record(t):
    t = t.flatten().tolist()
    return [struct.unpack("<I", struct.pack("<f", v))[0] for v in t]


# A name, the shape, and what is done. Names are looked up in tests/nn/init.rs.
CASES = {
    "uniform": ((4, 5), lambda t: init.uniform_(t, -1, 2)),
    "normal": ((4, 5), lambda t: init.normal_(t, 1, 0.5)),
    "constant": ((2, 3), lambda t: init.constant_(t, 0.3)),
    "ones": ((2, 3), init.ones_),
    "zeros": ((2, 3), init.zeros_),
    "eye tall": ((4, 3), init.eye_),
    "eye wide": ((2, 5), init.eye_),
    "dirac 1d": ((4, 3, 3), init.dirac_),
    "dirac 2d groups": ((6, 2, 3, 4), lambda t: init.dirac_(t, 2)),
    "dirac 3d groups": ((4, 3, 2, 3, 1), lambda t: init.dirac_(t, 4)),
    "xavier_uniform": ((4, 5, 2), lambda t: init.xavier_uniform_(t, 1.5)),
    "xavier_normal": ((4, 5, 2), lambda t: init.xavier_normal_(t, 1.5)),
    "kaiming_uniform": ((4, 6), lambda t: init.kaiming_uniform_(t, 0.2)),
    "kaiming_uniform fan_out relu": ((4, 6), lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu")),
    "kaiming_uniform tanh": ((4, 6, 3), lambda t: init.kaiming_uniform_(t, nonlinearity="tanh")),
    "kaiming_normal": ((4, 6), lambda t: init.kaiming_normal_(t, 0.2)),
    "kaiming_normal fan_out selu": ((4, 6), lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="selu")),
    "kaiming_normal linear": ((4, 6), lambda t: init.kaiming_normal_(t, nonlinearity="linear")),
    "trunc_normal": ((5, 8), init.trunc_normal_),
    "trunc_normal far": ((5, 8), lambda t: init.trunc_normal_(t, mean=1, std=0.5, a=1.5, b=3)),
    "trunc_normal narrow": ((5, 8), lambda t: init.trunc_normal_(t, std=0.02, a=-0.01, b=0.03)),
    "sparse": ((6, 4), lambda t: init.sparse_(t, 0.3, 0.5)),
    "orthogonal tall": ((6, 4), init.orthogonal_),
    "orthogonal wide": ((3, 2, 4), lambda t: init.orthogonal_(t, 1.7)),
}
cases = {}
for name, (shape, fill) in CASES.items():
    torch.manual_seed(SEED)
    t = torch.empty(shape)
    fill(t)
    cases[name] = dict(shape=shape, bits=record(t), next=record(torch.rand(1)))
gains = {n: init.calculate_gain(n) for n in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu")}
gains["leaky_relu 0.2"] = init.calculate_gain("leaky_relu", 0.2)
json.dump(dict(torch=torch.__version__.split("+")[0], seed=SEED, cases=cases, gains=gains), sys.stdout, separators=(",", ":"))

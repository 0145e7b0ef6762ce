"""Files as PyTorch writes them, for tests/io: make.py (beside the files). Written by PyTorch 2.15."""

import collections
import os
import sys

import torch

here = os.path.dirname(os.path.abspath(sys.argv[0]))
torch.manual_seed(1)


def save(name, value, **options):
    torch.save(value, os.path.join(here, name), **options)


model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
save("state_dict.pt", model.state_dict())

opt = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
schedule = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[2, 5])
for _ in range(2):
    opt.zero_grad()
    model(torch.randn(5, 3)).sum().backward()
    opt.step()
    schedule.step()
save(
    "checkpoint.pt",
    {"epoch": 3, "optimizer": opt.state_dict(), "schedule": schedule.state_dict(), "rng": torch.get_rng_state()},
)

base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
tied = torch.nn.Parameter(torch.ones(2))
values = {
    "none": None,
    "bools": [True, False],
    "ints": (0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**63)),
    "floats": [0.5, float("inf"), -0.0],
    "text": ["", "grün", "x" * 300],
    "nested": {1: {2: [(), [], {}]}},
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    "counter": collections.Counter({2: 1, 5: 3}),
    "size": torch.Size([2, 3]),
    "dtype": torch.float16,
    "device": torch.device("cuda", 1),
    "dtypes": [
        torch.tensor([1, 0, 2]).to(d)
        for d in (
            torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64
        )
    ],
    "base": base,
    "row": base[1],
    "transposed": base.t(),
    "strided": base[:, 1::2],
    "expanded": torch.tensor([7.0]).expand(3),
    "scalar": torch.tensor(2.5, dtype=torch.float64),
    "empty": torch.empty(0, 3),
    "parameter": tied,
    "again": tied,
    "leaf": torch.ones(1, requires_grad=True),
}
save("values.pt", values)
save("protocol4.pt", values, pickle_protocol=4)
save("object.pt", model)
save("legacy.pt", model.state_dict(), _use_new_zipfile_serialization=False)
save("int16.pt", {"x": torch.zeros(2, dtype=torch.int16)})

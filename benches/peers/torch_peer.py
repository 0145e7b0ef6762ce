"""The recurrent workloads and the cost of dispatch in PyTorch: one JSON line each.

Usage: torch_peer.py [eager|compile] [THREADS] [WORKLOAD...]; what the fields mean is in docs/measuring.md.
"""

import json
import random
import sys
import time

import torch
from torch import nn

MODE = sys.argv[1] if len(sys.argv) > 1 else "eager"
THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
WANTED = sys.argv[3:]
torch.set_num_threads(THREADS)
torch.manual_seed(0)


def compiled(f, **options):
    return torch.compile(f, **options) if MODE == "compile" else f


def report(workload, us, first_s, **more):
    line = dict(peer="torch-" + MODE, threads=THREADS, workload=workload, us=round(us, 4), first_s=round(first_s, 4))
    print(json.dumps(line | more), flush=True)


def upper_median(seconds):
    return sorted(seconds)[len(seconds) // 2]


def timed(f, calls):
    """Median microseconds after three calls to warm up, and the seconds of the first call before them."""
    start = time.perf_counter()
    f()
    first = time.perf_counter() - start
    for _ in range(3):
        f()
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        f()
        seconds.append(time.perf_counter() - start)
    return upper_median(seconds) * 1e6, first


class Whole(nn.Module):
    """The linear layer on the whole sequence at once."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 32, 1, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x, h):
        states, h = self.rnn(x, h)
        return self.out(states), h


class PointByPoint(Whole):
    """The linear layer on one point after the other, as the programs that users start from have it."""

    def forward(self, x, h):
        states, h = self.rnn(x, h)
        return torch.stack([self.out(states[:, t, :]) for t in range(states.size(1))], 1), h


class Training:
    def __init__(self, model, **options):
        self.forward = compiled(model, **options)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        self.loss = nn.MSELoss()
        self.h = torch.zeros(1, 1, 32)

    def step(self, x, y):
        prediction, h = self.forward(x, self.h)
        self.h = h.detach()
        loss = self.loss(prediction, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def sequence(points):
    return torch.randn(1, points, 1), torch.randn(1, points, 1)


def fixed(workload, model, points, calls):
    training, (x, y) = Training(model), sequence(points)
    report(workload, *timed(lambda: training.step(x, y), calls))


def variable(workload, training, lengths):
    data = {points: sequence(points) for points in set(lengths)}
    seconds, start = [], time.perf_counter()
    for points in lengths:
        clock = time.perf_counter()
        training.step(*data[points])
        seconds.append(time.perf_counter() - clock)
        if time.perf_counter() - start > 150:
            break
    whole = time.perf_counter() - start
    note = "first_s = whole run with compiles"
    report(workload, upper_median(seconds) * 1e6, whole, steps=len(seconds), note=note)


def rnn_fixed_10():
    fixed("rnn_fixed_10", PointByPoint(), 10, 300)


def rnn_fixed_200():
    fixed("rnn_fixed_200", Whole(), 200, 60)


def rnn_var_30():
    draw = random.Random(0)
    variable("rnn_var_30", Training(PointByPoint()), [draw.randint(1, 3) * 10 for _ in range(600)])


def rnn_var_200():
    draw = random.Random(0)
    variable("rnn_var_200", Training(Whole(), dynamic=True), [draw.randint(1, 200) for _ in range(600)])


def dispatch():
    x, y, operations = torch.randn(8), torch.randn(8, requires_grad=True), 1000

    def add():
        z = x
        for _ in range(operations):
            z = z + x

    def mul():
        z = y
        for _ in range(operations):
            z = z * x
        z.sum().backward()

    for workload, f in [("eager_add_8", add), ("eager_mul_8_fwd_bwd", mul)]:
        us, first = timed(f, 20)
        report(workload, us / operations, first)


WORKLOADS = [rnn_fixed_10, rnn_fixed_200, rnn_var_30, rnn_var_200, dispatch]
for workload in WORKLOADS:
    if not WANTED or workload.__name__ in WANTED:
        workload()

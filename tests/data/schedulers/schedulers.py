"""Writes schedulers.json: learning rates and momenta of PyTorch's schedulers over 30 steps, for what the module corpus lacks.

Run: python tests/data/schedulers/schedulers.py (PyTorch 2.15)
"""

import json
import math
import pathlib
import warnings

import torch
from torch.optim import lr_scheduler as s

warnings.simplefilter("ignore")


def build(opt, name, kwargs):
    if name in ("LambdaLR", "MultiplicativeLR"):
        base = kwargs["base"]
        return getattr(s, name)(opt, lambda epoch: base**epoch if name == "LambdaLR" else base)
    if name == "SequentialLR":
        parts = [build(opt, p["scheduler"], p["kwargs"]) for p in kwargs["schedulers"]]
        return s.SequentialLR(opt, parts, kwargs["milestones"])
    if name == "ChainedScheduler":
        return s.ChainedScheduler([build(opt, p["scheduler"], p["kwargs"]) for p in kwargs["schedulers"]])
    return getattr(s, name)(opt, **kwargs)


def case(name, kwargs, optimizer="SGD", metric=None):
    w = torch.nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([w], lr=0.1, momentum=0.9) if optimizer == "SGD" else torch.optim.Adam([w], lr=0.1)
    scheduler = build(opt, name, kwargs)
    group = opt.param_groups[0]
    momentum = lambda: float(group["momentum"] if optimizer == "SGD" else group["betas"][0])
    w.grad = torch.ones(1)
    lrs, momenta = [float(group["lr"])], [momentum()]
    for i in range(30):
        opt.step()
        scheduler.step(*([metric[i]] if metric else []))
        lrs.append(float(group["lr"]))
        momenta.append(momentum())
    given = {"id": f"{name}/{len(CASES)}", "scheduler": name, "kwargs": kwargs, "optimizer": optimizer}
    if metric:
        given["metric"] = metric
    CASES.append(given | {"lr": lrs, "momentum": momenta})


def part(name, **kwargs):
    return {"scheduler": name, "kwargs": kwargs}


CASES = []
case("StepLR", {"step_size": 7})
case("MultiStepLR", {"milestones": [4, 4, 20, 11]})
case("ConstantLR", {})
case("ConstantLR", {"factor": 0.25, "total_iters": 9})
case("LinearLR", {})
case("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 12})
case("ExponentialLR", {"gamma": 0.93})
case("PolynomialLR", {})
case("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01})
case("CosineAnnealingLR", {"T_max": 30})
case("CosineAnnealingWarmRestarts", {"T_0": 6})
case("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 3})
case("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4})
case("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"})
case("CyclicLR", {"base_lr": 0.001, "max_lr": 0.1, "step_size_up": 6, "mode": "exp_range", "gamma": 0.9}, "Adam")
case("OneCycleLR", {"max_lr": 0.5, "total_steps": 40})
case("OneCycleLR", {"max_lr": 0.5, "total_steps": 31, "anneal_strategy": "linear", "pct_start": 0.25}, "Adam")
case("OneCycleLR", {"max_lr": 0.2, "epochs": 7, "steps_per_epoch": 5, "cycle_momentum": False, "div_factor": 10.0,
                    "final_div_factor": 100.0, "three_phase": True})
case("LambdaLR", {"base": 0.95})
case("MultiplicativeLR", {"base": 0.97})
falling = [1.0 / (1 + i) if i < 8 else 0.12 + 0.001 * math.sin(i) for i in range(30)]
for mode in ("min", "max"):
    for threshold_mode in ("rel", "abs"):
        metric = falling if mode == "min" else [-x for x in falling]
        case("ReduceLROnPlateau", {"mode": mode, "factor": 0.5, "patience": 2, "threshold": 0.01,
                                   "threshold_mode": threshold_mode, "cooldown": 1, "min_lr": 0.004}, metric=metric)
case("ReduceLROnPlateau", {"factor": 0.3, "patience": 1, "eps": 1e-3}, metric=falling)
case("SequentialLR", {"schedulers": [part("LinearLR", start_factor=0.1, total_iters=5), part("ExponentialLR", gamma=0.9)],
                      "milestones": [5]})
case("SequentialLR", {"schedulers": [part("ConstantLR", factor=0.1, total_iters=4), part("CosineAnnealingLR", T_max=10),
                                     part("StepLR", step_size=3, gamma=0.5)], "milestones": [4, 16]})
case("SequentialLR", {"schedulers": [part("LinearLR", total_iters=3),
                                     part("CosineAnnealingWarmRestarts", T_0=4, T_mult=2)], "milestones": [6]})
case("SequentialLR", {"schedulers": [part("PolynomialLR", total_iters=8, power=2.0),
                                     part("MultiStepLR", milestones=[2, 6], gamma=0.3)], "milestones": [8]})
case("ChainedScheduler", {"schedulers": [part("ConstantLR", factor=0.1, total_iters=4), part("ExponentialLR", gamma=0.9)]})
case("ChainedScheduler", {"schedulers": [part("LinearLR", total_iters=10), part("CosineAnnealingLR", T_max=12),
                                         part("MultiStepLR", milestones=[5, 15], gamma=0.5)]})
case("SequentialLR", {"schedulers": [part("ChainedScheduler", schedulers=[part("ConstantLR", factor=0.5, total_iters=3),
                                                                          part("StepLR", step_size=2, gamma=0.8)]),
                                     part("ExponentialLR", gamma=0.8)], "milestones": [7]})

out = pathlib.Path(__file__).with_suffix(".json")
out.write_text("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]\n")
print(f"{len(CASES)} cases, {out.stat().st_size} bytes")

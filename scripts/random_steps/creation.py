"""Steps of random programs: draws, and tensors made from nothing."""

import torch

from random_steps.draw import DTYPES, step


@step("rand_like randn_like", 1)
def random_like(g, name):
    return [g.var("f")], g.given(0.15, dtype=DTYPES[g.dtype("f")])


@step("randint_like", 0.2)
def randint_like(g, name):
    return [g.var(), -2, 5], {}


@step("normal_ uniform_ exponential_ bernoulli_ random_", 1.2)
def fills(g, name):
    x = g.var("f" if name != "random_" else "i")
    args = {"normal_": [0.5, 2.0], "uniform_": [-1.0, 1.5], "exponential_": [2.0], "bernoulli_": [0.3],
            "random_": [0, 7]}[name]
    return [x] + args, {}


@step("bernoulli", 0.4)
def bernoulli(g, name):
    return [g.leaf(g.dtype("f"), g.shape(), 0.0, 1.0)], {}


@step("normal", 0.3)
def normal(g, name):
    shape = g.shape()
    return [g.leaf("float32", shape, plain=True), g.leaf("float32", shape, 0.1, 2.0)], {}


@step("rand randn", 0.6)
def draws(g, name):
    return [g.shape()], g.given(0.3, dtype=DTYPES[g.dtype("f")])


@step("randint", 0.2)
def randint(g, name):
    return [-3, 9, g.shape()], {}


@step("randperm", 0.3)
def randperm(g, name):
    return [g.choice([0, 1, 2, 5, 9])], {}


@step("nn.functional.dropout", 0.8)
def dropout(g, name):
    return [g.var("f"), g.choice([0.5, 0.2, 0.0, 1.0]), g.chance(0.85)], {}


# Made from nothing.

@step("zeros_like ones_like", 1)
def like(g, name):
    return [g.var()], g.given(0.25, dtype=DTYPES[g.dtype()])


@step("full_like", 0.5)
def full_like(g, name):
    return [g.var(), g.number()], g.given(0.2, dtype=DTYPES[g.dtype()])


@step("full", 0.4)
def full(g, name):
    return [g.shape(), g.number()], {"dtype": DTYPES[g.dtype()]}


@step("zeros ones", 0.4)
def zeros(g, name):
    return [g.shape()], {"dtype": DTYPES[g.dtype()]}


@step("arange", 0.5)
def arange(g, name):
    u = g.rng.random()
    args = ([g.rng.randint(0, 6)] if u < 0.4 else [g.rng.randint(-3, 2), g.rng.randint(2, 6)] if u < 0.7
            else [0.5, 4.2, g.choice([0.5, 0.3, 1])])
    return args, g.given(0.3, dtype=DTYPES[g.choice(["float32", "int64", "float64", "int32"])])


@step("eye", 0.3)
def eye(g, name):
    return [g.size()] + ([g.size()] if g.chance(0.5) else []), g.given(0.3, dtype=DTYPES[g.dtype()])


@step("linspace", 0.3)
def linspace(g, name):
    return [g.choice([0, -1.5, 2]), g.choice([1, 4.3, -3]), g.size()], g.given(0.2, dtype=torch.float64)

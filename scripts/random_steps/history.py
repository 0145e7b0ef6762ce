"""Steps of random programs: what requires a gradient, and backward passes."""

from random_steps.draw import Ref, Skip, step


@step("requires_grad_", 1.5)
def requires_grad_(g, name):
    return [g.var("f" if g.chance(0.95) else "fib")] + ([False] if g.chance(0.2) else []), {}


@step("detach", 1.2)
def detach(g, name):
    return [g.var()], {}


@step("detach_", 0.6)
def detach_(g, name):
    return [g.var("f")], {}


@step("retain_grad", 0.5)
def retain_grad(g, name):
    return [g.var("f", fits=lambda t: t.requires_grad)], {}


@step("get_grad", 0.8)
def get_grad(g, name):
    return [g.var("f", fits=lambda t: t.requires_grad and t.is_leaf and t.grad is not None, fresh=0)], {}


@step("drop_grad", 0.3)
def drop_grad(g, name):
    return [g.var("f", fits=lambda t: t.requires_grad and t.is_leaf and t.grad is not None, fresh=0)], {}


@step("backward", 5)
def backward(g, name):
    x = g.var("f", fits=lambda t: t.requires_grad, fresh=0.02)
    t = g.value(x)
    gradient = None if t.numel() == 1 and g.chance(0.5) or g.chance(0.03) else g.same_gradient(t)
    return [x, gradient], {**g.given(0.45, retain_graph=True), **g.given(0.1, create_graph=True)}


@step("grad", 2.5)
def grad(g, name):
    x = g.var("f", fits=lambda t: t.requires_grad and not t.is_leaf, fresh=0)
    t = g.value(x)
    inputs = [Ref(i) for i, v in enumerate(g.variables) if v is not None and v.requires_grad and i != x.index]
    if not inputs:
        raise Skip
    inputs = g.rng.sample(inputs, min(len(inputs), g.choice([1, 1, 2, 3])))
    gradient = None if t.numel() == 1 and g.chance(0.5) else g.same_gradient(t)
    return [[x], inputs, [gradient]], {
        **g.given(0.9, allow_unused=True), **g.given(0.4, retain_graph=True), **g.given(0.35, create_graph=True),
        **g.given(0.1, materialize_grads=True)}

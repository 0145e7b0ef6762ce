"""Steps of random programs: changes in place."""

from random_steps.draw import NAMES, Skip, step
from random_steps.elementwise import addc, lerp


@step("neg_ abs_ sqrt_ rsqrt_ reciprocal_ square_ exp_ exp2_ expm1_ log_ log2_ log10_ log1p_ sin_ cos_ tan_ asin_ acos_ "
      "atan_ sinh_ cosh_ tanh_ asinh_ acosh_ atanh_ erf_ erfc_ sigmoid_ relu_ floor_ ceil_ round_ trunc_ frac_ sign_ "
      "logical_not_ bitwise_not_ nan_to_num_", 4)
def unary_(g, name):
    return [g.var()], {}


@step("add_ sub_ mul_ div_ floor_divide_ remainder_ fmod_ pow_ clamp_min_ clamp_max_ logical_and_ logical_or_ bitwise_and_ "
      "bitwise_or_", 7)
def binary_(g, name):
    x = g.var()
    tensor = name.startswith("logical")
    y = g.fitting(x) if tensor or g.chance(0.6) else g.number()
    return [x, y], g.given(0.2, alpha=g.number()) if name in ("add_", "sub_") else {}


@step("lerp_", 0.3)
def lerp_(g, name):
    return lerp(g, name)


@step("addcmul_ addcdiv_", 0.5)
def addc_(g, name):
    return addc(g, name)


@step("clamp_", 0.5)
def clamp_(g, name):
    x = g.var()
    return ([x, g.number(), g.number()] if g.chance(0.6) else [x, g.fitting(x), g.fitting(x)]), {}


@step("cumsum_ cumprod_", 0.5)
def cumulative_(g, name):
    x = g.var()
    return [x, g.axis(x)], {}


@step("nn.functional.leaky_relu_ nn.functional.elu_ nn.functional.hardtanh_", 0.5)
def activations_(g, name):
    return [g.var("f")], {}


@step("copy_", 2.5)
def copy_(g, name):
    x = g.var()
    return [x, g.fitting(x)], {}


@step("fill_", 1.5)
def fill_(g, name):
    x = g.var()
    return [x, g.number() if g.chance(0.75) else g.leaf(g.dtype(), [])], {}


@step("zero_", 1)
def zero_(g, name):
    return [g.var()], {}


@step("diagonal.fill_ diagonal.mul_ diagonal.copy_", 0.6)
def diagonal_(g, name):
    x = g.var(rank=range(2, 4))
    t = g.value(x)
    if t.dim() < 2:
        raise Skip
    if name == "diagonal.copy_":
        return [x, g.leaf(NAMES[t.dtype], list(t.diagonal().shape))], {}
    return [x, g.number()], {}

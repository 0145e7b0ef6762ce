"""Steps of random programs: functions of each element, of one operand and of two."""

from random_steps.draw import DTYPES, step


# Functions of each element.

@step("abs acos asin atan ceil cos cosh erf erfc exp exp2 expm1 floor frac isfinite isinf isnan log log10 log1p log2 "
      "logical_not neg reciprocal rsqrt sgn sigmoid sign sin sinh sqrt square tan tanh trunc round acosh asinh atanh "
      "positive sinc signbit isposinf isneginf bitwise_not deg2rad rad2deg", 14)
def unary(g, name):
    return [g.var()], {}


@step("nan_to_num", 0.3)
def nan_to_num(g, name):
    return [g.var()], g.given(0.4, nan=g.number("f"), posinf=g.number("f"), neginf=g.number("f"))


@step("logit", 0.3)
def logit(g, name):
    return [g.var()] + ([g.choice([0.2, 0.4, 0.0])] if g.chance(0.5) else []), {}


@step("round.decimals_0 round.decimals_3 round.decimals_neg_3", 0.4)
def rounded(g, name):
    return [g.var()], {"decimals": {"round.decimals_0": 0, "round.decimals_3": 3, "round.decimals_neg_3": -3}[name]}


# Two operands.

@step("mul eq ne lt le gt ge fmod clamp_max clamp_min", 6)
def tensor_and_operand(g, name):
    x = g.var()
    return [x, g.operand(x)], {}


@step("maximum minimum logical_and logical_or logical_xor atan2 hypot max.binary min.binary copysign logaddexp "
      "logaddexp2 ldexp", 4)
def tensor_and_tensor(g, name):
    x = g.var()
    return [x, g.fitting(x)], {}


@step("add sub rsub", 4)
def sum_of(g, name):
    x = g.var()
    pair = [x, g.operand(x)]
    if name != "rsub" and g.chance(0.08):
        pair = [g.number(), x]
    return pair, g.given(0.25, alpha=g.number())


@step("pow remainder xlogy div.no_rounding_mode floor_divide float_power", 4)
def either_side(g, name):
    x = g.var()
    y = g.operand(x)
    if g.chance(0.15):
        return [g.number(), x], {}
    return [x, y], {}


@step("div.floor_rounding div.trunc_rounding", 1.2)
def rounded_div(g, name):
    x = g.var()
    pair = [g.number(), x] if g.chance(0.12) else [x, g.operand(x)]
    return pair, {"rounding_mode": "floor" if "floor" in name else "trunc"}


@step("operator.add operator.sub operator.mul operator.truediv operator.mod operator.floordiv operator.pow", 3.5)
def operators(g, name):
    x = g.var()
    if g.chance(0.35):
        return [g.number("if"), x], {}
    return [x, g.number("if") if g.chance(0.5) else g.fitting(x)], {}


@step("bitwise_and bitwise_or bitwise_xor", 1)
def bitwise(g, name):
    x = g.var("ib")
    return [x, g.number("ib") if g.chance(0.3) else g.fitting(x, "ib")], {}


@step("addcmul addcdiv", 1)
def addc(g, name):
    x = g.var("f" if g.chance(0.8) else "fi")
    a = g.fitting(x)
    return [x, a, g.fitting(a)], g.given(0.4, value=g.number("if"))


@step("lerp", 0.7)
def lerp(g, name):
    x = g.var("f")
    return [x, g.fitting(x, "f"), g.number("if") if g.chance(0.4) else g.fitting(x, "f")], {}


@step("clamp", 1)
def clamp(g, name):
    x = g.var()
    if g.chance(0.5):
        low, high = g.number(), g.number()
    else:
        low, high = g.fitting(x), g.fitting(x)
    u = g.rng.random()
    return [x, None if u < 0.15 else low, None if u > 0.85 else high], {}


@step("where", 1.2)
def where(g, name):
    x = g.var()
    c = g.fitting(x, "b")
    y = g.operand(x)
    return [c, x, y] if g.chance(0.75) else [c, g.number(), g.number() if g.chance(0.2) else x], {}


@step("isclose", 0.3)
def isclose(g, name):
    x = g.var()
    return [x, g.fitting(x)], g.given(0.3, rtol=0.1, atol=0.5, equal_nan=True)


@step("to", 2)
def to(g, name):
    return [g.var(), DTYPES[g.dtype()]], {}

//! Rows: functions of each element, of one, two or three tensors or numbers.

use crate::derivative::{Row, binary, case, check_all, row, unary};
use crate::draw::Domain::*;
use allotrope::Tensor;
use allotrope::ops::{self, Number};

/// Rows of methods without arguments.
macro_rules! methods {
    ($($name:literal $domain:ident $method:ident;)*) => {
        vec![$(unary($name, $domain, |x| x.$method())),*]
    };
}

fn of_one() -> Vec<Row> {
    let mut rows = methods! {
        "abs" Away abs;
        "acos" Inner acos;
        "acosh" OverOne acosh;
        "asin" Inner asin;
        "asinh" Zeros asinh;
        "atan" Zeros atan;
        "atanh" Inner atanh;
        "ceil" Away ceil;
        "cos" Zeros cos;
        "cosh" Zeros cosh;
        "deg2rad" Any deg2rad;
        "digamma" Positive digamma;
        "erf" Zeros erf;
        "erfc" Any erfc;
        "erfinv" Inner erfinv;
        "exp" Zeros exp;
        "exp2" Any exp2;
        "expm1" Zeros expm1;
        "fix" Away fix;
        "floor" Away floor;
        "frac" Away frac;
        "lgamma" Positive lgamma;
        "log" Positive log;
        "log10" Positive log10;
        "log1p" Inner log1p;
        "log2" Positive log2;
        "logit" Unit logit;
        "neg" Zeros neg;
        "positive" Any positive;
        "rad2deg" Any rad2deg;
        "reciprocal" Away reciprocal;
        "round" Away round;
        "rsqrt" Positive rsqrt;
        "sgn" Away sgn;
        "sigmoid" Zeros sigmoid;
        "sign" Away sign;
        "sin" Zeros sin;
        "sinc" Zeros sinc;
        "sinh" Zeros sinh;
        "sqrt" Positive sqrt;
        "square" Zeros square;
        "tan" Inner tan;
        "tanh" Zeros tanh;
        "trunc" Away trunc;
    };
    rows.push(unary("polygamma", OverOne, |x| x.polygamma(2)));
    rows.push(unary("logit with eps", Away, |x| x.logit_eps(0.45)));
    rows.push(unary("nan_to_num", Any, |x| x.nan_to_num(Some(1.0), None, None)));
    rows.push(unary("round.decimals_0", Away, |x| x.round_decimals(0)));
    rows.push(unary("round.decimals_3", Thousandths, |x| x.round_decimals(3)));
    rows.push(unary("round.decimals_neg_3", Any, |x| x.round_decimals(-3)));
    rows.push(unary("to", Any, |x| x.to(allotrope::DType::F64)));
    rows
}

fn of_two() -> Vec<Row> {
    vec![
        binary("atan2", [Away, Away], |a, b| a.atan2(b)),
        binary("copysign", [Away, Away], |a, b| a.copysign(b)),
        binary("div.no_rounding_mode", [Any, Away], |a, b| a.div(b)),
        binary("float_power", [Positive, Any], |a, b| a.float_power(b)),
        binary("hypot", [Away, Away], |a, b| a.hypot(b)),
        binary("ldexp", [Any, Any], |a, b| a.ldexp(b)),
        binary("logaddexp", [Grid(0.0), Grid(0.0)], |a, b| a.logaddexp(b)),
        binary("logaddexp2", [Grid(0.0), Grid(0.0)], |a, b| a.logaddexp2(b)),
        binary("max.binary", [Grid(0.0), Grid(0.1)], |a, b| a.maximum(b)),
        binary("maximum", [Grid(0.0), Grid(0.1)], |a, b| a.maximum(b)),
        binary("min.binary", [Grid(0.0), Grid(0.1)], |a, b| a.minimum(b)),
        binary("minimum", [Grid(0.0), Grid(0.1)], |a, b| a.minimum(b)),
        binary("mul", [Zeros, Zeros], |a, b| a.mul(b)),
        binary("pow", [Positive, Any], |a, b| a.pow(b)),
        binary("true_divide", [Any, Away], |a, b| a.true_divide(b)),
        binary("xlogy", [Any, Positive], |a, b| a.xlogy(b)),
    ]
}

/// The divisor, of the given kind, in steps that the dividends of `Away` divided by it never meet: all are 1 or -1.
fn division(name: &'static str, f: fn(&Tensor, &Tensor) -> Tensor) -> Row {
    row(name, move |d| {
        let [a, b] = d.partners();
        let (x, sign) = (d.tensor(&a, Away), d.signs(&b));
        match d.below(3) {
            // The divisor differs from a tensor of signs by too little to matter, so that it has a gradient.
            0 => case(vec![x, d.tensor(&b, Unit)], "tensor", move |x| vec![f(&x[0], &(&sign + &x[1] * 1e-3))]),
            1 => case(vec![x], "signs", move |x| vec![f(&x[0], &sign)]),
            _ => case(vec![x], 2.0, move |x| vec![f(&(&x[0] * 2.0), &Tensor::scalar(2.0f64))]),
        }
    })
}

/// `f` of a tensor, and a tensor or a number, and a multiple of the second.
fn scaled(name: &'static str, f: fn(&Tensor, &Tensor, Number) -> Tensor, g: fn(&Tensor, f64, Number) -> Tensor) -> Row {
    row(name, move |d| {
        let [a, b] = d.partners();
        let alpha = d.pick(&[Number::Int(1), Number::Float(-0.7), Number::Int(0), Number::Int(3)]);
        if d.once_in(4) {
            return case(vec![d.tensor(&a, Any)], (1.5, alpha), move |x| vec![g(&x[0], 1.5, alpha)]);
        }
        case(vec![d.tensor(&a, Any), d.tensor(&b, Any)], alpha, move |x| vec![f(&x[0], &x[1], alpha)])
    })
}

fn with_numbers() -> Vec<Row> {
    vec![
        division("div.floor_rounding", |a, b| a.div_floor(b)),
        division("div.trunc_rounding", |a, b| a.div_trunc(b)),
        division("remainder", |a, b| a.remainder(b)),
        division("fmod", |a, b| a.fmod(b)),
        scaled("add", |a, b, n| a.add_alpha(b, n), |a, b, n| a.add_alpha(b, n)),
        scaled("sub", |a, b, n| a.sub_alpha(b, n), |a, b, n| a.sub_alpha(b, n)),
        scaled("rsub", |a, b, n| a.rsub_alpha(b, n), |a, b, n| a.rsub_alpha(b, n)),
        binary("add without a multiple", [Any, Any], |a, b| a.add(b)),
        binary("sub without a multiple", [Any, Any], |a, b| a.sub(b)),
        binary("rsub without a multiple", [Any, Any], |a, b| a.rsub(b)),
        row("pow of a number", |d| {
            let shape = d.shape(0, 4);
            let base = d.pick(&[2.0, 0.5, 1.0]);
            case(vec![d.tensor(&shape, Any)], base, move |x| vec![ops::pow(base, &x[0])])
        }),
        row("pow to a number", |d| {
            let shape = d.shape(0, 4);
            let n = d.pick(&[Number::Int(2), Number::Int(0), Number::Int(1), Number::Int(3), Number::Float(0.5)]);
            let x = d.tensor(&shape, if n == Number::Float(0.5) { Positive } else { Zeros });
            case(vec![x], n, move |x| vec![x[0].pow(n)])
        }),
        row("pow to a negative number", |d| {
            let shape = d.shape(0, 4);
            let n = d.pick(&[-1.0, -2.0, -3.0]);
            case(vec![d.tensor(&shape, Large)], n, move |x| vec![x[0].pow(n)])
        }),
        row("div of a number", |d| {
            let shape = d.shape(0, 4);
            case(vec![d.tensor(&shape, Large)], (), |x| vec![ops::div(3.0, &x[0])])
        }),
        row("xlogy of a number", |d| {
            let shape = d.shape(0, 4);
            case(vec![d.tensor(&shape, Positive)], (), |x| vec![ops::xlogy(3.0, &x[0]), ops::xlogy(0.0, &x[0])])
        }),
    ]
}

fn of_three() -> Vec<Row> {
    vec![
        row("addcmul", |d| {
            let [a, b, c] = d.partners();
            let value = d.pick(&[Number::Int(1), Number::Float(-0.7), Number::Int(0)]);
            let x = vec![d.tensor(&a, Any), d.tensor(&b, Any), d.tensor(&c, Any)];
            case(x, value, move |x| vec![x[0].addcmul(&x[1], &x[2], value)])
        }),
        row("addcdiv", |d| {
            let [a, b, c] = d.partners();
            let value = d.pick(&[Number::Int(1), Number::Float(-0.7), Number::Int(0)]);
            let x = vec![d.tensor(&a, Any), d.tensor(&b, Any), d.tensor(&c, Large)];
            case(x, value, move |x| vec![x[0].addcdiv(&x[1], &x[2], value)])
        }),
        row("lerp", |d| {
            let [a, b, c] = d.partners();
            let mut x = vec![d.tensor(&a, Any), d.tensor(&b, Any)];
            if d.once_in(3) {
                let weight = d.pick(&[0.25, 0.75]);
                return case(x, weight, move |x| vec![x[0].lerp(&x[1], weight)]);
            }
            // The two formulas of PyTorch are the same line, so one half is no kink.
            x.push(d.tensor(&c, Any));
            case(x, (), |x| vec![x[0].lerp(&x[1], &x[2])])
        }),
        row("where", |d| {
            let [a, b, c] = d.partners();
            let (condition, a, b) = (d.mask(&c), d.tensor(&a, Any), d.tensor(&b, Any));
            match d.below(3) {
                0 => case(vec![condition, a, b], (), |x| vec![ops::where_(&x[0], &x[1], &x[2])]),
                1 => case(vec![condition, a], "other 0.5", |x| vec![ops::where_(&x[0], &x[1], 0.5)]),
                _ => case(vec![condition, b], "input 0.5", |x| vec![ops::where_(&x[0], 0.5, &x[1])]),
            }
        }),
        row("clamp", |d| {
            let [a, b, c] = d.partners();
            let x = d.tensor(&a, Grid(0.0));
            if d.once_in(3) {
                let (min, max) = d.pick(&[(-0.55, 0.7), (0.4, -0.4)]);
                return case(vec![x], (min, max), move |x| vec![x[0].clamp(min, max)]);
            }
            let x = vec![x, d.tensor(&b, Grid(0.1)), d.tensor(&c, Grid(0.2))];
            case(x, (), |x| vec![x[0].clamp(&x[1], &x[2])])
        }),
        binary("clamp_min", [Grid(0.0), Grid(0.1)], |a, b| a.clamp_min(b)),
        binary("clamp_max", [Grid(0.0), Grid(0.1)], |a, b| a.clamp_max(b)),
        unary("clamp_min to a number", Grid(0.0), |a| a.clamp_min(0.1)),
        unary("clamp_max to a number", Grid(0.0), |a| a.clamp_max(0.1)),
    ]
}

pub fn rows() -> Vec<Row> {
    [of_one(), of_two(), with_numbers(), of_three()].into_iter().flatten().collect()
}

#[test]
fn functions_of_one_tensor() {
    check_all(of_one());
}

#[test]
fn functions_of_two_tensors() {
    check_all([of_two(), with_numbers()].into_iter().flatten().collect());
}

#[test]
fn functions_of_three_tensors() {
    check_all(of_three());
}

//! An operator in place gives the bits of the plain one: eager, traced, on tensors of any layout, with the same gradient;
//! and it refuses what does not fit into the tensor.

use crate::common::{assert_same, copy};
use allotrope::prelude::{grad, trace};
use allotrope::{DType, Tensor};

/// What the operators act on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Floats,
    Integers,
    Bools,
}

struct Twin {
    name: &'static str,
    kind: Kind,
    plain: fn(&Tensor, &Tensor) -> Tensor,
    inplace: fn(&Tensor, &Tensor),
}

/// A row for each: name, kind, and the plain operator's name and its arguments, of which `y` is a second tensor.
macro_rules! twins {
    ($($name:ident $kind:ident $plain:ident ($y:ident $(, $arg:expr)*);)*) => {
        vec![$(Twin {
            name: stringify!($name),
            kind: Kind::$kind,
            plain: |x, $y| { let _ = $y; x.$plain($($arg),*) },
            inplace: |x, $y| { let _ = $y; x.$name($($arg),*); },
        }),*]
    };
}

/// `y` as a tensor of places along the first axis.
fn places(y: &Tensor) -> Tensor {
    y.select(1, 0).mul(100.0).to(DType::I64).remainder(3)
}

fn all() -> Vec<Twin> {
    let mut rows = twins! {
        add_ Floats add (y, y);
        add_alpha_ Floats add_alpha (y, y, 0.3);
        sub_ Floats sub (y, y);
        sub_alpha_ Floats sub_alpha (y, y, 0.3);
        mul_ Floats mul (y, y);
        div_ Floats div (y, y);
        floor_divide_ Floats floor_divide (y, y);
        remainder_ Floats remainder (y, y);
        fmod_ Floats fmod (y, y);
        pow_ Floats pow (y, y);
        lerp_ Floats lerp (y, y, 0.3);
        addcmul_ Floats addcmul (y, y, y, 0.3);
        addcdiv_ Floats addcdiv (y, y, y, 0.3);
        clamp_ Floats clamp (y, 0.3, 0.6);
        clamp_with_ Floats clamp_with (y, Some(allotrope::ops::Arg::from(y)), None);
        clamp_min_ Floats clamp_min (y, y);
        clamp_max_ Floats clamp_max (y, y);
        masked_fill_ Floats masked_fill (y, &y.gt(0.5), 7.0);
        cumsum_ Floats cumsum (y, 0);
        cumprod_ Floats cumprod (y, -1);
        leaky_relu_ Floats leaky_relu (y, 0.1);
        elu_ Floats elu (y, 1.3);
        selu_ Floats selu (y);
        celu_ Floats celu (y, 1.3);
        relu6_ Floats relu6 (y);
        silu_ Floats silu (y);
        mish_ Floats mish (y);
        hardsigmoid_ Floats hardsigmoid (y);
        hardswish_ Floats hardswish (y);
        rrelu_ Floats rrelu (y, 0.1, 0.3, false);
        threshold_ Floats threshold (y, 0.4, 2.0);
        hardtanh_ Floats hardtanh (y, -0.4, 0.4);
        nan_to_num_ Floats nan_to_num (y, Some(1.0), None, None);
        neg_ Floats neg (y);
        abs_ Floats abs (y);
        sqrt_ Floats sqrt (y);
        rsqrt_ Floats rsqrt (y);
        reciprocal_ Floats reciprocal (y);
        square_ Floats square (y);
        exp_ Floats exp (y);
        exp2_ Floats exp2 (y);
        expm1_ Floats expm1 (y);
        log_ Floats log (y);
        log2_ Floats log2 (y);
        log10_ Floats log10 (y);
        log1p_ Floats log1p (y);
        sin_ Floats sin (y);
        cos_ Floats cos (y);
        tan_ Floats tan (y);
        asin_ Floats asin (y);
        acos_ Floats acos (y);
        atan_ Floats atan (y);
        sinh_ Floats sinh (y);
        cosh_ Floats cosh (y);
        tanh_ Floats tanh (y);
        asinh_ Floats asinh (y);
        acosh_ Floats acosh (y);
        atanh_ Floats atanh (y);
        erf_ Floats erf (y);
        erfc_ Floats erfc (y);
        sigmoid_ Floats sigmoid (y);
        relu_ Floats relu (y);
        floor_ Floats floor (y);
        ceil_ Floats ceil (y);
        round_ Floats round (y);
        trunc_ Floats trunc (y);
        frac_ Floats frac (y);
        sign_ Floats sign (y);
        scatter_ Floats scatter (y, 0, &places(y).unsqueeze(0), y);
        scatter_add_ Floats scatter_add (y, 0, &places(y).unsqueeze(0), y);
        index_add_ Floats index_add (y, 0, &places(y), y, 0.5);
        index_fill_ Floats index_fill (y, 0, &places(y), 7.0);
        index_copy_ Floats index_copy (y, 0, &places(y), y);
        logical_not_ Bools logical_not (y);
        logical_and_ Bools logical_and (y, y);
        logical_or_ Bools logical_or (y, y);
        bitwise_not_ Integers bitwise_not (y);
        bitwise_and_ Integers bitwise_and (y, y);
        bitwise_or_ Integers bitwise_or (y, y);
        bitwise_xor_ Integers bitwise_xor (y, y);
    };
    let again: Vec<Twin> = twins! {
        add_ Integers add (y, y);
        sub_ Integers sub (y, y);
        mul_ Integers mul (y, y);
        floor_divide_ Integers floor_divide (y, y);
        remainder_ Integers remainder (y, y);
        fmod_ Integers fmod (y, y);
        pow_ Integers pow (y, y);
        neg_ Integers neg (y);
        abs_ Integers abs (y);
        square_ Integers square (y);
        sign_ Integers sign (y);
        clamp_ Integers clamp (y, 2, 5);
        floor_ Integers floor (y);
        cumsum_ Integers cumsum (y, 1);
        bitwise_and_ Bools bitwise_and (y, y);
        bitwise_not_ Bools bitwise_not (y);
    };
    rows.extend(again);
    rows.extend([
        Twin {
            name: "copy_",
            kind: Kind::Floats,
            plain: |_, y| y.clone(),
            inplace: |x, y| {
                x.copy_(y);
            },
        },
        Twin {
            name: "fill_",
            kind: Kind::Floats,
            plain: |x, _| x.full_like(2.5),
            inplace: |x, _| {
                x.fill_(2.5);
            },
        },
        Twin {
            name: "zero_",
            kind: Kind::Integers,
            plain: |x, _| x.zeros_like(),
            inplace: |x, _| {
                x.zero_();
            },
        },
        Twin {
            name: "index_put_",
            kind: Kind::Floats,
            plain: |x, y| x.index_put(&places(y), 2.0, true),
            inplace: |x, y| {
                x.index_put_(&places(y), 2.0, true);
            },
        },
    ]);
    rows
}

/// Twelve elements as a `[3, 4]` tensor, of other numbers for another `seed`.
fn values(kind: Kind, seed: usize) -> Tensor {
    let at = |i: usize| (i * 7 + seed * 5) % 12;
    let t = match kind {
        Kind::Floats => Tensor::from_vec(
            (0..12).map(|i| (at(i) as f64 + 0.7) / 13.0 * if i % 5 == 4 { -1.0 } else { 1.0 }).collect(),
            &[3, 4],
        ),
        Kind::Integers => Tensor::from_vec((0..12).map(|i| at(i) as i64 + 1).collect(), &[3, 4]),
        Kind::Bools => Tensor::from_vec((0..12).map(|i| at(i) % 3 == 0).collect(), &[3, 4]),
    };
    if kind == Kind::Floats { t.to(DType::F32) } else { t }
}

/// The same elements in memory that others share: the whole, and the view on it.
fn views(x: &Tensor) -> Vec<(&'static str, Tensor, Tensor)> {
    let whole = copy(x);
    let turned = copy(&x.transpose(0, 1));
    let wide = copy(&allotrope::ops::cat(&[x, x, x], 1));
    let inner = copy(&allotrope::ops::stack(&[x, x], 2));
    vec![
        ("contiguous", whole.clone(), whole),
        ("transposed", turned.clone(), turned.transpose(0, 1)),
        ("a part of each row", wide.clone(), wide.narrow(1, 4, 4)),
        ("every second element", inner.clone(), inner.select(2, 1)),
    ]
}

#[test]
fn same_bits_as_the_plain_operator() {
    for Twin { name, kind, plain, inplace } in all() {
        let (x, y) = (values(kind, 1), values(kind, 2));
        let want = plain(&x, &y);
        for (what, whole, view) in views(&x) {
            let before = copy(&whole);
            inplace(&view, &y);
            assert_same(&format!("{name}, {what}"), &view, &want);
            // What the view does not show has not changed.
            view.copy_(&x);
            assert_same(&format!("{name}, {what}: beside it"), &whole, &before);
        }
    }
}

#[test]
fn same_bits_in_a_trace_on_tensors_from_outside() {
    for Twin { name, kind, plain, inplace } in all() {
        let (x, y) = (values(kind, 1), values(kind, 2));
        let want = plain(&x, &y);
        for (what, _, view) in views(&x) {
            let step = trace(|y: &Tensor| {
                inplace(&view, y);
                view.clone()
            });
            let got = step.call(&y).unwrap_or_else(|e| panic!("{name}, {what}: {e}"));
            assert_same(&format!("{name}, {what}: the result"), &got, &want);
            assert_same(&format!("{name}, {what}: the tensor outside"), &view, &want);
        }
    }
}

#[test]
fn same_bits_in_a_trace_on_arguments_and_values_within() {
    for Twin { name, kind, plain, inplace } in all() {
        let (x, y) = (values(kind, 1), values(kind, 2));
        let want = plain(&x, &y);
        let step = trace(|x: &Tensor, y: &Tensor| {
            let own = x.contiguous().reshape(&[2, 6]).reshape(&[3, 4]).where_self(&y.eq(y), x);
            inplace(&own, y);
            inplace(x, y);
            own
        });
        let argument = copy(&x);
        let got = step.call((&argument, &y)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_same(&format!("{name}: a value within"), &got, &want);
        assert_same(&format!("{name}: an argument"), &argument, &want);
    }
}

#[test]
fn same_gradient() {
    for Twin { name, kind, plain, inplace } in all() {
        // There is no derivative of a floor division, nor of these in place.
        let underived = ["acosh_", "asinh_", "atanh_", "floor_divide_"];
        if kind != Kind::Floats || underived.contains(&name) {
            continue;
        }
        let y = values(kind, 2);
        let plainly = |x: &Tensor| {
            let own = x.mul(1.0);
            gradient(&plain(&own, &y), x)
        };
        let in_place = |x: &Tensor| {
            let own = x.mul(1.0);
            inplace(&own, &y);
            gradient(&own, x)
        };
        let x = values(kind, 1).requires_grad();
        let want = plainly(&x);
        assert_same(&format!("{name}: gradient"), &in_place(&x), &want);
        let traced = trace(in_place).call(&x).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_same(&format!("{name}: gradient in a trace"), &traced, &want);
    }
}

fn gradient(of: &Tensor, x: &Tensor) -> Tensor {
    if !of.is_requires_grad() {
        return x.detach().zeros_like();
    }
    let total = of.mul(of).sum();
    grad(&[&total], &[x], false).expect("a gradient").remove(0).unwrap_or_else(|| x.detach().zeros_like())
}

/// A row that the tables of the library have and this file has not.
#[test]
fn every_operator_in_place_is_here() {
    let here = all();
    for text in [include_str!("../../src/ops/inplace.rs"), include_str!("../../src/ops/index.rs")] {
        for line in text.lines() {
            let Some((name, rest)) = line.trim().split_once(" / try_") else { continue };
            let is_row = name.ends_with('_') && rest.contains('=') && !name.contains(' ');
            assert!(!is_row || here.iter().any(|t| t.name == name), "{name} is in no test");
        }
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let (ints, bools, floats) = (values(Kind::Integers, 1), values(Kind::Bools, 1), values(Kind::Floats, 1));
    let wide = Tensor::ones(&[2, 3, 4], DType::F32);
    type Attempt<'a> = (&'static str, &'a Tensor, Box<dyn Fn(&Tensor) -> allotrope::Result<()> + 'a>);
    let attempts: Vec<Attempt<'_>> = vec![
        ("floats into integers", &ints, Box::new(|x| x.try_add_(1.5).map(|_| ()))),
        ("a quotient of integers", &ints, Box::new(|x| x.try_div_(2).map(|_| ()))),
        ("a root of integers", &ints, Box::new(|x| x.try_sqrt_().map(|_| ()))),
        ("an exponential of integers", &ints, Box::new(|x| x.try_exp_().map(|_| ()))),
        ("a float tensor into integers", &ints, Box::new(|x| x.try_mul_(&floats).map(|_| ()))),
        ("integers into bools", &bools, Box::new(|x| x.try_add_(1).map(|_| ()))),
        ("integer sums into bools", &bools, Box::new(|x| x.try_cumsum_(0).map(|_| ()))),
        ("more axes", &floats, Box::new(|x| x.try_add_(&wide).map(|_| ()))),
        ("more axes by copying", &floats, Box::new(|x| x.try_copy_(&wide).map(|_| ()))),
        ("more axes by masking", &floats, Box::new(|x| x.try_masked_fill_(&wide.gt(0.0), 1.0).map(|_| ()))),
    ];
    for (what, x, attempt) in &attempts {
        let target = copy(x);
        assert!(attempt(&target).is_err(), "{what}");
        assert_same(what, &target, x);
        let traced = trace(|| {
            target.add_alpha_(0, 0);
            attempt(&target).unwrap_or_else(|e| panic!("{e}"));
        })
        .call([]);
        assert!(traced.is_err(), "{what}, traced");
        assert_same(&format!("{what}, traced"), &target, x);
    }
    // A row grows neither along an axis of one element.
    let row = Tensor::ones(&[1, 4], DType::F32);
    assert!(row.try_add_(&values(Kind::Floats, 1)).is_err());
    assert_same("a row", &row, &Tensor::ones(&[1, 4], DType::F32));
    // What is of the same kind is cast.
    let narrow = copy(&floats);
    narrow.add_(&Tensor::ones(&[3, 4], DType::F64));
    assert_same("f64 into f32", &narrow, &floats.add(&Tensor::ones(&[3, 4], DType::F64)).to(DType::F32));
}

/// What is changed may be an operand that is kept, also where only the sizes of a call say that nothing is repeated.
#[test]
fn operands_that_change_themselves() {
    let gradient = |traced: bool| {
        let x = Tensor::from_vec((-3..3).map(|i| i as f32).collect(), &[2, 3]).requires_grad();
        let bound = Tensor::zeros(&[1, 2, 3], DType::F32);
        let f = |x: &Tensor, bound: &Tensor| {
            let y = x.reshape(&[1, 2, 3]) * 2.0;
            y.clamp_min_(bound);
            (&y * &y).sum()
        };
        let loss = if traced { trace(f).call((&x, &bound)).unwrap() } else { f(&x, &bound) };
        loss.backward();
        x.grad().unwrap()
    };
    let eager = gradient(false);
    assert_eq!(eager.to_vec::<f32>(), [0.0, 0.0, 0.0, 0.0, 8.0, 16.0]);
    assert_same("traced", &gradient(true), &eager);
}

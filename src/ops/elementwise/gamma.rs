//! The logarithm of the gamma function and its derivatives, and the inverse of the error function: composed of other operations
//! in f64 and rounded once, so that they are the same in both modes and on every device. They are primitives nowhere.
//!
//! Polynomials are Chebyshev fits in 200 bits, then rounded. Largest errors seen, against 50 digits: f32 half a unit in the last place;
//! f64 `lgamma` and `digamma` 2 units, `erfinv` 1, `polygamma` 3 to 6. Beside the zeros of `lgamma` and `digamma` below 0 it is the
//! error of the terms that cancel there.
#![allow(clippy::unreadable_literal, clippy::excessive_precision, reason = "coefficients as they were printed")]

use super::super::arg::Number;
use super::super::{grads1, twins};
use super::{as_float, choose};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::ops::elementwise::try_sub;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::DType;
use std::f64::consts::PI;

/// lgamma(z) / ((z - 1)(z - 2)) of z - 1.75, for z in [1, 2.5] (error 2e-19).
#[rustfmt::skip]
const LGAMMA: [f64; 27] = [
    2.915020840600158e-08, -5.271069691352568e-08, -1.5258602053637756e-08, 2.71885747144867e-08, 1.3833778748324786e-07,
    -2.514796629915524e-07, 2.7329252368665147e-07, -5.013249838452059e-07, 1.0402308562055134e-06, -1.9132461879841067e-06,
    3.4764841281870834e-06, -6.432318239552401e-06, 1.195718295249812e-05, -2.2282559008298975e-05, 4.170409808958023e-05,
    -7.84615612837167e-05, 0.0001485169172330309, -0.000283190642428413, 0.0005448969798010082, -0.0010605660740508067,
    0.0020955338803511515, -0.004226194125963237, 0.00877637042524953, -0.019053957830246777, 0.044520447198509686,
    -0.11948158662524275, 0.4501393121092563,
];

/// digamma(z) / (z - root) of z - 1.5, for z in [1, 2] (error 4e-18).
#[rustfmt::skip]
const DIGAMMA: [f64; 23] = [
    0.00011881232908510335, -0.0001782188548855923, 9.653646261410062e-05, -0.00014480643368061614, 0.00032395945401345196,
    -0.00048595039220036254, 0.0006909255761282986, -0.0010364584817312839, 0.0015633696313653504, -0.0023454947397380833,
    0.003518106563802472, -0.005279937255532708, 0.007927021796868154, -0.011908220105959716, 0.017907248317313294,
    -0.026975796659787055, 0.040760833940846085, -0.06192213327548831, 0.09498872445289039, -0.14840492305388092,
    0.24054248424078697, -0.4236274212814606, 0.9510558760318328,
];

/// The root of digamma above 0, in two parts.
const ROOT: (f64, f64) = (1.4616321449683622, 9.549995429965697e-17);

/// erfinv(x) / x of w - 3.125, with w = -log(1 - x²) in [0, 6.25] (error 1e-9).
#[rustfmt::skip]
const NEAR: [f64; 13] = [
    -1.2570814414523687e-11, 5.688216479117087e-12, 1.0363882341451174e-09, -4.752745619151995e-09, -2.895896037948332e-08,
    4.2698513895053384e-07, -1.3658217507589212e-06, -1.389214124592301e-05, 0.00018673466051691629, -0.0007406910325430195,
    -0.006033671032285515, 0.24015817844735166, 1.6536545626831027,
];

/// erfinv(x) / x of √w - 4.3, for √w in [2.5, 6.1] (error 2e-8).
#[rustfmt::skip]
const FAR: [f64; 14] = [
    8.750141514122385e-08, -2.061187989863184e-07, -7.115386054079656e-07, 2.581467668577107e-06, -2.0911882027655337e-06,
    1.618868391367575e-06, -8.562129984498761e-06, 2.1983030070296675e-05, -5.812260704179785e-05, 0.0001951606997350227,
    -0.00056705418172181, 0.0006250091897938432, 1.0100450983014173, 4.1427240335302065,
];

/// Bernoulli numbers B₂, B₄, ...
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
];

/// The polynomial with these coefficients, the highest power first.
fn polynomial(t: &Tensor, coefficients: &[f64]) -> Result<Tensor> {
    let mut sum = t.try_full_like(coefficients[0])?;
    for &c in &coefficients[1..] {
        sum = sum.try_mul(t)?.try_add(c)?;
    }
    Ok(sum)
}

/// Computed in f64 and rounded once, as one node with this derivative by the operand: `derivative` times the gradient.
fn in_double(
    node: &'static str,
    x: &Tensor,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
    derivative: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let x = as_float(x)?;
    composite(
        node,
        &[Operand::Tensor(&x)],
        || f(&x.try_to(DType::F64)?)?.try_to(x.dtype()),
        |_| {
            let x = Saved::operand(&x);
            move |c: &Context<'_>, g: &Tensor| grads1(g.try_mul(&derivative(&x.get(c.me)?)?)?)
        },
    )
}

/// Of a ≥ 0.
fn lgamma_above(a: &Tensor) -> Result<Tensor> {
    let (is_small, is_large) = (a.try_lt(1.0)?, a.try_ge(8.0)?);
    // Down into (1.5, 2.5], by whole steps.
    let steps = a.try_sub(2.5)?.try_ceil()?.try_clamp(0.0, 6.0)?;
    let mut product = a.try_ones_like()?;
    for step in 1..=6 {
        let factor = choose(&steps.try_ge(f64::from(step))?, &a.try_sub(f64::from(step))?, &product.try_ones_like()?)?;
        product = product.try_mul(&factor)?;
    }
    // Of z - 1 and z - 2 nothing is rounded, also where z = a + 1.
    let less = choose(&is_small, a, &a.try_sub(&steps)?.try_sub(1.0)?)?;
    let less = choose(&is_large, 1.0, &less)?;
    let core = polynomial(&less.try_sub(0.75)?, &LGAMMA)?.try_mul(&less)?.try_mul(&less.try_sub(1.0)?)?;
    let log = choose(&is_small, a, &product)?.try_log()?;
    let ordinary = choose(&is_small, &core.try_sub(&log)?, &core.try_add(&log)?)?;
    // Stirling's series: (a - 1/2)(log a - 1) + (log 2π - 1) / 2 + 1/12a - 1/360a³ + ...
    let by = choose(&is_large.try_logical_not()?, 8.0, a)?;
    let inverse = by.try_reciprocal()?;
    let series: Vec<f64> = (1..=8).rev().map(|k| BERNOULLI[k - 1] / ((2 * k) * (2 * k - 1)) as f64).collect();
    let series = polynomial(&inverse.try_square()?, &series)?.try_mul(&inverse)?;
    let far =
        by.try_sub(0.5)?.try_mul(&by.try_log()?.try_sub(1.0)?)?.try_add(&series.try_add(0.418_938_533_204_672_74)?)?;
    choose(&is_large, &far, &ordinary)
}

fn lgamma(x: &Tensor) -> Result<Tensor> {
    let a = x.try_abs()?;
    let above = lgamma_above(&a)?;
    // Γ(-a) Γ(a) = -π / (a sin πa); the distance to the next whole number is exact.
    let part = a.try_sub(&a.try_floor()?)?;
    let sine = part.try_minimum(&try_sub(1.0, &part)?)?.try_mul(PI)?.try_sin()?;
    let below = try_sub(PI.ln(), &sine.try_log()?)?.try_sub(&a.try_log()?)?.try_sub(&above)?;
    let value = choose(&x.try_lt(0.0)?, &below, &above)?;
    choose(&a.try_isinf()?, f64::INFINITY, &value)
}

/// Of a ≥ 0.
fn digamma_above(a: &Tensor) -> Result<Tensor> {
    let (is_small, is_large) = (a.try_lt(1.0)?, a.try_ge(8.0)?);
    let steps = a.try_sub(2.0)?.try_ceil()?.try_clamp(0.0, 6.0)?;
    let mut sum = a.try_zeros_like()?;
    for step in (1..=6).rev() {
        let term = a.try_sub(f64::from(step))?.try_reciprocal()?;
        sum = sum.try_add(&choose(&steps.try_ge(f64::from(step))?, &term, &sum.try_zeros_like()?)?)?;
    }
    let z = choose(&is_small, &a.try_add(1.0)?, &a.try_sub(&steps)?)?;
    let z = choose(&is_large, 1.0, &z)?;
    let core = z.try_sub(ROOT.0)?.try_sub(ROOT.1)?.try_mul(&polynomial(&z.try_sub(1.5)?, &DIGAMMA)?)?;
    let ordinary = choose(&is_small, &core.try_sub(&a.try_reciprocal()?)?, &core.try_add(&sum)?)?;
    // log a - 1/2a - 1/12a² + 1/120a⁴ - ...
    let by = choose(&is_large.try_logical_not()?, 8.0, a)?;
    let inverse = by.try_reciprocal()?;
    let square = inverse.try_square()?;
    let series: Vec<f64> = (1..=9).rev().map(|k| -BERNOULLI[k - 1] / (2 * k) as f64).collect();
    let series = polynomial(&square, &series)?.try_mul(&square)?;
    let far = by.try_log()?.try_add(&series.try_sub(&inverse.try_mul(0.5)?)?)?;
    choose(&is_large, &far, &ordinary)
}

fn digamma(x: &Tensor) -> Result<Tensor> {
    let a = x.try_abs()?;
    let above = digamma_above(&a)?;
    // ψ(-a) = ψ(a) + 1/a + π cot πa.
    let part = a.try_sub(&a.try_round()?)?;
    let cotangent = try_over(PI, &part.try_mul(PI)?.try_tan()?)?;
    let below = above.try_add(&a.try_reciprocal()?)?.try_add(&cotangent)?;
    let below = choose(&part.try_eq(0.0)?, f64::NAN, &below)?;
    let value = choose(&x.try_lt(0.0)?, &below, &above)?;
    let pole = x.try_full_like(-f64::INFINITY)?.try_mul(&x.try_ones_like()?.try_copysign(x)?)?;
    let value = choose(&x.try_eq(0.0)?, &pole, &value)?;
    choose(&x.try_eq(f64::INFINITY)?, f64::INFINITY, &value)
}

fn try_over(a: f64, b: &Tensor) -> Result<Tensor> {
    super::try_div(a, b)
}

/// The n-th derivative of digamma, n ≥ 1, of x ≥ 0, without its sign: n! Σ 1 / (x + k)^(n + 1), by Euler and Maclaurin.
fn polygamma_above(n: usize, x: &Tensor) -> Result<Tensor> {
    let s = n as f64 + 1.0;
    let shift = 10 + n / 2;
    let power = |y: &Tensor, p: f64| y.try_pow(p);
    let y = x.try_add(shift as f64)?;
    // The smallest terms first.
    let inverse = y.try_reciprocal()?;
    let square = inverse.try_square()?;
    let mut coefficients = Vec::new();
    // B₂ⱼ / (2j)! · s (s + 1) .. (s + 2j - 2)
    let mut rising = s / 2.0;
    for (j, b) in BERNOULLI.iter().enumerate() {
        coefficients.push(b * rising);
        let k = 2.0 * (j as f64 + 1.0);
        rising *= (s + k - 1.0) * (s + k) / ((k + 1.0) * (k + 2.0));
    }
    coefficients.reverse();
    let tail = polynomial(&square, &coefficients)?.try_mul(&inverse)?.try_add(0.5)?;
    let tail = tail.try_add(&y.try_mul(1.0 / (s - 1.0))?)?;
    let mut sum = tail.try_mul(&power(&y, -s)?)?;
    for k in (0..shift).rev() {
        sum = sum.try_add(&power(&x.try_add(k as f64)?, -s)?)?;
    }
    let factorial: f64 = (1..=n).map(|k| k as f64).product();
    let value = sum.try_mul(factorial)?;
    // y y^-s is 0 · ∞ there.
    choose(&x.try_isinf()?, 0.0, &value)
}

fn polygamma(n: usize, x: &Tensor) -> Result<Tensor> {
    let sign = if n.is_multiple_of(2) { -1.0 } else { 1.0 };
    let is_below = x.try_lt(0.0)?;
    let from = choose(&is_below, &try_sub(1.0, x)?, x)?;
    let above = polygamma_above(n, &from)?.try_mul(sign)?;
    // ψₙ(x) = (-1)ⁿ ψₙ(1 - x) - π dⁿ/dxⁿ cot πx, where that is a polynomial of c = cot πx, for c' = -π (1 + c²).
    let mut p = vec![0.0, 1.0];
    for _ in 0..n {
        let slope: Vec<f64> = p.iter().enumerate().skip(1).map(|(k, c)| -PI * k as f64 * c).collect();
        p = vec![0.0; slope.len() + 2];
        for (k, c) in slope.iter().enumerate() {
            p[k] += c;
            p[k + 2] += c;
        }
    }
    p.reverse();
    let part = x.try_sub(&x.try_round()?)?;
    let c = part.try_mul(PI)?.try_tan()?.try_reciprocal()?;
    let below = above.try_mul(-sign)?.try_sub(&polynomial(&c, &p)?.try_mul(PI)?)?;
    let pole = part.try_eq(0.0)?.try_logical_and(&x.try_le(0.0)?)?;
    let value = choose(&is_below, &below, &above)?;
    choose(&pole, sign * f64::INFINITY, &value)
}

fn erfinv(x: &Tensor) -> Result<Tensor> {
    let a = x.try_abs()?;
    let rest = try_sub(1.0, &a)?;
    // Near enough for one step of Halley's, whose error is that to the third power.
    let w = a.try_neg()?.try_log1p()?.try_add(&a.try_log1p()?)?.try_neg()?;
    let is_near = w.try_lt(6.25)?;
    let near = polynomial(&choose(&is_near.try_logical_not()?, 0.0, &w)?.try_sub(3.125)?, &NEAR)?;
    let far = polynomial(&choose(&is_near, 9.0, &w)?.try_sqrt()?.try_sub(4.3)?, &FAR)?;
    let y = choose(&is_near, &near, &far)?.try_mul(&a)?;
    // Of what is left to 1 nothing is lost above a half.
    let error = choose(&a.try_lt(0.5)?, &y.try_erf()?.try_sub(&a)?, &rest.try_sub(&y.try_erfc()?)?)?;
    let slope = y.try_square()?.try_exp()?.try_mul(PI.sqrt() / 2.0)?;
    let newton = error.try_mul(&slope)?;
    let y = y.try_sub(&newton.try_div(&y.try_mul(&newton)?.try_add(1.0)?)?)?;
    let y = choose(&a.try_eq(1.0)?, f64::INFINITY, &y)?;
    choose(&a.try_gt(1.0)?, f64::NAN, &y)?.try_copysign(x)
}

twins! {
    /// The logarithm of the absolute value of the gamma function, elementwise; infinite at 0, the negative whole numbers and the
    /// infinities. Gradient: `digamma`.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f64, 5.0], &[2]);
    /// assert_eq!(x.lgamma().exp().round().to_vec::<f64>(), [1.0, 24.0]);
    /// ```
    fn lgamma / try_lgamma(&self) -> Tensor {
        in_double("LgammaBackward0", self, lgamma, |x| x.try_digamma())
    }

    /// The derivative of [`Tensor::lgamma`], elementwise; NaN at the negative whole numbers, infinite at 0. Gradient: `polygamma` of 1.
    fn digamma / try_digamma(&self) -> Tensor {
        in_double("DigammaBackward0", self, digamma, |x| x.try_polygamma(1))
    }

    /// The `n`-th derivative of [`Tensor::digamma`], elementwise. Gradient: that of order `n + 1`.
    fn polygamma / try_polygamma(&self, n: impl Into<Number>) -> Tensor {
        let given = n.into().to_f64();
        if given < 0.0 || given.fract() != 0.0 || given > 1e6 {
            return Err(Error::operands("polygamma", format!("the order must be a whole number from 0 on, got {given}")));
        }
        let n = given as usize;
        match n {
            0 => self.try_digamma(),
            _ => in_double("PolygammaBackward0", self, |x| polygamma(n, x), move |x| x.try_polygamma(n as i64 + 1)),
        }
    }

    /// The inverse of [`Tensor::erf`], elementwise: infinite at -1 and 1, NaN beyond. Gradient: √π/2 · e^(y²) times the gradient.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::from_vec(vec![0.5f32], &[1]).erfinv().to_vec::<f32>(), [0.476_936_28]);
    /// ```
    fn erfinv / try_erfinv(&self) -> Tensor {
        in_double("ErfinvBackward0", self, erfinv, |x| {
            x.try_erfinv()?.try_square()?.try_exp()?.try_mul(PI.sqrt() / 2.0)
        })
    }
}

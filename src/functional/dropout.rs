//! Dropout: elements, or whole channels, set to 0 at random, the others made larger so that the mean stays. The numbers
//! are drawn from the default generator, as PyTorch draws them, in a trace by every call.

use crate::device;
use crate::error::{Error, Result};
use crate::mode::sizes::is_zero;
use crate::ops::random::default_generator;
use crate::ops::sampling::draw_as;
use crate::ops::twin_fns;
use crate::tensor::draw::Kind;
use crate::tensor::{Size, Sizes, Tensor};

/// What needs no draw: everything stays, or nothing does, whatever the dtype.
///
/// # Errors
/// When `p` is no probability.
fn all_or_nothing(op: &'static str, x: &Tensor, p: f64, training: bool) -> Result<Option<Tensor>> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::operands(op, format!("the probability must be 0 to 1, got {p}")));
    }
    if !training || p == 0.0 || x.sizes().iter().any(|&n| is_zero(n)) {
        return Ok(Some(x.clone()));
    }
    if p == 1.0 { nothing_of(x).map(Some) } else { Ok(None) }
}

/// Which elements of a tensor stay, each with probability 1 - p, drawn in the order of its memory: PyTorch's
/// `empty_like(x).bernoulli_(1 - p)`.
fn kept(x: &Tensor, p: f64) -> Result<Tensor> {
    draw_as(default_generator(), x, Kind::Bernoulli { p: 1.0 - p }, x.dtype())
}

/// As [`kept`], for each channel of each sample.
fn kept_channels(x: &Tensor, sizes: &[Size], p: f64) -> Result<Tensor> {
    default_generator().draw(Kind::Bernoulli { p: 1.0 - p }, sizes, x.dtype())
}

fn dropped(
    op: &'static str,
    x: &Tensor,
    p: f64,
    training: bool,
    kept: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if let Some(y) = all_or_nothing(op, x, p, training)? {
        return Ok(y);
    }
    if !x.dtype().is_float() {
        return Err(Error::operands(op, format!("not defined for {}; use to(DType::F32) first", x.dtype())));
    }
    let _entered = device::enter(x.device());
    x.try_mul(&kept(x)?.try_div(1.0 - p)?)
}

/// Dropout to the value that selu tends to, as PyTorch's: a (x mask + alpha (mask - 1)) + alpha a p, with the numbers of selu in alpha.
fn dropped_to_alpha(
    op: &'static str,
    x: &Tensor,
    p: f64,
    training: bool,
    kept: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if let Some(y) = all_or_nothing(op, x, p, training)? {
        return Ok(y);
    }
    const ALPHA: f64 = 1.758_099_340_847_376_6;
    let a = 1.0 / ((ALPHA * ALPHA * p + 1.0) * (1.0 - p)).sqrt();
    let _entered = device::enter(x.device());
    let mask = kept(x)?;
    let shift = mask.try_sub(1.0)?.try_mul(ALPHA * a)?.try_add(ALPHA * a * p)?;
    x.try_mul(&mask.try_mul(a)?)?.try_add(&shift)
}

/// Zeros in place of all elements; NaN stays NaN.
fn nothing_of(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() { x.try_mul(0.0) } else { x.try_zeros_like() }
}

/// `[n, c, 1, ..]`: one number for each channel of each sample.
fn channels(op: &'static str, x: &Tensor, lead: usize) -> Result<Sizes> {
    if x.dim() < lead {
        return Err(Error::operands(op, format!("the input has too few axes: {:?}", x.shape_hint())));
    }
    Ok(x.sizes().iter().enumerate().map(|(i, &n)| if i < lead { n } else { Size::from(1) }).collect())
}

twin_fns! {
    /// In training, each element is 0 with probability p, else divided by 1 - p. PyTorch's defaults: p = 0.5, training.
    ///
    /// ```
    /// use allotrope::functional::dropout;
    /// use allotrope::prelude::*;
    /// manual_seed(1);
    /// let y = dropout(&Tensor::ones(&[8], DType::F32), 0.5, true).to_vec::<f32>();
    /// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0));
    /// ```
    fn dropout / try_dropout(input: &Tensor, p: f64, training: bool) -> Tensor {
        dropped("dropout", input, p, training, |x| kept(x, p))
    }

    /// As [`dropout`], for whole channels: `[n, c, ..]`; PyTorch's `feature_dropout`, and `dropout2d` of a batch.
    fn feature_dropout / try_feature_dropout(input: &Tensor, p: f64, training: bool) -> Tensor {
        let sizes = channels("feature_dropout", input, 2)?;
        dropped("feature_dropout", input, p, training, |x| kept_channels(x, &sizes, p))
    }

    /// As [`dropout`] for what went through [`Tensor::selu`]: mean and variance stay. What is dropped becomes the value
    /// that selu tends to.
    fn alpha_dropout / try_alpha_dropout(input: &Tensor, p: f64, training: bool) -> Tensor {
        dropped_to_alpha("alpha_dropout", input, p, training, |x| kept(x, p))
    }

    /// As [`alpha_dropout`], for whole channels: `[n, c, ..]`.
    fn feature_alpha_dropout / try_feature_alpha_dropout(input: &Tensor, p: f64, training: bool) -> Tensor {
        let sizes = channels("feature_alpha_dropout", input, 2)?;
        dropped_to_alpha("feature_alpha_dropout", input, p, training, |x| kept_channels(x, &sizes, p))
    }
}

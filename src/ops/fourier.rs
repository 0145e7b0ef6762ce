//! Discrete Fourier transforms along one axis, PyTorch's `torch.fft`, by the crate `rustfft`. There is no complex dtype: complex numbers
//! are a last axis of two, real part and imaginary part, as `torch.view_as_real` has them. Computed on the host, eagerly only: a trace
//! has an error that names the place. Their derivatives are transforms again.
//!
//! ```
//! use allotrope::fft::{self, FftOptions};
//! use allotrope::prelude::*;
//! let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
//! let y = fft::rfft(&x, FftOptions::default()); // [2, 2]: two complex numbers
//! assert_eq!(y.shape(), [2, 2]);
//! let back = fft::irfft(&y, FftOptions { n: Some(3), ..Default::default() });
//! assert!((&back - &x).abs().max().item::<f32>() < 1e-6);
//! ```

use super::decompose::host::{Float, eager_only};
use super::movement::{concat, narrow};
use super::{grads1, twin_fns};
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{DType, Scalar};
use rustfft::num_complex::Complex;
use rustfft::{FftNum, FftPlanner};

/// By which a transform is divided, PyTorch's `norm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FftNorm {
    /// The inverse by n.
    #[default]
    Backward,
    /// Both by √n.
    Ortho,
    /// The forward one by n.
    Forward,
}

/// What PyTorch lets one say about a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FftOptions {
    /// How long the signal is: it is cut or filled with zeros. As it is, where there is none; for `irfft` 2 (m - 1) of m numbers.
    pub n: Option<usize>,
    /// The axis of the signal, not counting that of real and imaginary parts; the last one is -1.
    pub dim: isize,
    pub norm: FftNorm,
}

impl Default for FftOptions {
    fn default() -> FftOptions {
        FftOptions { n: None, dim: -1, norm: FftNorm::Backward }
    }
}

/// Sums of the signal times e^(∓2πi jk/n), along an axis of a tensor `[.., 2]`, times a factor.
fn transform(x: &Tensor, axis: usize, inverse: bool, factor: f64) -> Result<Tensor> {
    let compute = || {
        let turned = x.try_movedim(&[axis as isize], &[-2])?;
        let done = match x.dtype() {
            DType::F64 => transformed::<f64>(&turned, inverse)?,
            _ => transformed::<f32>(&turned, inverse)?,
        };
        done.try_mul(factor)?.try_movedim(&[-2], &[axis as isize])?.try_contiguous()
    };
    composite("FftC2CBackward0", &[Operand::Tensor(x)], compute, |_| {
        move |_: &Context<'_>, g: &Tensor| grads1(transform(g, axis, !inverse, factor)?)
    })
}

fn transformed<T: Float + FftNum>(x: &Tensor, inverse: bool) -> Result<Tensor> {
    let shape = x.shape_hint();
    let n = shape[shape.len() - 2];
    let mut numbers: Vec<Complex<T>> =
        eval::elements::<T>(x)?.chunks_exact(2).map(|pair| Complex::new(pair[0], pair[1])).collect();
    // A plan has tables of the signal's length, also where there is no signal.
    if !numbers.is_empty() {
        let mut planner = FftPlanner::<T>::new();
        let plan = if inverse { planner.plan_fft_inverse(n) } else { planner.plan_fft_forward(n) };
        plan.process(&mut numbers);
    }
    let elements = numbers.into_iter().flat_map(|z| [z.re, z.im]).collect();
    Tensor::try_from_vec(elements, shape)?.try_to_device(x.device())
}

/// The factor of a transform of n numbers.
fn factor(norm: FftNorm, inverse: bool, n: usize) -> f64 {
    match (norm, inverse) {
        (FftNorm::Ortho, _) => 1.0 / (n as f64).sqrt(),
        (FftNorm::Backward, true) | (FftNorm::Forward, false) => 1.0 / n as f64,
        (FftNorm::Backward, false) | (FftNorm::Forward, true) => 1.0,
    }
}

/// Cut or filled with zeros to `n` along an axis.
fn fitted(x: &Tensor, axis: usize, n: usize) -> Result<Tensor> {
    let own = x.shape_hint()[axis];
    if own >= n {
        return if own == n { Ok(x.clone()) } else { narrow(x, axis, Size::from(0), Size::from(n)) };
    }
    let mut sizes = x.sizes();
    sizes[axis] = Size::from(n - own);
    concat(&[x, &full_of(&sizes, Scalar::from_f64(0.0, x.dtype()))?], axis)
}

fn demand(op: &'static str, x: &Tensor, complex: bool, n: Option<usize>) -> Result<()> {
    let shape = x.shape_hint();
    if !matches!(x.dtype(), DType::F32 | DType::F64) {
        return Err(Error::operands(op, format!("takes f32 or f64, got {}", x.dtype())));
    }
    if complex && (shape.len() < 2 || shape.last() != Some(&2)) {
        let text =
            format!("takes complex numbers as a last axis of 2, real and imaginary part, the shape is {shape:?}");
        return Err(Error::operands(op, text));
    }
    if shape.is_empty() {
        return Err(Error::operands(op, "needs an axis, the tensor has none"));
    }
    match n {
        Some(0) => Err(Error::operands(op, "a signal has one number at least, got n = 0")),
        Some(_) | None => Ok(()),
    }
}

/// The axis of a signal of so many axes.
fn axis_of(op: &'static str, dim: isize, rank: usize) -> Result<usize> {
    let at = if dim < 0 { dim + rank as isize } else { dim };
    match usize::try_from(at) {
        Ok(at) if at < rank => Ok(at),
        _ => Err(Error::operands(op, format!("axis {dim} does not exist in a signal of {rank} axes"))),
    }
}

fn length(op: &'static str, n: usize) -> Result<usize> {
    match n {
        0 => Err(Error::operands(op, "a signal has one number at least, got 0")),
        n => Ok(n),
    }
}

#[track_caller]
fn complex(op: &'static str, x: &Tensor, options: FftOptions, inverse: bool) -> Result<Tensor> {
    eager_only(op)?;
    demand(op, x, true, options.n)?;
    let axis = axis_of(op, options.dim, x.dim() - 1)?;
    let n = length(op, options.n.unwrap_or(x.shape_hint()[axis]))?;
    transform(&fitted(x, axis, n)?, axis, inverse, factor(options.norm, inverse, n))
}

twin_fns! {
    /// The transform of complex numbers, `[.., n, 2] -> [.., n, 2]`.
    fn fft / try_fft(x: &Tensor, options: FftOptions) -> Tensor {
        complex("fft.fft", x, options, false)
    }

    /// The inverse of [`fft`].
    fn ifft / try_ifft(x: &Tensor, options: FftOptions) -> Tensor {
        complex("fft.ifft", x, options, true)
    }

    /// The first half of the transform of real numbers, `[.., n] -> [.., n / 2 + 1, 2]`; the other is its mirror image.
    fn rfft / try_rfft(x: &Tensor, options: FftOptions) -> Tensor {
        let op = "fft.rfft";
        eager_only(op)?;
        demand(op, x, false, options.n)?;
        let axis = axis_of(op, options.dim, x.dim())?;
        let n = length(op, options.n.unwrap_or(x.shape_hint()[axis]))?;
        let real = fitted(x, axis, n)?;
        let numbers = super::try_stack(&[&real, &real.detach().try_zeros_like()?], -1)?;
        let whole = transform(&numbers, axis, false, factor(options.norm, false, n))?;
        narrow(&whole, axis, Size::from(0), Size::from(n / 2 + 1))?.try_contiguous()
    }

    /// The real numbers of whose transform `x` is the first half: the inverse of [`rfft`], `[.., m, 2] -> [.., n]`. Their number is
    /// `n`, without one the even number 2 (m - 1).
    fn irfft / try_irfft(x: &Tensor, options: FftOptions) -> Tensor {
        let op = "fft.irfft";
        eager_only(op)?;
        demand(op, x, true, options.n)?;
        let axis = axis_of(op, options.dim, x.dim() - 1)?;
        let n = length(op, options.n.unwrap_or((x.shape_hint()[axis].max(1) - 1) * 2))?;
        let half = fitted(x, axis, n / 2 + 1)?;
        // What follows mirrors what is there, as its complex conjugate.
        let rest = narrow(&half, axis, Size::from(1), Size::from(n - n / 2 - 1))?.try_flip(&[axis as isize])?;
        let conjugate = Tensor::try_from_vec(vec![1.0f64, -1.0], &[2])?.try_to(x.dtype())?.try_to_device(x.device())?;
        let whole = concat(&[&half, &rest.try_mul(&conjugate)?], axis)?;
        let numbers = transform(&whole, axis, true, factor(options.norm, true, n))?;
        numbers.try_select(-1, 0)?.try_contiguous()
    }
}

//! Fractional max pooling (Graham 2014, <https://arxiv.org/abs/1412.6071>): maxima of windows whose distances differ by
//! one at random, so that any ratio of sizes is possible.

use super::common::{can_exist, demand_float, numbers, with_batch, without_batch};
use super::pool::{at_places, maximum_places};
use crate::device;
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_equal, is_zero};
use crate::ops::random::default_generator;
use crate::ops::results::unlinked;
use crate::ops::single_node::{Keeps, pair};
use crate::ops::{gather, try_cat, twin_fns};
use crate::tensor::draw::Kind;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;

/// How many results fractional pooling has along `N` axes.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum FractionalSize<const N: usize> {
    /// So many.
    Output([usize; N]),
    /// This share of the input, more than 0 and less than 1, rounded down.
    Ratio([f64; N]),
}

twin_fns! {
    /// Maxima of windows: `[n, c, h, w] -> [n, c, h', w']`; the axis of the batch may be missing. `samples` are numbers from 0 to 1 of
    /// the input's dtype, `[n, c, 2]`, which decide where the windows are (the first the columns, as in PyTorch); none draws them.
    ///
    /// ```
    /// use allotrope::functional::{FractionalSize, fractional_max_pool2d};
    /// use allotrope::prelude::*;
    /// let y = fractional_max_pool2d(&randn(&[1, 3, 9, 7]), [2, 2], FractionalSize::Ratio([0.7, 0.5]), None);
    /// assert_eq!(y.shape(), [1, 3, 6, 3]);
    /// ```
    fn fractional_max_pool2d / try_fractional_max_pool2d(
        input: &Tensor, kernel: [usize; 2], size: FractionalSize<2>, samples: Option<&Tensor>,
    ) -> Tensor {
        Ok(maxima("fractional_max_pool2d", input, kernel, size, samples)?.0)
    }

    /// As [`fractional_max_pool2d`], over three axes: `[n, c, d, h, w] -> [n, c, d', h', w']`, with samples `[n, c, 3]` in the order of
    /// the axes.
    fn fractional_max_pool3d / try_fractional_max_pool3d(
        input: &Tensor, kernel: [usize; 3], size: FractionalSize<3>, samples: Option<&Tensor>,
    ) -> Tensor {
        Ok(maxima("fractional_max_pool3d", input, kernel, size, samples)?.0)
    }

    /// As [`fractional_max_pool2d`], with the place of each maximum in its plane, counted row by row (i64).
    fn fractional_max_pool2d_with_indices / try_fractional_max_pool2d_with_indices(
        input: &Tensor, kernel: [usize; 2], size: FractionalSize<2>, samples: Option<&Tensor>,
    ) -> (Tensor, Tensor) {
        maxima("fractional_max_pool2d", input, kernel, size, samples)
    }

    /// As [`fractional_max_pool3d`], with the place of each maximum in its volume, counted in row-major order (i64).
    fn fractional_max_pool3d_with_indices / try_fractional_max_pool3d_with_indices(
        input: &Tensor, kernel: [usize; 3], size: FractionalSize<3>, samples: Option<&Tensor>,
    ) -> (Tensor, Tensor) {
        maxima("fractional_max_pool3d", input, kernel, size, samples)
    }
}

/// The windows of one axis of `n` elements.
#[derive(Copy, Clone)]
struct Windows {
    n: usize,
    kernel: usize,
    out: usize,
}

impl Windows {
    fn new(op: &'static str, n: usize, kernel: usize, out: usize) -> Result<Windows> {
        if kernel == 0 || out == 0 {
            return Err(Error::operands(op, format!("window {kernel} and output size {out} must be at least 1")));
        }
        // The last windows begin at different elements.
        if out.saturating_add(kernel - 1) > n {
            return Err(Error::operands(op, format!("{out} windows of {kernel} elements do not fit into {n}")));
        }
        Ok(Windows { n, kernel, out })
    }

    /// Where the windows begin, `[n, c, out]`, of one sample for each channel, `[n, c]`: the last one at the end, the others at
    /// `trunc((i + sample) alpha) - trunc(sample alpha)`, computed in the dtype of the samples.
    fn begins(&self, sample: &Tensor) -> Result<Tensor> {
        let room = self.n - self.kernel;
        let whole = |t: &Tensor| t.try_to(DType::I64);
        let sample = sample.try_unsqueeze(-1)?;
        let last = whole(&sample.try_zeros_like()?)?.try_add(room as i64)?;
        if self.out == 1 {
            return Ok(last);
        }
        let (over, steps) = (room as f64, (self.out - 1) as f64);
        let alpha = if sample.dtype() == DType::F64 { over / steps } else { f64::from(over as f32 / steps as f32) };
        let index = Tensor::try_arange(self.out - 1)?.try_to(sample.dtype())?;
        let begins = whole(&sample.try_add(&index)?.try_mul(alpha)?)?.try_sub(&whole(&sample.try_mul(alpha)?)?)?;
        try_cat(&[&begins, &last], -1)
    }

    /// The windows of an axis as a new last axis.
    fn cut(&self, t: &Tensor, axis: usize, begins: &Tensor) -> Result<Tensor> {
        let (own, rank) = (t.sizes(), t.dim());
        let index = begins.try_unsqueeze(-1)?.try_add(&Tensor::try_arange(self.kernel)?)?;
        let elements = Size::from(self.out * self.kernel);
        let (mut lined, mut taken): (Sizes, Sizes) = (own.iter().map(|_| Size::from(1)).collect(), own.clone());
        lined[..2].copy_from_slice(&own[..2]);
        (lined[axis], taken[axis]) = (elements, elements);
        let windows = gather::gather(t, &index.reshape_sizes(&lined)?.expand_sizes(&taken)?, axis)?;
        taken[axis] = Size::from(self.out);
        taken.insert(axis + 1, Size::from(self.kernel));
        let order: Vec<isize> = (0..=rank).filter(|&a| a != axis + 1).chain([axis + 1]).map(|a| a as isize).collect();
        windows.reshape_sizes(&taken)?.try_permute(&order)
    }
}

fn maxima<const N: usize>(
    op: &'static str,
    input: &Tensor,
    kernel: [usize; N],
    size: FractionalSize<N>,
    samples: Option<&Tensor>,
) -> Result<(Tensor, Tensor)> {
    demand_float(op, input)?;
    let (x, added) = with_batch(op, input, N + 2)?;
    let own = x.sizes();
    if own[1..].iter().any(|&n| is_zero(n)) {
        return Err(Error::operands(op, format!("only the batch may be empty, got {:?}", x.shape_hint())));
    }
    let from = numbers(&own[2..], "pooling cuts an axis into windows");
    let out = match size {
        FractionalSize::Output(out) => out,
        FractionalSize::Ratio(ratio) => {
            if ratio.iter().any(|r| !(*r > 0.0 && *r < 1.0)) {
                return Err(Error::operands(op, format!("a ratio must be between 0 and 1, got {ratio:?}")));
            }
            std::array::from_fn(|i| (from[i] as f64 * ratio[i]) as usize)
        }
    };
    let mut plans = Vec::new();
    for i in 0..N {
        plans.push(Windows::new(op, from[i], kernel[i], out[i])?);
    }
    can_exist(&x, 2, &out)?;
    let _entered = device::enter(x.device());
    let wanted = [own[0], own[1], Size::from(N)];
    let samples = match samples {
        Some(given) => {
            if given.dtype() != x.dtype()
                || given.dim() != 3
                || !given.sizes().iter().zip(wanted).all(|(&a, b)| demand_equal(a, b))
            {
                return Err(Error::operands(
                    op,
                    format!(
                        "the samples must be {}[{}, {}, {N}], got {}{:?}",
                        x.dtype(),
                        own[0].hint(),
                        own[1].hint(),
                        given.dtype(),
                        given.shape_hint()
                    ),
                ));
            }
            given.detach()
        }
        None => default_generator().draw(Kind::Uniform { low: 0.0, high: 1.0 }, &wanted, x.dtype())?,
    };
    // In two axes PyTorch takes the first sample for the columns.
    let sample_of = |axis: usize| if N == 2 { N - 1 - axis } else { axis };
    let begins =
        (0..N).map(|i| plans[i].begins(&samples.try_select(2, sample_of(i) as isize)?)).collect::<Result<Vec<_>>>()?;
    let node = if N == 2 { "FractionalMaxPool2DBackward0" } else { "FractionalMaxPool3DBackward0" };
    let (values, places) = pair(node, &[&x], &[Keeps::Operand(0), Keeps::Result(1)], |x| {
        let places = maximum_places(&x[0], N, |t, i, _| plans[i].cut(t, 2 + i, &begins[i]))?;
        Ok((at_places(&x[0], &places, N)?, places))
    })?;
    let values = if added { unlinked(&values.reshape_as_node(node, &values.sizes()[1..])?) } else { values };
    Ok((values, without_batch(&places, added)?))
}

//! Adaptive pooling: so many results as asked for, each from its share of the axis. Shares of `l` elements for `m`
//! results go from `floor(i l / m)` to `ceil((i + 1) l / m)`, so they may overlap and differ in size.

use super::common::{along, can_exist, demand_float, numbers, take, widened, windows, with_batch, without_batch};
use super::pool::{at_places, maximum_places, pooled, shaped};
use crate::device;
use crate::error::{Error, Result};
use crate::mode::layout::{are_images, as_images};
use crate::mode::sizes::is_zero;
use crate::ops::arg::{Arg, Number};
use crate::ops::single_node::{Keeps, pair, single};
use crate::ops::{elementwise, twin_fns};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::BinaryOp;

twin_fns! {
    /// Averages of shares: `[n, c, l] -> [n, c, out]`; none keeps the size. The axis of the batch may be missing.
    ///
    /// ```
    /// use allotrope::functional::adaptive_avg_pool1d;
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 6.0], &[1, 1, 3]);
    /// assert_eq!(adaptive_avg_pool1d(&x, [Some(2)]).to_vec::<f32>(), [1.5, 4.0]);
    /// ```
    fn adaptive_avg_pool1d / try_adaptive_avg_pool1d(input: &Tensor, out: [Option<usize>; 1]) -> Tensor {
        averages("adaptive_avg_pool1d", input, out)
    }

    /// Averages of shares of two axes: `[n, c, h, w] -> [n, c, out[0], out[1]]`; see [`adaptive_avg_pool1d`]. One result for
    /// each plane is the mean of that, whatever axes come before and also where there is nothing in it.
    fn adaptive_avg_pool2d / try_adaptive_avg_pool2d(input: &Tensor, out: [Option<usize>; 2]) -> Tensor {
        averages("adaptive_avg_pool2d", input, out)
    }

    /// Averages of shares of three axes; see [`adaptive_avg_pool1d`] and, for one result, [`adaptive_avg_pool2d`].
    fn adaptive_avg_pool3d / try_adaptive_avg_pool3d(input: &Tensor, out: [Option<usize>; 3]) -> Tensor {
        averages("adaptive_avg_pool3d", input, out)
    }

    /// Maxima of shares: `[n, c, l] -> [n, c, out]`, and their places in the row; see [`adaptive_avg_pool1d`].
    fn adaptive_max_pool1d / try_adaptive_max_pool1d(input: &Tensor, out: [Option<usize>; 1]) -> (Tensor, Tensor) {
        maxima("adaptive_max_pool1d", input, out)
    }

    /// Maxima of shares of two axes, and their places in the plane; see [`adaptive_avg_pool1d`].
    fn adaptive_max_pool2d / try_adaptive_max_pool2d(input: &Tensor, out: [Option<usize>; 2]) -> (Tensor, Tensor) {
        maxima("adaptive_max_pool2d", input, out)
    }

    /// Maxima of shares of three axes, and their places in the volume; see [`adaptive_avg_pool1d`].
    fn adaptive_max_pool3d / try_adaptive_max_pool3d(input: &Tensor, out: [Option<usize>; 3]) -> (Tensor, Tensor) {
        maxima("adaptive_max_pool3d", input, out)
    }
}

/// The shares of one axis.
struct Shares {
    n: usize,
    out: usize,
    /// Elements of the largest share.
    most: usize,
}

impl Shares {
    fn new(n: usize, out: usize) -> Shares {
        // A share of l / m elements has one more where it begins within an element, and another one where it ends so;
        // where the remainder divides m none does both.
        let most = match (n.checked_div(out), n.checked_rem(out)) {
            (None, _) | (_, None) => 1,
            (Some(whole), Some(0)) => whole,
            (Some(whole), Some(rest)) => whole + if out.is_multiple_of(rest) { 1 } else { 2 },
        };
        Shares { n, out, most }
    }

    /// Whether all are equally large and none overlap.
    fn is_even(&self) -> bool {
        self.out > 0 && self.n.is_multiple_of(self.out)
    }

    /// Where each share begins, and how many elements it has.
    fn bounds(&self) -> Result<(Tensor, Tensor)> {
        let index = Tensor::try_arange(self.out)?;
        let quotient = |x: Tensor| {
            let by = Arg::Number(Number::Int(self.out as i64));
            elementwise::binary("adaptive_pool", BinaryOp::Quotient, Arg::Tensor(&x), by)
        };
        let start = quotient(index.try_mul(self.n as i64)?)?;
        let up = index.try_add(1)?.try_mul(self.n as i64)?.try_add(self.out as i64 - 1)?;
        let count = quotient(up)?.try_sub(&start)?;
        Ok((start, count))
    }

    /// The shares as a new last axis; the last element of a smaller one is repeated to the size of the largest.
    fn cut(&self, op: &'static str, x: &Tensor, axis: usize) -> Result<Tensor> {
        if self.is_even() {
            let size = self.n / self.out;
            return windows(op, x, axis, size, size, 1);
        }
        let _entered = device::enter(x.device());
        let (start, count) = self.bounds()?;
        let column = [self.out as isize, 1];
        let last = start.try_add(&count)?.try_sub(1)?.try_reshape(&column)?;
        let index = start.try_reshape(&column)?.try_add(&Tensor::try_arange(self.most)?)?.try_minimum(&last)?;
        let taken = take(x, axis, &index.try_reshape(&[-1])?)?;
        let mut sizes: Sizes = taken.sizes();
        sizes[axis] = Size::from(self.out);
        sizes.insert(axis + 1, Size::from(self.most));
        let order: Vec<isize> =
            (0..sizes.len()).filter(|&a| a != axis + 1).chain([axis + 1]).map(|a| a as isize).collect();
        taken.reshape_sizes(&sizes)?.try_permute(&order)
    }
}

fn shares<const N: usize>(op: &'static str, x: &Tensor, out: [Option<usize>; N]) -> Result<Vec<Shares>> {
    if x.sizes()[1..].iter().any(|&n| is_zero(n)) {
        return Err(Error::operands(op, format!("only the batch may be empty, got {:?}", x.shape_hint())));
    }
    let sizes = numbers(&x.sizes()[2..], "pooling cuts an axis into shares");
    let out: [usize; N] = std::array::from_fn(|i| out[i].unwrap_or(sizes[i]));
    can_exist(x, 2, &out)?;
    Ok((0..N).map(|i| Shares::new(sizes[i], out[i])).collect())
}

fn averages<const N: usize>(op: &'static str, input: &Tensor, out: [Option<usize>; N]) -> Result<Tensor> {
    let _entered = device::enter(input.device());
    demand_float(op, input)?;
    if N > 1 && out == [Some(1); N] && input.dim() >= N {
        return means_of_planes(input, N);
    }
    let (x, added) = with_batch(op, input, N + 2)?;
    let shares = shares(op, &x, out)?;
    if N > 1 && shares.iter().all(|s| s.out == 1) {
        return means_of_planes(input, N);
    }
    let names = ["AdaptiveAvgPool2DBackward0", "AdaptiveAvgPool2DBackward0", "AdaptiveAvgPool3DBackward0"];
    let means = single(pooled(names, N), &[&x], &[Keeps::Operand(0)], |x| {
        let x = &x[0];
        let mut means = widened(x)?;
        for (i, s) in shares.iter().enumerate().rev() {
            let cut = s.cut(op, &means, 2 + i)?;
            if s.is_even() {
                means = cut.try_mean_dim(&[-1], false)?;
                continue;
            }
            let (_, count) = s.bounds()?;
            let inside = Tensor::try_arange(s.most)?.try_lt(&count.try_reshape(&[s.out as isize, 1])?)?;
            let mut shape = along(N - i + 1, 0, s.out);
            shape[N - i] = s.most as isize;
            let sum =
                cut.try_where_self(&inside.try_reshape(&shape)?, &cut.try_zeros_like()?)?.try_sum_dim(&[-1], false)?;
            means = sum.try_div(&count.try_to(sum.dtype())?.try_reshape(&along(N - i, 0, s.out))?)?;
        }
        as_images(means.try_to(input.dtype())?, are_images(x))
    })?;
    shaped(pooled(names, N), &means, N, added)
}

/// One average of the last `n` axes, which is a mean in PyTorch and keeps nothing.
fn means_of_planes(input: &Tensor, n: usize) -> Result<Tensor> {
    let axes: Vec<isize> = (1..=n as isize).map(|i| -i).collect();
    let images = input.dim() == n + 2 && are_images(input);
    single("MeanBackward1", &[input], &[], |x| as_images(x[0].try_mean_dim(&axes, true)?, images))
}

fn maxima<const N: usize>(op: &'static str, input: &Tensor, out: [Option<usize>; N]) -> Result<(Tensor, Tensor)> {
    let (x, added) = with_batch(op, input, N + 2)?;
    let shares = shares(op, &x, out)?;
    let names = ["AdaptiveMaxPool2DBackward0", "AdaptiveMaxPool2DBackward0", "AdaptiveMaxPool3DBackward0"];
    let (values, places) = pair(pooled(names, N), &[&x], &[Keeps::Operand(0), Keeps::Result(1)], |x| {
        let places = maximum_places(&x[0], N, |t, i, _| shares[i].cut(op, t, 2 + i))?;
        let images = are_images(&x[0]);
        Ok((as_images(at_places(&x[0], &places, N)?, images)?, as_images(places, images)?))
    })?;
    Ok((shaped(pooled(names, N), &values, N, added)?, without_batch(&places, added)?))
}

//! Where values belong among sorted ones, and how many of them fall between edges. A search halves what is left in steps that all
//! values take together.

use super::arg::Arg;
use super::elementwise::{choose, floating};
use super::gather::{all_true, checked, gather, scatter};
use super::movement::narrow;
use super::repeating::host;
use super::twins;
use crate::autograd::no_grad;
use crate::autograd::record::composite;
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_equal, is_zero, numel, specialize};
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Extent, Scalar, ScatterOp};

/// What PyTorch lets one say about a search; the default is the first place of equals.
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchsortedOptions<'a> {
    /// Whether the place after equal elements is meant, not the one before them.
    pub right: bool,
    /// The places in whose order the sequence is sorted, where it is not itself: what `argsort` gives.
    pub sorter: Option<&'a Tensor>,
}

/// What PyTorch lets one say about a histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramOptions<'a> {
    /// The outer edges; the smallest and the largest element where there are none. Without a meaning where edges are given.
    pub range: Option<(f64, f64)>,
    /// What each element counts, of the tensor's shape and dtype; 1 where there is none.
    pub weight: Option<&'a Tensor>,
    /// Whether the counts are divided by their sum and the widths of the bins.
    pub density: bool,
}

/// The places of `values` `[.., m]` in `sorted` `[.., n]`, along the last axis.
fn places(sorted: &Tensor, values: &Tensor, right: bool) -> Result<Tensor> {
    let last = sorted.dim() - 1;
    let size = sorted.sizes()[last];
    specialize(&[size], "a search takes as many steps as the size of the sequence has binary digits");
    let n = size.hint();
    let mut low = full_of(&values.sizes(), Scalar::I64(0))?;
    let mut high = full_of(&values.sizes(), Scalar::I64(n as i64))?;
    for _ in 0..usize::BITS - n.leading_zeros() {
        let middle = low.try_add(&high)?.try_floor_divide(2)?;
        let element = gather(sorted, &middle.try_clamp_max(n as i64 - 1)?, last)?;
        let stays = if right { element.try_gt(values)? } else { element.try_ge(values)? };
        let moves = stays.try_logical_not()?.try_logical_and(&low.try_lt(&high)?)?;
        low = choose(&moves, &middle.try_add(1)?, &low)?;
        high = choose(&moves, &high, &middle)?;
    }
    Ok(low)
}

fn searched(op: &'static str, sorted: &Tensor, values: &Tensor, right: bool) -> Result<Tensor> {
    let misfit = |why: &str| {
        Err(Error::operands(
            op,
            format!(
                "the values {}{:?} are searched in {}{:?}: {why}",
                values.dtype(),
                values.shape_hint(),
                sorted.dtype(),
                sorted.shape_hint()
            ),
        ))
    };
    if sorted.dtype() != values.dtype() {
        return misfit("dtypes must be equal");
    }
    if sorted.dim() == 0 {
        return misfit("the sequence needs an axis");
    }
    let as_numbers = |x: &Tensor| if x.dtype() == DType::Bool { x.try_to(DType::U8) } else { Ok(x.detach()) };
    no_grad(|| {
        let (sorted, values) = (as_numbers(sorted)?, as_numbers(values)?);
        if sorted.dim() == 1 {
            let flat = values.reshape_sizes(&[numel(&values.sizes())])?;
            return places(&sorted, &flat, right)?.reshape_sizes(&values.sizes());
        }
        let (own, given) = (sorted.sizes(), values.sizes());
        let last = own.len() - 1;
        match given.len() == own.len() && (0..last).all(|i| demand_equal(own[i], given[i])) {
            true => places(&sorted, &values, right),
            false => misfit("all axes but the last must be equal, unless the sequence has one only"),
        }
    })
}

/// The smallest and the largest element, or what was given; a width of 0 becomes one of 2.
fn span(op: &'static str, x: &Tensor, range: Option<(f64, f64)>) -> Result<(Tensor, Tensor)> {
    let number = |n: f64| full_of(&[], Scalar::from_f64(n, x.dtype()));
    let (low, high) = match range {
        Some((low, high)) if !(low.is_finite() && high.is_finite()) => {
            return Err(Error::operands(op, format!("the range must be finite, got {low} to {high}")));
        }
        Some((low, high)) if low > high => {
            return Err(Error::operands(op, format!("the range must not end below its begin, got {low} to {high}")));
        }
        Some((low, high)) => (number(low)?, number(high)?),
        None if is_zero(numel(&x.sizes())) => (number(0.0)?, number(0.0)?),
        None => {
            let (low, high) = x.try_aminmax(&[], false)?;
            let finite = low.try_isfinite()?.try_logical_and(&high.try_isfinite()?)?;
            (checked(&low, &finite, &format!("{op}: the range of the elements is not finite"))?, high)
        }
    };
    let flat = low.try_eq(&high)?;
    Ok((choose(&flat, &low.try_sub(1.0)?, &low)?, choose(&flat, &high.try_add(1.0)?, &high)?))
}

/// Sums of `what` at bins, of which the one behind the last is left out.
fn counted(bins: Size, at: &Tensor, what: &Tensor) -> Result<Tensor> {
    let zeros = full_of(&[bins.plus(&Size::from(1))], Scalar::from_f64(0.0, what.dtype()))?;
    narrow(&scatter(ScatterOp::Add, &zeros, at, what, 0)?, 0, Size::from(0), bins)?.try_contiguous()
}

/// That a function has no derivative, as in PyTorch: a node that no backward pass gets through.
fn undifferentiated(op: &'static str, x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    composite(
        "NotImplemented",
        &[Operand::Tensor(x)],
        || f(&x.detach()),
        |_| move |_: &_, _: &Tensor| Err(Error::autograd(format!("{op} has no derivative, as in PyTorch"))),
    )
}

/// So many bins and one more, as numbers of elements.
fn demand_bins(op: &'static str, bins: usize) -> Result<i64> {
    match i64::try_from(bins) {
        Ok(0) => Err(Error::operands(op, "needs one bin at least")),
        Ok(n) if n < i64::MAX => Ok(n),
        Ok(_) | Err(_) => Err(Error::operands(op, format!("{bins} bins are more than memory can hold"))),
    }
}

fn flat(x: &Tensor) -> Result<Tensor> {
    x.reshape_sizes(&[numel(&x.sizes())])
}

/// The counts between edges, the last of which belongs to the last bin.
fn histogram(x: &Tensor, edges: &Tensor, options: HistogramOptions<'_>) -> Result<Tensor> {
    let op = "histogram";
    if edges.dim() != 1 || edges.dtype() != x.dtype() || edges.sizes()[0].hint() == 0 {
        let (given, shape, own) = (edges.dtype(), edges.shape_hint(), x.dtype());
        return Err(Error::operands(op, format!("edges must be a vector of {own}, not empty, got {given}{shape:?}")));
    }
    let weight = match options.weight {
        None => x.detach().try_ones_like()?,
        Some(w) if w.dtype() == x.dtype() && w.has_sizes(&x.sizes()) => w.detach(),
        Some(w) => {
            let (given, shape) = (w.dtype(), w.shape_hint());
            let text =
                format!("the weight must be {}{:?} as the tensor is, got {given}{shape:?}", x.dtype(), x.shape_hint());
            return Err(Error::operands(op, text));
        }
    };
    no_grad(|| {
        let x = flat(&x.detach())?;
        let size = edges.sizes()[0];
        let (one, bins) = (Size::from(1), size.minus(Size::from(1)));
        let edge = |at: Size| narrow(edges, 0, at, one)?.reshape_sizes(&[]);
        let (low, high) = (edge(Size::from(0))?, edge(bins)?);
        let inside = x.try_ge(&low)?.try_logical_and(&x.try_le(&high)?)?;
        let count = super::reduce::size_tensor(bins, DType::I64)?;
        let at = places(edges, &x, true)?.try_sub(1)?.try_minimum(&count.try_sub(1)?)?;
        // Nothing has a place where there is no bin.
        let at = choose(&inside.try_logical_and(&count.try_gt(0)?)?, &at, &count.expand_sizes(&at.sizes())?)?;
        let counts = counted(bins, &at, &flat(&weight)?)?;
        if !options.density {
            return Ok(counts);
        }
        let widths = narrow(edges, 0, one, bins)?.try_sub(&narrow(edges, 0, Size::from(0), bins)?)?;
        counts.try_div(&counts.try_sum()?)?.try_div(&widths)
    })
}

/// `count + 1` numbers between two, as `linspace` has them: products of an f32 step are added before they are rounded.
fn even_edges(low: &Tensor, high: &Tensor, count: usize) -> Result<Tensor> {
    let wide = |x: &Tensor| x.try_to(DType::F64);
    let step = wide(&high.try_sub(low)?.try_div(count as f64)?)?;
    let i = wide(&Tensor::try_arange(count + 1)?)?;
    let left = wide(low)?.try_add(&step.try_mul(&i)?)?;
    let rest = i.try_neg()?.try_add(count as f64)?;
    let right = wide(high)?.try_sub(&step.try_mul(&rest)?)?;
    choose(&i.try_lt(count.div_ceil(2) as f64)?, &left, &right)?.try_to(low.dtype())
}

twins! {
    /// The places (i64) at which `values` belong in this sequence, sorted in ascending order along its last axis: so many elements are
    /// below. A sequence of one axis takes values of any shape, or a number; one of more takes as many rows as it has itself. NaN
    /// belongs to the end. The dtypes must be equal. No gradient flows.
    ///
    /// ```
    /// use allotrope::ops::SearchsortedOptions;
    /// use allotrope::prelude::*;
    /// let sorted = Tensor::from_vec(vec![1.0f32, 3.0, 3.0, 5.0], &[4]);
    /// let values = Tensor::from_vec(vec![3.0f32, 9.0], &[2]);
    /// assert_eq!(sorted.searchsorted(&values, SearchsortedOptions::default()).to_vec::<i64>(), [1, 4]);
    /// let right = SearchsortedOptions { right: true, ..Default::default() };
    /// assert_eq!(sorted.searchsorted(&values, right).to_vec::<i64>(), [3, 4]);
    /// ```
    fn searchsorted / try_searchsorted<'a>(&self, values: impl Into<Arg<'a>>, options: SearchsortedOptions<'a>) -> Tensor {
        let op = "searchsorted";
        let values = match values.into() {
            Arg::Number(n) => full_of(&[], n.fitted(op, self.dtype())?)?,
            Arg::Tensor(t) => t.clone(),
        };
        match options.sorter {
            None => searched(op, self, &values, options.right),
            Some(sorter) if sorter.dtype() == DType::I64 && sorter.has_sizes(&self.sizes()) => {
                searched(op, &self.detach().try_gather(-1, sorter)?, &values, options.right)
            }
            Some(sorter) => {
                let (given, shape, own) = (sorter.dtype(), sorter.shape_hint(), self.shape_hint());
                Err(Error::operands(op, format!("the sorter must be i64 of shape {own:?}, got {given}{shape:?}")))
            }
        }
    }

    /// The place (i64) of each element among sorted boundaries: with `right` those of equals count as below, PyTorch's
    /// `torch.bucketize`. As [`Tensor::searchsorted`] of the boundaries, a vector.
    fn bucketize / try_bucketize(&self, boundaries: &Tensor, right: bool) -> Tensor {
        match boundaries.dim() {
            1 => searched("bucketize", boundaries, self, right),
            _ => Err(Error::operands("bucketize", format!("boundaries must be a vector, got {:?}", boundaries.shape_hint()))),
        }
    }

    /// How many elements lie in each of so many bins of equal width from `min` to `max`, both inclusive, in the tensor's dtype, a
    /// float; where both are equal, from the smallest to the largest element. What lies outside, and NaN, is not counted.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 1.0], &[3]);
    /// assert_eq!(x.histc(4, 0.0, 3.0).to_vec::<f32>(), [0.0, 2.0, 1.0, 0.0]);
    /// ```
    fn histc / try_histc(&self, bins: usize, min: f64, max: f64) -> Tensor {
        let op = "histc";
        floating(self, op)?;
        let last = demand_bins(op, bins)? - 1;
        undifferentiated(op, self, |x| {
            let x = flat(x)?;
            let is_given = min != max || is_zero(x.sizes()[0]);
            let (low, high) = span(op, &x, (is_given || !min.is_finite()).then_some((min, max)))?;
            let inside = x.try_ge(&low)?.try_logical_and(&x.try_le(&high)?)?;
            let at = x.try_sub(&low)?.try_mul(bins as f64)?.try_div(&high.try_sub(&low)?)?;
            let at = choose(&inside.try_logical_not()?, bins as f64, &at)?;
            let at = at.try_to(DType::I64)?.try_clamp_max(last)?;
            let at = choose(&inside, &at, &at.try_full_like(last + 1)?)?;
            counted(Size::from(bins), &at, &x.try_ones_like()?)
        })
    }

    /// How many elements lie in each of so many bins of equal width, and the edges of these. Floats only. No gradient flows.
    fn histogram / try_histogram<'a>(&self, bins: usize, options: HistogramOptions<'a>) -> (Tensor, Tensor) {
        let op = "histogram";
        floating(self, op)?;
        demand_bins(op, bins)?;
        let (low, high) = span(op, &self.detach(), options.range)?;
        let edges = even_edges(&low, &high, bins)?;
        Ok((histogram(self, &edges, options)?, edges))
    }

    /// How many elements lie between each two edges, a sorted vector; the last edge belongs to the last bin. Floats only. No
    /// gradient flows.
    fn histogram_edges / try_histogram_edges<'a>(&self, edges: &Tensor, options: HistogramOptions<'a>) -> Tensor {
        floating(self, "histogram")?;
        histogram(self, &edges.detach(), options)
    }

    /// How often each whole number from 0 on is there (i64), or the sum of its weights (f64, or f32 where they are); at least
    /// `minlength` of them. How many there are depends on values, so a trace can't hold it.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1i64, 3, 1], &[3]);
    /// assert_eq!(x.bincount(None, 0).to_vec::<i64>(), [0, 2, 0, 1]);
    /// ```
    fn bincount / try_bincount(&self, weights: Option<&Tensor>, minlength: usize) -> Tensor {
        let op = "bincount";
        if self.dim() != 1 || self.dtype().is_float() || self.dtype() == DType::Bool {
            return Err(Error::operands(op, format!("takes a vector of integers, got {}{:?}", self.dtype(), self.shape_hint())));
        }
        let own: Sizes = self.sizes();
        let what = match weights {
            None => full_of(&own, Scalar::I64(1))?,
            Some(w) if !w.has_sizes(&own) => {
                let text = format!("weights must have the shape {:?}, got {:?}", self.shape_hint(), w.shape_hint());
                return Err(Error::operands(op, text));
            }
            Some(w) if w.dtype() == DType::F32 => w.detach(),
            Some(w) => w.detach().try_to(DType::F64)?,
        };
        let places = self.try_to(DType::I64)?;
        let elements: Vec<i64> = host(op, &places)?;
        let most = elements.iter().copied().max().unwrap_or(-1);
        let places = checked(&places, &all_true(&places.try_ge(0)?)?, "bincount: an element is negative")?;
        let bins = usize::try_from(most.saturating_add(1)).unwrap_or(0).max(minlength);
        counted(Size::from(bins), &places, &what)
    }
}

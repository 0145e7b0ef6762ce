//! Rows: reductions, running sums, norms, softmax, sorting.

use crate::derivative::{Row, case, check_all, row, unary};
use crate::draw::Domain::{self, *};
use crate::draw::Draw;
use allotrope::Tensor;
use allotrope::ops::QuantileOptions;

/// A function of one tensor, some axes and `keepdim`; every reduced axis has `least` elements at least.
fn over_axes(
    name: &'static str,
    domain: Domain,
    least: usize,
    f: impl Fn(&Tensor, &[isize], bool) -> Vec<Tensor> + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let (shape, axes) = shape_and_axes(d, least);
        let keepdim = d.once_in(2);
        case(vec![d.tensor(&shape, domain)], (axes.clone(), keepdim), move |x| f(&x[0], &axes, keepdim))
    })
}

fn shape_and_axes(d: &mut Draw, least: usize) -> (Vec<usize>, Vec<isize>) {
    let mut shape = d.shape(if least > 1 { 1 } else { 0 }, 3);
    let axes = d.axes(shape.len());
    let rank = shape.len() as isize;
    (0..shape.len())
        .filter(|&i| axes.is_empty() || axes.iter().any(|a| a.rem_euclid(rank) as usize == i))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|i| shape[i] = shape[i].max(least));
    (shape, axes)
}

/// A function of one tensor, an axis and `keepdim`; the axis has `least` elements at least.
fn over_axis(
    name: &'static str,
    domain: Domain,
    least: usize,
    f: impl Fn(&Tensor, isize, bool) -> Vec<Tensor> + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let (shape, axis, _) = shape_and_axis(d, least);
        let keepdim = d.once_in(2);
        case(vec![d.tensor(&shape, domain)], (axis, keepdim), move |x| f(&x[0], axis, keepdim))
    })
}

/// The third is the size of the axis.
fn shape_and_axis(d: &mut Draw, least: usize) -> (Vec<usize>, isize, usize) {
    let mut shape = d.shape(0, 4);
    let axis = d.axis(shape.len());
    if shape.is_empty() {
        return (shape, axis, 1);
    }
    let i = axis.rem_euclid(shape.len() as isize) as usize;
    shape[i] = shape[i].max(least);
    let n = shape[i];
    (shape, axis, n)
}

fn pair((a, b): (Tensor, Tensor)) -> Vec<Tensor> {
    vec![a, b]
}

fn sums() -> Vec<Row> {
    vec![
        over_axes("sum", Any, 0, |x, axes, keepdim| vec![x.sum_dim(axes, keepdim)]),
        over_axes("mean", Any, 0, |x, axes, keepdim| vec![x.mean_dim(axes, keepdim)]),
        unary("sum of all", Any, |x| x.sum()),
        unary("mean of all", Any, |x| x.mean()),
        unary("prod", Zeros, |x| x.prod()),
        over_axis("prod over an axis", Zeros, 0, |x, axis, keepdim| vec![x.prod_dim(axis, keepdim)]),
        over_axis("cumsum", Any, 0, |x, axis, _| vec![x.cumsum(axis)]),
        over_axis("cumprod", Zeros, 0, |x, axis, _| vec![x.cumprod(axis)]),
        over_axis("logcumsumexp", Any, 0, |x, axis, _| vec![x.logcumsumexp(axis)]),
        over_axes("var", Any, 2, |x, axes, keepdim| vec![x.var_dim(axes, 1.0, keepdim)]),
        over_axes("std", Distinct, 2, |x, axes, keepdim| vec![x.std_dim(axes, 1.0, keepdim)]),
        over_axes("var_mean", Any, 2, |x, axes, keepdim| pair(x.var_mean(axes, 0.5, keepdim))),
        over_axes("std_mean", Distinct, 2, |x, axes, keepdim| pair(x.std_mean(axes, 0.0, keepdim))),
        over_axes("var.unbiased", Any, 2, |x, _, _| vec![x.var()]),
        over_axes("std.unbiased", Distinct, 2, |x, _, _| vec![x.std()]),
        over_axes("var_mean.unbiased", Any, 2, |x, _, _| pair(x.var_mean(&[], 1.0, false))),
        over_axes("std_mean.unbiased", Distinct, 2, |x, _, _| pair(x.std_mean(&[], 1.0, false))),
        over_axes("norm.fro", Away, 0, |x, axes, keepdim| vec![x.norm_dim(2.0, axes, keepdim)]),
        over_axes("norm.inf", Distinct, 1, |x, axes, keepdim| {
            vec![x.norm_dim(f64::INFINITY, axes, keepdim), x.norm_dim(f64::NEG_INFINITY, axes, keepdim)]
        }),
        unary("norm", Away, |x| x.norm()),
        row("linalg.vector_norm", |d| {
            let (shape, axes) = shape_and_axes(d, 1);
            let (ord, keepdim) = (d.pick(&[2.0, 1.0, 0.0, 3.0, 0.5, -1.0, 2.5]), d.once_in(2));
            let x = d.tensor(&shape, Away);
            case(vec![x], (ord, axes.clone(), keepdim), move |x| vec![x[0].vector_norm(ord, &axes, keepdim)])
        }),
        over_axes("nansum", Any, 0, |x, axes, keepdim| vec![x.nansum(axes, keepdim)]),
        over_axes("nanmean", Any, 1, |x, axes, keepdim| vec![x.nanmean(axes, keepdim)]),
        over_axes("logsumexp", Any, 0, |x, axes, keepdim| vec![x.logsumexp(axes, keepdim)]),
        over_axis("softmax", Any, 0, |x, axis, _| vec![x.softmax(axis)]),
        over_axis("softmin", Any, 0, |x, axis, _| vec![x.softmin(axis)]),
        over_axis("log_softmax", Any, 0, |x, axis, _| vec![x.log_softmax(axis)]),
    ]
}

fn orders() -> Vec<Row> {
    vec![
        over_axes("amax", Distinct, 1, |x, axes, keepdim| vec![x.amax(axes, keepdim)]),
        over_axes("amin", Distinct, 1, |x, axes, keepdim| vec![x.amin(axes, keepdim)]),
        over_axis("aminmax", Distinct, 1, |x, axis, keepdim| pair(x.aminmax(&[axis], keepdim))),
        over_axes("max.reduction_no_dim", Distinct, 1, |x, _, _| match x.numel() {
            0 => Vec::new(),
            _ => vec![x.max()],
        }),
        over_axes("min.reduction_no_dim", Distinct, 1, |x, _, _| match x.numel() {
            0 => Vec::new(),
            _ => vec![x.min()],
        }),
        over_axis("max.reduction_with_dim", Distinct, 1, |x, axis, keepdim| pair(x.max_dim(axis, keepdim))),
        over_axis("min.reduction_with_dim", Distinct, 1, |x, axis, keepdim| pair(x.min_dim(axis, keepdim))),
        over_axis("median", Distinct, 1, |x, axis, keepdim| pair(x.median_dim(axis, keepdim))),
        over_axis("nanmedian", Distinct, 1, |x, axis, keepdim| pair(x.nanmedian_dim(axis, keepdim))),
        over_axis("mode", Distinct, 1, |x, axis, keepdim| pair(x.mode(axis, keepdim))),
        over_axis("quantile", Distinct, 1, |x, axis, keepdim| {
            let options = QuantileOptions { dim: Some(axis), keepdim, ..Default::default() };
            vec![x.quantile(0.4, options), x.nanquantile(0.7, options)]
        }),
        over_axis("cummax", Distinct, 0, |x, axis, _| pair(x.cummax(axis))),
        over_axis("cummin", Distinct, 0, |x, axis, _| pair(x.cummin(axis))),
        over_axis("sort", Distinct, 0, |x, axis, descending| pair(x.sort(axis, descending))),
        row("msort", |d| {
            let shape = d.shape(1, 4);
            case(vec![d.tensor(&shape, Distinct)], (), |x| vec![x[0].msort()])
        }),
        row("topk", |d| {
            let (shape, axis, n) = shape_and_axis(d, 0);
            let (k, largest) = (d.between(0, n), d.once_in(2));
            case(vec![d.tensor(&shape, Distinct)], (k, axis, largest), move |x| pair(x[0].topk(k, axis, largest)))
        }),
        row("kthvalue", |d| {
            let (shape, axis, n) = shape_and_axis(d, 1);
            let (k, keepdim) = (d.between(1, n), d.once_in(2));
            case(vec![d.tensor(&shape, Distinct)], (k, axis, keepdim), move |x| pair(x[0].kthvalue(k, axis, keepdim)))
        }),
    ]
}

pub fn rows() -> Vec<Row> {
    [sums(), orders()].into_iter().flatten().collect()
}

#[test]
fn sums_and_norms() {
    check_all(sums());
}

#[test]
fn extremes_and_orders() {
    check_all(orders());
}

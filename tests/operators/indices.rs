//! Rows: choosing and placing elements by index or mask.

use crate::derivative::{Case, Row, case, check_all, row};
use crate::draw::Domain::*;
use crate::draw::Draw;
use allotrope::Tensor;
use allotrope::ops::ScatterReduce;

/// A tensor without empty axes, one of its axes, and that axis counted from the first.
fn source(d: &mut Draw) -> (Tensor, Vec<usize>, isize, usize) {
    let shape = d.filled_shape(1, 4);
    let axis = d.axis(shape.len());
    let i = axis.rem_euclid(shape.len() as isize) as usize;
    (d.tensor(&shape, Any), shape, axis, i)
}

/// The shape of an index for [`Tensor::gather`]: no axis longer than the tensor's but the one that is indexed.
fn index_shape(d: &mut Draw, shape: &[usize], i: usize, most: usize) -> Vec<usize> {
    let one = |(k, &n): (usize, &usize)| if k == i { d.between(0, most) } else { d.pick(&[n, n, n - 1]) };
    shape.iter().enumerate().map(one).collect()
}

/// An index that names no place of axis `i` twice.
fn unique(d: &mut Draw, shape: &[usize], i: usize, n: usize) -> Tensor {
    let order = d.order(n);
    let inner: usize = shape[i + 1..].iter().product();
    let at = |k: usize| {
        let (line, place) = (k % inner + k / (inner * shape[i]), k / inner % shape[i]);
        order[(line + place) % n] as i64
    };
    Tensor::from_vec((0..shape.iter().product()).map(at).collect(), shape)
}

/// `f(x, axis, index, values)` with values of the index's shape.
fn scattered(d: &mut Draw, twice: bool, f: fn(&Tensor, isize, &Tensor, &Tensor) -> Tensor) -> Case {
    let (x, shape, axis, i) = source(d);
    let own = index_shape(d, &shape, i, shape[i]);
    // PyTorch does not say which of two values for one place stays.
    let index = if twice { d.index(&own, shape[i]) } else { unique(d, &own, i, shape[i]) };
    let values = d.tensor(&own, Any);
    case(vec![x, index, values], axis, move |x| vec![f(&x[0], axis, &x[1], &x[2])])
}

/// `f(x, axis, index, values)` with an index of one axis and as many slices of values.
fn slices(d: &mut Draw, twice: bool, f: fn(&Tensor, isize, &Tensor, &Tensor) -> Tensor) -> Case {
    let (x, mut shape, axis, i) = source(d);
    let n = shape[i];
    shape[i] = d.between(0, n);
    let index = if twice { d.index(&[shape[i]], n) } else { unique(d, &[shape[i]], 0, n) };
    let values = d.tensor(&shape, Any);
    case(vec![x, index, values], axis, move |x| vec![f(&x[0], axis, &x[1], &x[2])])
}

/// Reduced into places, some of them twice.
fn reduced(d: &mut Draw, how: ScatterReduce) -> Case {
    let shape = d.filled_shape(1, 3);
    let axis = d.axis(shape.len());
    let i = axis.rem_euclid(shape.len() as isize) as usize;
    let own = index_shape(d, &shape, i, shape[i]);
    let include_self = d.once_in(2);
    let (x, index, values) = (d.tensor(&shape, Distinct), d.index(&own, shape[i]), d.tensor(&own, Away));
    case(vec![x, index, values], (axis, how, include_self), move |x| {
        vec![x[0].scatter_reduce(axis, &x[1], &x[2], how, include_self)]
    })
}

pub fn rows() -> Vec<Row> {
    vec![
        row("scatter_reduce sum", |d| reduced(d, ScatterReduce::Sum)),
        row("scatter_reduce prod", |d| reduced(d, ScatterReduce::Prod)),
        row("scatter_reduce mean", |d| reduced(d, ScatterReduce::Mean)),
        row("scatter_reduce amax", |d| {
            // Without ties, which no difference shows.
            let (x, index) = (d.tensor(&[3, 4], Distinct), d.index(&[3, 4], 3));
            case(vec![x, index], (), |x| {
                vec![(&x[0] * 2.0).scatter_reduce(0, &x[1], &x[0], ScatterReduce::Amax, false)]
            })
        }),
        row("select_scatter", |d| {
            let (x, y) = (d.tensor(&[3, 4], Any), d.tensor(&[3], Any));
            case(vec![x, y], (), |x| vec![x[0].select_scatter(&x[1], 1, 2), x[0].diagonal_scatter(&x[1], 1, 0, 1)])
        }),
        row("gather", |d| {
            let (x, shape, axis, i) = source(d);
            let own = index_shape(d, &shape, i, 3);
            let index = d.index(&own, shape[i]);
            case(vec![x, index], axis, move |x| vec![x[0].gather(axis, &x[1])])
        }),
        row("take_along_dim", |d| {
            let (x, shape, axis, i) = source(d);
            if d.once_in(3) {
                let index = d.index(&[3], shape.iter().product());
                let flat = |x: &[Tensor]| vec![x[0].contiguous().take_along_dim(&x[1].contiguous(), None)];
                return case(vec![x, index], "flat", flat);
            }
            let own: Vec<usize> =
                shape.iter().enumerate().map(|(k, &n)| if k == i { 2 } else { d.pick(&[n, 1]) }).collect();
            let index = d.index(&own, shape[i]);
            case(vec![x, index], axis, move |x| vec![x[0].take_along_dim(&x[1], Some(axis))])
        }),
        row("index_select", |d| {
            let (x, shape, axis, i) = source(d);
            let n = d.between(0, 4);
            let index = d.index(&[n], shape[i]);
            case(vec![x, index], axis, move |x| vec![x[0].index_select(axis, &x[1])])
        }),
        row("take", |d| {
            let (x, shape, ..) = source(d);
            let own = d.shape(0, 2);
            let index = d.index(&own, shape.iter().product());
            case(vec![x, index], (), |x| vec![x[0].take(&x[1])])
        }),
        row("index", |d| {
            let (x, shape, ..) = source(d);
            let own = d.shape(0, 2);
            let index = d.index(&own, shape[0]);
            case(vec![x, index], (), |x| vec![x[0].index(&x[1])])
        }),
        row("index_put", |d| {
            slices(d, true, |x, _, index, y| {
                // Along the first axis, whichever was drawn: every place takes the same number.
                let value = y.sum();
                x.index_put(&index.remainder(x.size(0) as i64), &value, true)
            })
        }),
        row("scatter", |d| {
            if d.once_in(3) {
                let (x, shape, axis, i) = source(d);
                let own = index_shape(d, &shape, i, shape[i]);
                let index = d.index(&own, shape[i]);
                return case(vec![x, index], (axis, 1.5), move |x| vec![x[0].scatter(axis, &x[1], 1.5)]);
            }
            scattered(d, false, |x, axis, index, y| x.scatter(axis, index, y))
        }),
        row("scatter_add", |d| scattered(d, true, |x, axis, index, y| x.scatter_add(axis, index, y))),
        row("index_add", |d| slices(d, true, |x, axis, index, y| x.index_add(axis, index, y, -0.7))),
        row("index_copy", |d| slices(d, false, |x, axis, index, y| x.index_copy(axis, index, y))),
        row("index_fill", |d| slices(d, true, |x, axis, index, _| x.index_fill(axis, index, 1.5))),
        row("masked_fill", |d| {
            let shape = d.shape(0, 4);
            let own = d.partner(&shape);
            let (x, mask) = (d.tensor(&shape, Any), d.mask(&own));
            if d.once_in(2) {
                let value = d.tensor(&[], Any);
                return case(vec![x, mask, value], "tensor", |x| vec![x[0].masked_fill(&x[1], &x[2])]);
            }
            case(vec![x, mask], 0.5, |x| vec![x[0].masked_fill(&x[1], 0.5)])
        }),
    ]
}

#[test]
fn indices_and_masks() {
    check_all(rows());
}

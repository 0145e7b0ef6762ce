//! Rows: views, joining, splitting, repeating, triangles.

use crate::derivative::{Row, case, check_all, row, unary};
use crate::draw::Domain::*;
use crate::draw::Draw;
use allotrope::Tensor;
use allotrope::ops;

fn signed(shape: &[usize]) -> Vec<isize> {
    shape.iter().map(|&n| n as isize).collect()
}

/// Another shape of as many elements.
fn reshaped(d: &mut Draw, shape: &[usize]) -> Vec<isize> {
    let n: usize = shape.iter().product();
    let mut out = match d.below(3) {
        0 => vec![n as isize],
        1 => signed(shape).into_iter().rev().collect(),
        _ => vec![1, n as isize, 1],
    };
    if n > 0 && !out.is_empty() && d.once_in(2) {
        let i = d.below(out.len());
        out[i] = -1;
    }
    out
}

/// Shapes that differ along one axis only, and the axis.
fn joined(d: &mut Draw) -> (Vec<Vec<usize>>, isize) {
    let shape = d.shape(1, 4);
    let axis = d.axis(shape.len());
    let i = axis.rem_euclid(shape.len() as isize) as usize;
    let along = |n: usize| shape.iter().enumerate().map(|(k, &m)| if k == i { n } else { m }).collect();
    let parts = (0..d.between(1, 3)).map(|_| d.between(0, 3)).collect::<Vec<_>>().into_iter().map(along).collect();
    (parts, axis)
}

fn refs(x: &[Tensor]) -> Vec<&Tensor> {
    x.iter().collect()
}

/// Some axes that differ, each from either end.
fn some_axes(d: &mut Draw, rank: usize) -> Vec<isize> {
    let order = d.order(rank);
    let count = d.below(rank + 1);
    let n = rank as isize;
    order[..count].iter().map(|&i| i as isize - if d.once_in(2) { n } else { 0 }).collect()
}

fn size_of(shape: &[usize], axis: isize) -> usize {
    shape.get(axis.rem_euclid(shape.len().max(1) as isize) as usize).copied().unwrap_or(1)
}

/// Numbers that sum up to `n`.
fn parts(d: &mut Draw, n: usize) -> Vec<usize> {
    let mut left = n;
    let mut parts: Vec<usize> = (0..d.below(3))
        .map(|_| {
            let k = d.below(left + 1);
            left -= k;
            k
        })
        .collect();
    parts.push(left);
    parts
}

/// A function of a tensor of one axis at least, and one of its axes.
fn along(name: &'static str, f: impl Fn(&Tensor, isize) -> Vec<Tensor> + Copy + 'static) -> Row {
    row(name, move |d| {
        let shape = d.shape(1, 4);
        let axis = d.axis(shape.len());
        case(vec![d.tensor(&shape, Any)], axis, move |x| f(&x[0], axis))
    })
}

/// A function of some tensors of shapes that can be joined along axis `of(rank)`.
fn joining(name: &'static str, of: fn(usize) -> usize, f: fn(&[&Tensor]) -> Tensor) -> Row {
    row(name, move |d| {
        let shape = d.shape(0, 3);
        let axis = of(shape.len());
        let x = (0..d.between(1, 3))
            .map(|_| {
                let mut own = shape.clone();
                if axis < own.len() {
                    own[axis] = d.between(0, 3);
                }
                d.tensor(&own, Any)
            })
            .collect();
        case(x, axis, move |x| vec![f(&refs(x))])
    })
}

/// A function of a tensor and a number between -3 and 3.
fn shifted(name: &'static str, low: usize, high: usize, f: impl Fn(&Tensor, isize) -> Tensor + Copy + 'static) -> Row {
    row(name, move |d| {
        let shape = d.shape(low, high);
        let by = d.between(0, 6) as isize - 3;
        case(vec![d.tensor(&shape, Any)], by, move |x| vec![f(&x[0], by)])
    })
}

fn split() -> Vec<Row> {
    vec![
        row("split", |d| {
            let shape = d.shape(1, 4);
            let axis = d.axis(shape.len());
            let size = d.between(1, 3);
            case(vec![d.tensor(&shape, Any)], (size, axis), move |x| x[0].split(size, axis))
        }),
        row("split.list_args", with_sizes),
        row("split_with_sizes", with_sizes),
        row("chunk", |d| {
            let shape = d.shape(1, 4);
            let (axis, n) = (d.axis(shape.len()), d.between(1, 4));
            case(vec![d.tensor(&shape, Any)], (n, axis), move |x| x[0].chunk(n, axis))
        }),
        row("tensor_split", |d| {
            let shape = d.shape(1, 4);
            let (axis, n) = (d.axis(shape.len()), d.between(1, 4));
            case(vec![d.tensor(&shape, Any)], (n, axis), move |x| x[0].tensor_split(n, axis))
        }),
        along("unbind", |x, axis| x.unbind(axis)),
        row("unfold", |d| {
            let shape = d.shape(1, 4);
            let axis = d.axis(shape.len());
            let size = d.between(0, size_of(&shape, axis));
            let step = d.between(1, 3);
            case(vec![d.tensor(&shape, Any)], (axis, size, step), move |x| vec![x[0].unfold(axis, size, step)])
        }),
        row("slice", |d| {
            let shape = d.shape(1, 4);
            let (axis, step) = (d.axis(shape.len()), d.between(1, 3));
            let (from, to) = (d.pick(&[None, Some(1), Some(-2)]), d.pick(&[None, Some(3), Some(-1)]));
            let about = (axis, from, to, step);
            case(vec![d.tensor(&shape, Any)], about, move |x| vec![x[0].slice(axis, from, to, step)])
        }),
        row("narrow at a place in a tensor", |d| {
            let shape = d.filled_shape(1, 4);
            let axis = d.axis(shape.len());
            let n = size_of(&shape, axis);
            let start = d.below(n);
            let len = d.between(0, n - start);
            let x = vec![d.tensor(&shape, Any), Tensor::scalar(start as i64)];
            case(x, (axis, start, len), move |x| vec![x[0].narrow_at(axis, &x[1], len)])
        }),
        row("as_strided", |d| {
            let offset = d.between(0, 2);
            let (shape, strides) =
                d.pick(&[(&[2usize, 2][..], &[2usize, 1][..]), (&[3, 2], &[1, 1]), (&[2], &[3]), (&[], &[])]);
            case(vec![d.tensor(&[6], Any)], (shape, strides, offset), move |x| {
                // The memory of a fresh tensor, which it fills.
                vec![(&x[0] * 1.0).as_strided(shape, strides, offset)]
            })
        }),
    ]
}

fn with_sizes(d: &mut Draw) -> crate::derivative::Case {
    let shape = d.shape(1, 4);
    let axis = d.axis(shape.len());
    let sizes = parts(d, size_of(&shape, axis));
    case(vec![d.tensor(&shape, Any)], (sizes.clone(), axis), move |x| x[0].split_with_sizes(&sizes, axis))
}

fn repeated() -> Vec<Row> {
    vec![
        joining("hstack", |n| usize::from(n > 1), |x| ops::hstack(x)),
        joining("vstack", |n| if n > 1 { 0 } else { 9 }, |x| ops::vstack(x)),
        joining("dstack", |n| if n > 2 { 2 } else { 9 }, |x| ops::dstack(x)),
        joining("column_stack", |n| if n > 1 { 1 } else { 9 }, |x| ops::column_stack(x)),
        row("repeat", |d| {
            let shape = d.shape(0, 3);
            let times: Vec<usize> = (0..shape.len() + d.below(2)).map(|_| d.pick(&[1, 2, 0])).collect();
            case(vec![d.tensor(&shape, Any)], times.clone(), move |x| vec![x[0].repeat(&times)])
        }),
        row("tile", |d| {
            let shape = d.shape(0, 3);
            let times: Vec<usize> = (0..d.below(4)).map(|_| d.pick(&[1, 2, 0])).collect();
            case(vec![d.tensor(&shape, Any)], times.clone(), move |x| vec![x[0].tile(&times)])
        }),
        along("repeat_interleave", |x, axis| vec![x.repeat_interleave(2, Some(axis)), x.repeat_interleave(3, None)]),
        row("flip", |d| {
            let shape = d.shape(0, 4);
            let axes = some_axes(d, shape.len());
            case(vec![d.tensor(&shape, Any)], axes.clone(), move |x| vec![x[0].flip(&axes)])
        }),
        row("roll", |d| {
            let shape = d.shape(0, 4);
            let axes = some_axes(d, shape.len());
            let shifts: Vec<isize> = (0..axes.len().max(1)).map(|_| d.below(9) as isize - 4).collect();
            case(vec![d.tensor(&shape, Any)], (shifts.clone(), axes.clone()), move |x| vec![x[0].roll(&shifts, &axes)])
        }),
        shifted("rot90", 2, 3, |x, by| x.rot90(by, [0, 1])),
        shifted("diag", 1, 2, |x, by| x.diag(by)),
        shifted("tril", 2, 4, |x, by| x.tril(by)),
        shifted("triu", 2, 4, |x, by| x.triu(by)),
        shifted("diag_embed", 1, 2, |x, by| x.diag_embed(by, 0, -1)),
        row("diagonal", |d| {
            let shape = d.shape(2, 4);
            let order = d.order(shape.len());
            let (offset, a, b) =
                (d.between(0, 4) as isize - 2, order[0] as isize, order[1] as isize - shape.len() as isize);
            case(vec![d.tensor(&shape, Any)], (offset, a, b), move |x| vec![x[0].diagonal(offset, a, b)])
        }),
        row("trace", |d| {
            let shape = d.shape(2, 2);
            case(vec![d.tensor(&shape, Any)], (), |x| vec![x[0].trace()])
        }),
        row("meshgrid", |d| {
            let indexing = d.pick(&["ij", "xy"]);
            let x = (0..d.between(1, 3))
                .map(|_| {
                    let n = d.between(0, 3);
                    d.tensor(&[n], Any)
                })
                .collect();
            case(x, indexing, move |x| ops::meshgrid(&refs(x), indexing))
        }),
    ]
}

fn reordered() -> Vec<Row> {
    vec![
        row("view", |d| {
            // A view of a tensor whose memory lies in order: the layout would decide whether there is one.
            let shape = d.shape(0, 4);
            let to = reshaped(d, &shape);
            case(vec![d.tensor(&shape, Any)], to.clone(), move |x| vec![x[0].contiguous().view(&to)])
        }),
        row("movedim", |d| {
            let shape = d.shape(0, 4);
            let from = some_axes(d, shape.len());
            let to: Vec<isize> = d.order(shape.len())[..from.len()].iter().map(|&i| i as isize).collect();
            case(vec![d.tensor(&shape, Any)], (from.clone(), to.clone()), move |x| vec![x[0].movedim(&from, &to)])
        }),
        row("squeeze", |d| {
            let shape = d.shape(0, 4);
            let axis = d.axis(shape.len());
            let every = d.once_in(2);
            let x = vec![d.tensor(&shape, Any)];
            case(x, (axis, every), move |x| vec![if every { x[0].squeeze_all() } else { x[0].squeeze(axis) }])
        }),
        row("squeeze.multiple", |d| {
            let shape = d.shape(0, 4);
            let axes = some_axes(d, shape.len());
            case(vec![d.tensor(&shape, Any)], axes.clone(), move |x| vec![x[0].squeeze_dims(&axes)])
        }),
        row("broadcast_to", |d| {
            let shape = d.shape(0, 4);
            let own = d.partner(&shape);
            let to = signed(&shape);
            case(vec![d.tensor(&own, Any)], to.clone(), move |x| vec![x[0].broadcast_to(&to)])
        }),
        row("broadcast_tensors", |d| {
            let [a, b, c] = d.partners();
            let x = vec![d.tensor(&a, Any), d.tensor(&b, Any), d.tensor(&c, Any)];
            case(x, (), |x| ops::broadcast_tensors(&refs(x)))
        }),
        along("swapaxes", |x, axis| vec![x.swapaxes(axis, 0)]),
        unary("ravel", Any, |x| x.ravel()),
        unary("atleast_1d", Any, |x| x.atleast_1d()),
        unary("atleast_2d", Any, |x| x.atleast_2d()),
        unary("atleast_3d", Any, |x| x.atleast_3d()),
        row("unflatten", |d| {
            let mut shape = d.shape(1, 3);
            let axis = d.axis(shape.len());
            let i = axis.rem_euclid(shape.len() as isize) as usize;
            shape[i] = 2 * d.between(0, 2);
            let last = shape[i] as isize / 2;
            case(vec![d.tensor(&shape, Any)], axis, move |x| vec![x[0].unflatten(axis, &[2, last])])
        }),
        row("mT", |d| {
            let shape = d.shape(2, 4);
            case(vec![d.tensor(&shape, Any)], (), |x| vec![x[0].mt()])
        }),
    ]
}

fn views() -> Vec<Row> {
    vec![
        row("reshape", |d| {
            let shape = d.shape(0, 4);
            let to = reshaped(d, &shape);
            case(vec![d.tensor(&shape, Any)], to.clone(), move |x| vec![x[0].reshape(&to)])
        }),
        row("permute", |d| {
            let shape = d.shape(0, 4);
            let n = shape.len() as isize;
            let order: Vec<isize> =
                d.order(shape.len()).into_iter().map(|i| i as isize - if d.once_in(3) { n } else { 0 }).collect();
            case(vec![d.tensor(&shape, Any)], order.clone(), move |x| vec![x[0].permute(&order)])
        }),
        row("transpose", |d| {
            let shape = d.shape(0, 4);
            let (a, b) = (d.axis(shape.len()), d.axis(shape.len()));
            case(vec![d.tensor(&shape, Any)], (a, b), move |x| vec![x[0].transpose(a, b)])
        }),
        row("t", |d| {
            let shape = d.shape(0, 2);
            case(vec![d.tensor(&shape, Any)], (), |x| vec![x[0].t()])
        }),
        row("unsqueeze", |d| {
            let shape = d.shape(0, 3);
            let axis = d.axis(shape.len() + 1);
            case(vec![d.tensor(&shape, Any)], axis, move |x| vec![x[0].unsqueeze(axis)])
        }),
        row("flatten", |d| {
            let shape = d.shape(0, 4);
            let n = shape.len().max(1);
            let from = d.below(n);
            let to = d.between(from, n - 1) as isize - if d.once_in(2) { n as isize } else { 0 };
            case(vec![d.tensor(&shape, Any)], (from, to), move |x| vec![x[0].flatten(from as isize, to)])
        }),
        row("expand", |d| {
            let shape = d.shape(0, 4);
            let own = d.partner(&shape);
            let to = signed(&shape);
            case(vec![d.tensor(&own, Any)], to.clone(), move |x| vec![x[0].expand(&to)])
        }),
        row("expand_as", |d| {
            let shape = d.shape(0, 4);
            let own = d.partner(&shape);
            case(vec![d.tensor(&own, Any), d.tensor(&shape, Any)], (), |x| vec![x[0].expand_as(&x[1])])
        }),
        row("narrow", |d| {
            let shape = d.shape(1, 4);
            let axis = d.axis(shape.len());
            let n = shape[axis.rem_euclid(shape.len() as isize) as usize];
            let start = d.between(0, n);
            let len = d.between(0, n - start);
            let start = start as isize - if start > 0 && start < n && d.once_in(2) { n as isize } else { 0 };
            case(vec![d.tensor(&shape, Any)], (axis, start, len), move |x| vec![x[0].narrow(axis, start, len)])
        }),
        row("select", |d| {
            let shape = d.filled_shape(1, 4);
            let axis = d.axis(shape.len());
            let index = d.axis(shape[axis.rem_euclid(shape.len() as isize) as usize]);
            case(vec![d.tensor(&shape, Any)], (axis, index), move |x| vec![x[0].select(axis, index)])
        }),
        row("cat", |d| {
            let (shapes, axis) = joined(d);
            let x = shapes.iter().map(|s| d.tensor(s, Any)).collect();
            case(x, axis, move |x| vec![ops::cat(&refs(x), axis)])
        }),
        row("stack", |d| {
            let shape = d.shape(0, 3);
            let axis = d.axis(shape.len() + 1);
            let x = (0..d.between(1, 3)).map(|_| d.tensor(&shape, Any)).collect();
            case(x, axis, move |x| vec![ops::stack(&refs(x), axis)])
        }),
        unary("contiguous", Any, |x| x.contiguous()),
    ]
}

pub fn rows() -> Vec<Row> {
    [views(), reordered(), split(), repeated()].into_iter().flatten().collect()
}

#[test]
fn shapes_and_orders_of_axes() {
    check_all([views(), reordered()].into_iter().flatten().collect());
}

#[test]
fn parts_of_tensors() {
    check_all(split());
}

#[test]
fn repeating_and_triangles() {
    check_all(repeated());
}

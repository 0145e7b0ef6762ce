//! Rows: views, joining.

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

pub fn rows() -> Vec<Row> {
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
        row("matmul", |d| {
            let (m, k, n) = (d.between(0, 3), d.between(0, 3), d.between(0, 3));
            let batch = d.shape(0, 2);
            let lead = |d: &mut Draw, last: &[usize]| {
                let batch = d.partner(&batch.iter().map(|&b| b.min(2)).collect::<Vec<_>>());
                batch.into_iter().chain(last.iter().copied()).collect::<Vec<_>>()
            };
            let (a, b) = match d.below(4) {
                0 => (lead(d, &[m, k]), lead(d, &[k, n])),
                1 => (vec![k], vec![k]),
                2 => (lead(d, &[m, k]), vec![k]),
                _ => (vec![k], lead(d, &[k, n])),
            };
            case(vec![d.tensor(&a, Any), d.tensor(&b, Any)], (), |x| vec![x[0].matmul(&x[1])])
        }),
    ]
}

#[test]
fn views_and_joining() {
    check_all(rows());
}

//! What the primitives mean that pick, place or order elements along an axis. As slow and plain as the rest of the
//! interpreter.

use super::{Array, flat, indices};
use crate::element;
use crate::{ArgOp, DType, Op, Scalar, ScatterOp};
use std::collections::HashMap;

/// The result of `op` on `x`.
///
/// # Errors
/// Why elements cannot be had: indices or windows that do not lie in their axis, a check that does not hold.
pub(super) fn run(op: &Op, binding: &[usize], x: &[&Array]) -> Result<Array, String> {
    Ok(match op {
        Op::Flip(axes) => {
            let n = x[0].shape.clone();
            x[0].gather(n.clone(), |i| {
                i.iter().enumerate().map(|(a, &i)| if axes.contains(&a) { n[a] - 1 - i } else { i }).collect()
            })
        }
        Op::Window { axis, count, size, step, dilation } => {
            let (count, size) = (count.eval(binding), size.eval(binding));
            let mut shape = x[0].shape.clone();
            if count > 0 && size > 0 && (count - 1) * step + (size - 1) * dilation >= shape[*axis] {
                return Err(format!("window: {count} windows of {size} do not lie in axis {axis} of {shape:?}"));
            }
            shape[*axis] = count;
            shape.push(size);
            x[0].gather(shape, |i| {
                let mut source = i[..i.len() - 1].to_vec();
                source[*axis] = i[*axis] * step + i[i.len() - 1] * dilation;
                source
            })
        }
        Op::OverlapAdd { axis, len, step, dilation } => {
            let mut shape = x[0].shape.clone();
            let size = shape.pop().expect("the rules ask for two axes");
            let count = shape[*axis];
            shape[*axis] = len.eval(binding);
            if count > 0 && size > 0 && (count - 1) * step + (size - 1) * dilation >= shape[*axis] {
                return Err(format!("overlap_add: {count} windows of {size} do not lie in axis {axis} of {shape:?}"));
            }
            let zero = element::cast(Scalar::I64(0), x[0].dtype());
            let items: Vec<Scalar> = indices(&shape)
                .map(|i| {
                    let mut sum = zero;
                    for window in 0..count {
                        for place in (0..size).filter(|p| window * step + p * dilation == i[*axis]) {
                            let mut source = i.clone();
                            source[*axis] = window;
                            source.push(place);
                            sum = element::binary(crate::BinaryOp::Add, sum, x[0].get(flat(&source, &x[0].shape)));
                        }
                    }
                    sum
                })
                .collect();
            Array::from_scalars(x[0].dtype(), shape, items)
        }
        Op::Gather { axis } => {
            let items = indexed(op.name(), *axis, x)?.into_iter().map(|place| x[0].get(place));
            Array::from_scalars(x[0].dtype(), x[1].shape.clone(), items)
        }
        Op::Scatter { op, axis } => {
            let mut items: Vec<Scalar> = x[0].scalars().collect();
            for (source, place) in indexed(op.name(), *axis, x)?.into_iter().enumerate() {
                let source = x[2].get(source);
                items[place] = match op {
                    ScatterOp::Set => source,
                    ScatterOp::Add => element::binary(crate::BinaryOp::Add, items[place], source),
                };
            }
            Array::from_scalars(x[0].dtype(), x[0].shape.clone(), items)
        }
        Op::ArgReduce { op, axis } => {
            let wins = match op {
                ArgOp::Max => crate::CompareOp::Gt,
                ArgOp::Min => crate::CompareOp::Lt,
            };
            let mut shape = x[0].shape.clone();
            shape.remove(*axis);
            let items: Vec<Scalar> = indices(&shape)
                .map(|outer| {
                    let row = row(x[0], *axis, &outer);
                    let better = |a: Scalar, b: Scalar| {
                        !element::is_nan(b) && (element::is_nan(a) || element::compare(wins, a, b))
                    };
                    let best = (1..row.len()).fold(0, |best, i| if better(row[i], row[best]) { i } else { best });
                    Scalar::I64(best as i64)
                })
                .collect();
            Array::from_scalars(DType::I64, shape, items)
        }
        Op::ArgSort { axis, descending } => {
            let less = |a: Scalar, b: Scalar| {
                !element::is_nan(a) && (element::is_nan(b) || element::compare(crate::CompareOp::Lt, a, b))
            };
            along(x[0], DType::I64, *axis, &|row| {
                let mut places: Vec<usize> = (0..row.len()).collect();
                places.sort_by(|&i, &j| {
                    let (a, b) = if *descending { (row[j], row[i]) } else { (row[i], row[j]) };
                    match (less(a, b), less(b, a)) {
                        (true, _) => std::cmp::Ordering::Less,
                        (_, true) => std::cmp::Ordering::Greater,
                        _ => std::cmp::Ordering::Equal,
                    }
                });
                places.into_iter().map(|i| Scalar::I64(i as i64)).collect()
            })
        }
        Op::Recurrence { axis, reverse } => recurrence(x[0], x[1], *axis, *reverse),
        Op::Check(message) => match x[1].get(0) {
            Scalar::Bool(true) => x[0].clone(),
            _ => return Err(message.to_string()),
        },
        Op::Input
        | Op::Const(_)
        | Op::Extent(_)
        | Op::Iota(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select
        | Op::Cast(_)
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Reduce { .. }
        | Op::Matmul
        | Op::AddMatmul
        | Op::Barrier(_)
        | Op::Scan(_)
        | Op::Fusion(_) => unreachable!("bug in this library: {} places nothing", op.name()),
    })
}

/// The places in `x[0]` that the indices `x[1]` along `axis` name.
fn indexed(name: &str, axis: usize, x: &[&Array]) -> Result<Vec<usize>, String> {
    let n = x[0].shape[axis];
    let mut places = Vec::new();
    for (at, mut i) in indices(&x[1].shape).enumerate() {
        match x[1].get(at) {
            Scalar::I64(place) if (0..n as i64).contains(&place) => i[axis] = place as usize,
            other => return Err(format!("{name}: index {other:?} does not lie in axis {axis} of {n}")),
        }
        places.push(flat(&i, &x[0].shape));
    }
    Ok(places)
}

/// The elements along `axis` at `outer` on the other axes.
fn row(x: &Array, axis: usize, outer: &[usize]) -> Vec<Scalar> {
    let mut index = outer.to_vec();
    index.insert(axis, 0);
    (0..x.shape[axis])
        .map(|i| {
            index[axis] = i;
            x.get(flat(&index, &x.shape))
        })
        .collect()
}

/// Every row along `axis` turned into another one of the same length.
fn along(x: &Array, dtype: DType, axis: usize, f: &dyn Fn(&[Scalar]) -> Vec<Scalar>) -> Array {
    let mut shape = x.shape.clone();
    shape.remove(axis);
    let rows: HashMap<Vec<usize>, Vec<Scalar>> =
        indices(&shape).map(|outer| (outer.clone(), f(&row(x, axis, &outer)))).collect();
    let items: Vec<Scalar> = indices(&x.shape)
        .map(|mut i| {
            let place = i.remove(axis);
            rows[&i][place]
        })
        .collect();
    Array::from_scalars(dtype, x.shape.clone(), items)
}

/// `r[0] = b[0]`, `r[i] = a[i] * r[i-1] + b[i]`; an f32 chain is carried in f64.
fn recurrence(a: &Array, b: &Array, axis: usize, reverse: bool) -> Array {
    let wide = if a.dtype() == DType::F32 { DType::F64 } else { a.dtype() };
    let mut shape = a.shape.clone();
    shape.remove(axis);
    let mut rows: HashMap<Vec<usize>, Vec<Scalar>> = HashMap::new();
    for outer in indices(&shape) {
        let (mut a, mut b) = (row(a, axis, &outer), row(b, axis, &outer));
        if reverse {
            a.reverse();
            b.reverse();
        }
        let mut out: Vec<Scalar> = Vec::new();
        let mut carry = None;
        for (a, b) in a.into_iter().zip(b) {
            let (a, b) = (element::cast(a, wide), element::cast(b, wide));
            let next = match carry {
                None => b,
                Some(r) => element::binary(crate::BinaryOp::Add, element::binary(crate::BinaryOp::Mul, a, r), b),
            };
            carry = Some(next);
            out.push(next);
        }
        if reverse {
            out.reverse();
        }
        rows.insert(outer, out);
    }
    let items: Vec<Scalar> = indices(&a.shape)
        .map(|mut i| {
            let place = i.remove(axis);
            element::cast(rows[&i][place], a.dtype())
        })
        .collect();
    Array::from_scalars(a.dtype(), a.shape.clone(), items)
}

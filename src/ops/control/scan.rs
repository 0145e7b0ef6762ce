//! `scan`: a loop over the first axis of tensors, which stacks what each iteration gives.

use super::super::tree::{TensorTree, flat};
use super::backward::{CapturedEdges, LoopBackward, Recorded, TripCount, types_of};
use super::body::{Body, run_body};
use super::owned;
use crate::error::{Error, Result, called, must};
use crate::mode;
use crate::mode::recorder::loops::{Iterations, ScanSpec};
use crate::mode::sizes::{demand_equal, is_zero};
use crate::tensor::{Size, Tensor, eval};

/// Runs `carry, y[t] = body(carry, xs[t])` for t = 0, 1, …, and gives the last carry and all y stacked along a new
/// first axis. `xs` have one common first axis, over which the loop goes; the body may capture any tensor.
///
/// ```
/// use allotrope::prelude::*;
/// let xs = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
/// let (total, partial) = scan(Tensor::scalar(0.0f32), xs, |sum, x| {
///     let sum = &sum + &x;
///     (sum.clone(), sum)
/// });
/// assert_eq!((total.item::<f32>(), partial.to_vec::<f32>()), (6.0, vec![1.0, 3.0, 6.0]));
/// ```
///
/// # Panics
/// When there are no xs, their first axes differ or are empty, or a carry changes its shape or dtype.
#[track_caller]
pub fn scan<C: TensorTree, X: TensorTree, Y: TensorTree>(carry: C, xs: X, body: impl FnMut(C, X) -> (C, Y)) -> (C, Y) {
    must(scan_tree(carry, xs, false, body))
}

/// As [`scan`], from the last element to the first; `y[t]` still belongs to `xs[t]`.
///
/// # Panics
/// As [`scan`].
#[track_caller]
pub fn scan_reverse<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    body: impl FnMut(C, X) -> (C, Y),
) -> (C, Y) {
    must(scan_tree(carry, xs, true, body))
}

/// As [`scan`].
///
/// # Errors
/// Where that panics; a panic of the body propagates.
#[track_caller]
pub fn try_scan<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    body: impl FnMut(C, X) -> (C, Y),
) -> Result<(C, Y)> {
    called(scan_tree(carry, xs, false, body))
}

/// As [`scan_reverse`].
///
/// # Errors
/// Where that panics; a panic of the body propagates.
#[track_caller]
pub fn try_scan_reverse<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    body: impl FnMut(C, X) -> (C, Y),
) -> Result<(C, Y)> {
    called(scan_tree(carry, xs, true, body))
}

fn scan_tree<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    reverse: bool,
    mut body: impl FnMut(C, X) -> (C, Y),
) -> Result<(C, Y)> {
    let mut template = None;
    let (carries, ys) = scan_flat(flat(&carry), flat(&xs), reverse, &mut |c, x| {
        let (c, y) = body(carry.unflatten(&mut c.iter().cloned()), xs.unflatten(&mut x.iter().cloned()));
        let out = (flat(&c), flat(&y));
        template.get_or_insert(y);
        out
    })?;
    let y = template.expect("the body has run").unflatten(&mut ys.into_iter());
    Ok((carry.unflatten(&mut carries.into_iter()), y))
}

fn scan_flat(
    carries: Vec<Tensor>,
    xs: Vec<Tensor>,
    reverse: bool,
    body: Body<'_>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let length = common_length(&xs)?;
    let mut runs = Vec::new();
    let (finals, ys, recorded) = match mode::loops::recorder() {
        Some(r) => {
            let iterations = Iterations::All(length);
            let inner = r.scan_begin(&ScanSpec { carries: &carries, xs: &xs, iterations, reverse, mirror: None })?;
            let (new_carries, ys) = match run_body("scan", &inner.carries, &inner.xs, &xs, body) {
                Ok((new_carries, ys, run)) => {
                    runs.extend(run);
                    (new_carries, ys)
                }
                Err(e) => {
                    r.scan_abandon();
                    return Err(e);
                }
            };
            let (finals, ys) = r.scan_end(&new_carries, &ys)?;
            (finals, ys, Some(Recorded { scope: inner.scope, trip_count: TripCount::All(length) }))
        }
        None => {
            let mut current: Vec<Tensor> = carries.iter().map(Tensor::alias).collect();
            let mut rows: Vec<Vec<Tensor>> = Vec::new();
            for i in 0..length.hint() {
                let t = if reverse { length.hint() - 1 - i } else { i };
                let elements = xs.iter().map(|x| eval::element(x, t)).collect::<Result<Vec<_>>>()?;
                let (new, ys, run) = run_body("scan", &current, &elements, &xs, body)?;
                runs.extend(run);
                current = new;
                if i == 0 && !ys.is_empty() {
                    eval::affords(length.hint().saturating_mul(ys.len()))?;
                }
                rows.resize_with(ys.len(), Vec::new);
                rows.iter_mut().zip(ys).for_each(|(row, y)| row.push(y));
            }
            if reverse {
                rows.iter_mut().for_each(|row| row.reverse());
            }
            let ys = rows.iter().enumerate().map(|(k, row)| stacked(k, row)).collect::<Result<Vec<_>>>()?;
            drop(rows);
            (owned(current)?, ys, None)
        }
    };
    if !runs.is_empty() {
        let captured = CapturedEdges::of(runs.iter().flat_map(|s| &s.captured));
        let backward = LoopBackward {
            op: "scan",
            runs,
            captured,
            carries: types_of(&carries),
            xs: xs.len(),
            ys: ys.len(),
            reverse,
            may_be_empty: false,
            recorded,
        };
        let inputs: Vec<&Tensor> = carries.iter().chain(&xs).collect();
        let results: Vec<&Tensor> = finals.iter().chain(&ys).collect();
        backward.record("ScanBackward", &inputs, &results);
    }
    Ok((finals, ys))
}

/// The rows of one of the ys as one tensor.
fn stacked(k: usize, rows: &[Tensor]) -> Result<Tensor> {
    let first = &rows[0];
    if let Some(t) = rows.iter().position(|r| r.dtype() != first.dtype() || r.shape_hint() != first.shape_hint()) {
        return Err(Error::operands(
            "scan",
            format!(
                "output {k} is {}{:?} in one iteration and {}{:?} in another (iteration {t})",
                first.dtype(),
                first.shape_hint(),
                rows[t].dtype(),
                rows[t].shape_hint()
            ),
        ));
    }
    eval::stacked(rows)
}

fn common_length(xs: &[Tensor]) -> Result<Size> {
    let fail = |message: String| Err(Error::operands("scan", message));
    let Some(first) = xs.first() else { return fail("needs at least one tensor to go over".into()) };
    if let Some(x) = xs.iter().find(|x| x.dim() == 0) {
        return fail(format!("a tensor of shape {:?} has no axis to go over", x.shape_hint()));
    }
    let length = first.sizes()[0];
    for x in &xs[1..] {
        if !demand_equal(length, x.sizes()[0]) {
            return fail(format!(
                "the first axes must be equal, got {:?} and {:?}",
                first.shape_hint(),
                x.shape_hint()
            ));
        }
    }
    if is_zero(length) {
        return fail(format!("the sequence is empty (shape {:?}); it needs at least one element", first.shape_hint()));
    }
    Ok(length)
}

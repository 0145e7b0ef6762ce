//! `while_loop`: a loop that runs while a tensor is true. How often is known only when it has run, so in a trace the loop
//! counts its iterations, and the loop of the backward pass runs as often.

use super::super::tree::{TensorTree, flat};
use super::backward::{CapturedEdges, LoopBackward, Recorded, TripCount, types_of};
use super::body::{Body, changed, run_body, versions};
use super::{condition, owned};
use crate::autograd::{is_grad_enabled, no_grad};
use crate::error::{Error, Result, called, must};
use crate::mode;
use crate::mode::recorder::LoopRecorder;
use crate::mode::recorder::loops::{Iterations, ScanSpec};
use crate::mode::values::full_of;
use crate::tensor::Tensor;
use allotrope_ir::Scalar;

/// Runs `carry = body(carry)` as long as `cond(carry)` is true, evaluated before each iteration, and gives the last carry:
/// PyTorch's `while_loop`. `cond` gives a bool tensor of one element, and is not differentiated; both may
/// capture any tensor. Carries keep dtype and shape.
///
/// In a trace both are recorded once, and one compilation serves every number of iterations, none included.
///
/// ```
/// use allotrope::prelude::*;
/// // Newton's method for the square root of 2.
/// let (root, _) = while_loop(
///     |(_, step)| step.abs().gt(1e-12),
///     |(x, _)| {
///         let step = (&x * &x - 2.0) / (&x * 2.0);
///         (x - &step, step)
///     },
///     (Tensor::scalar(1.0f64), Tensor::scalar(1.0f64)),
/// );
/// assert!((root.item::<f64>() - 2f64.sqrt()).abs() < 1e-12);
/// ```
///
/// # Gradient
/// The backward pass goes through the iterations from the last to the first. Captured tensors have a gradient even where
/// there was no iteration: zeros (-0.0, the identity of addition). To find them, a body that did not run is evaluated
/// abstractly in eager mode too, where gradients are enabled: it is recorded once and computes nothing, so it must not read
/// elements.
///
/// # Panics
/// As [`try_while_loop`] fails.
#[track_caller]
pub fn while_loop<C: TensorTree>(cond: impl FnMut(C) -> Tensor, body: impl FnMut(C) -> C, carry: C) -> C {
    must(try_while_loop(cond, body, carry))
}

/// As [`while_loop`].
///
/// # Errors
/// When nothing is carried, the condition is not a bool of one element, a carry changes its shape or dtype, `cond` or
/// `body` changes its carry in place, and in a trace where `body` changes a captured tensor in place or draws random
/// numbers. A panic of `cond` or `body` propagates.
#[track_caller]
pub fn try_while_loop<C: TensorTree>(
    mut cond: impl FnMut(C) -> Tensor,
    mut body: impl FnMut(C) -> C,
    carry: C,
) -> Result<C> {
    let again = |from: &[Tensor]| carry.unflatten(&mut from.iter().cloned());
    let finals = while_flat(flat(&carry), &mut |c| cond(again(c)), &mut |c, _| (flat(&body(again(c))), Vec::new()));
    let finals = called(finals)?;
    Ok(carry.unflatten(&mut finals.into_iter()))
}

type Ask<'a> = &'a mut dyn FnMut(&[Tensor]) -> Tensor;

const OP: &str = "while_loop";

/// Carries that a recorded loop has before those of the program: whether to go on, and the number of iterations so far.
const OWN: usize = 2;

fn while_flat(carries: Vec<Tensor>, ask: Ask<'_>, body: Body<'_>) -> Result<Vec<Tensor>> {
    if carries.is_empty() {
        return Err(Error::operands(OP, "carries nothing, so its condition could never change"));
    }
    let inputs: Vec<&Tensor> = carries.iter().collect();
    if let Some(r) = mode::loops::recorder() {
        let (finals, backward) = record(r.as_ref(), &carries, ask, body)?;
        if let Some(backward) = backward {
            backward.record("WhileLoopBackward", &inputs, &finals.iter().collect::<Vec<_>>());
        }
        return Ok(finals);
    }
    let (mut any, mut runs) = (false, Vec::new());
    let wanted = inputs.iter().any(|x| x.is_requires_grad());
    let mut current: Vec<Tensor> = carries.iter().map(Tensor::alias).collect();
    while asked(&current, ask)?.try_item::<bool>()? {
        let (new, _, run) = run_body(OP, &current, &[], &[], body)?;
        // Iterations before the first that uses anything with a gradient have no part in the backward pass.
        runs.extend(run.filter(|run| wanted || !runs.is_empty() || !run.captured.is_empty()));
        (any, current) = (true, new);
    }
    let finals = owned(current)?;
    if is_grad_enabled() {
        let captured = match any {
            true => CapturedEdges::of(runs.iter().flat_map(|s| &s.captured)),
            false => {
                let recorded = mode::evaluate_abstractly(|| match mode::loops::recorder() {
                    Some(r) => record(r.as_ref(), &carries, ask, body).map(|(_, backward)| backward),
                    None => Ok(None),
                });
                recorded?.map(|backward| backward.captured).unwrap_or_default()
            }
        };
        let backward = loop_backward(runs, captured, &carries, None);
        backward.record("WhileLoopBackward", &inputs, &finals.iter().collect::<Vec<_>>());
    }
    Ok(finals)
}

fn loop_backward(
    runs: Vec<super::body::BodyRun>,
    captured: CapturedEdges,
    carries: &[Tensor],
    recorded: Option<Recorded>,
) -> LoopBackward {
    LoopBackward {
        op: OP,
        runs,
        captured,
        carries: types_of(carries),
        xs: 0,
        ys: 0,
        reverse: false,
        may_be_empty: true,
        recorded,
    }
}

/// Whether there is another iteration.
fn asked(carries: &[Tensor], ask: Ask<'_>) -> Result<Tensor> {
    let given: Vec<Tensor> = carries.iter().map(Tensor::alias).collect();
    let before = versions(given.iter());
    let flag = no_grad(|| ask(&given));
    if let Some(i) = changed(&before, given.iter()) {
        return Err(Error::operands(OP, format!("the condition changed carry {i} in place; use the plain operation")));
    }
    condition(OP, &flag)
}

fn record(
    r: &dyn LoopRecorder,
    carries: &[Tensor],
    ask: Ask<'_>,
    body: Body<'_>,
) -> Result<(Vec<Tensor>, Option<LoopBackward>)> {
    let mut all = vec![asked(carries, ask)?, full_of(&[], Scalar::I64(0))?];
    all.extend_from_slice(carries);
    let spec = ScanSpec { carries: &all, xs: &[], iterations: Iterations::While, reverse: false, mirror: None };
    let inner = r.scan_begin(&spec)?;
    let mut recorded = || {
        let (new, _, run) = run_body(OP, &inner.carries[OWN..], &[], &[], body)?;
        let mut all = vec![asked(&new, ask)?, no_grad(|| inner.carries[1].try_add(1))?];
        all.extend(new);
        Ok((all, run))
    };
    let (new, run) = match recorded() {
        Ok(recorded) => recorded,
        Err(e) => {
            r.scan_abandon();
            return Err(e);
        }
    };
    let (mut own, _) = r.scan_end(&new, &[])?;
    let finals = own.split_off(OWN);
    let backward = run.map(|run| {
        let n = own.pop().expect("the number of iterations is carried");
        let recorded = Recorded { scope: inner.scope, trip_count: TripCount::Count { n, limit: inner.limit } };
        let captured = CapturedEdges::of(run.captured.iter());
        loop_backward(vec![run], captured, carries, Some(recorded))
    });
    Ok((finals, backward))
}

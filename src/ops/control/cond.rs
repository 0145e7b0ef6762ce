//! `cond`: one of two branches, chosen by a tensor. In a trace both are recorded, and a call computes the one that is taken.

use super::super::tree::{TensorTree, flat};
use super::backward::{CapturedEdges, no_second_derivative, run_backward, trace_ended};
use super::body::{BodyRun, run_branch, same_type, shown};
use super::{condition, owned};
use crate::autograd::{is_grad_enabled, no_grad, tape};
use crate::error::{Error, Result, called, must};
use crate::mode;
use crate::mode::recorder::LoopRecorder;
use crate::mode::recorder::loops::{Iterations, ScanSpec};
use crate::mode::values::full_of;
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Scalar};
use std::sync::Arc;

/// `true_fn(operands)` where `pred`, a bool tensor of one element, is true, else `false_fn(operands)`: PyTorch's `cond`.
/// Both give the same number of tensors, of the same dtypes and shapes, and may capture any tensor.
///
/// In a trace both are recorded and each call computes the branch that is taken, and only that: what the other one would
/// give (NaN, an index out of range, a loop without end) is not seen.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![3.0f32, 4.0], &[2]);
/// let norm = (&x * &x).sum().sqrt();
/// let clipped = cond(&norm.gt(1.0), |x: Tensor| &x / &norm, |x| x, x.clone());
/// assert_eq!(clipped.to_vec::<f32>(), [0.6, 0.8]);
/// ```
///
/// # Gradient
/// That of the branch that was taken. Every operand, and every tensor that either branch captures, has a gradient: zeros
/// (-0.0, the identity of addition) where the branch taken gave none. To find the captured tensors, the branch not taken is
/// evaluated abstractly in eager mode too, where gradients are enabled: it is recorded and computes nothing, so it must fit
/// the operands and must not read elements.
///
/// # Panics
/// As [`try_cond`] fails.
#[track_caller]
pub fn cond<X: TensorTree, Y: TensorTree>(
    pred: &Tensor,
    true_fn: impl FnOnce(X) -> Y,
    false_fn: impl FnOnce(X) -> Y,
    operands: X,
) -> Y {
    must(try_cond(pred, true_fn, false_fn, operands))
}

/// As [`cond`].
///
/// # Errors
/// When `pred` is not a bool of one element, the branches give different numbers of tensors, dtypes or shapes, or a branch
/// changes an operand in place; in a trace also where a branch changes a captured tensor in place or draws random
/// numbers. A panic of a branch propagates.
#[track_caller]
pub fn try_cond<X: TensorTree, Y: TensorTree>(
    pred: &Tensor,
    true_fn: impl FnOnce(X) -> Y,
    false_fn: impl FnOnce(X) -> Y,
    operands: X,
) -> Result<Y> {
    let mut structure = None;
    let mut run = |f: &mut dyn FnMut(X) -> Y, given: &[Tensor]| {
        let y = f(operands.unflatten(&mut given.iter().cloned()));
        let tensors = flat(&y);
        structure = Some(y);
        tensors
    };
    let (mut true_fn, mut false_fn) = (once(true_fn), once(false_fn));
    let given = flat(&operands);
    let results = cond_flat(pred, &given, &mut |taken, given| match taken {
        true => run(&mut true_fn, given),
        false => run(&mut false_fn, given),
    });
    let results = called(results)?;
    Ok(structure.expect("a branch has run").unflatten(&mut results.into_iter()))
}

fn once<X, Y>(f: impl FnOnce(X) -> Y) -> impl FnMut(X) -> Y {
    let mut f = Some(f);
    move |x| f.take().expect("bug in allotrope: a branch ran twice")(x)
}

const OP: &str = "cond";

/// Runs the branch for true or for false.
type Branches<'a> = &'a mut dyn FnMut(bool, &[Tensor]) -> Vec<Tensor>;

fn cond_flat(pred: &Tensor, operands: &[Tensor], branches: Branches<'_>) -> Result<Vec<Tensor>> {
    let flag = condition(OP, pred)?;
    if let Some(r) = mode::loops::recorder() {
        return record(r.as_ref(), &flag, operands, branches);
    }
    let taken = flag.try_item::<bool>()?;
    if !is_grad_enabled() {
        return owned(run_branch(OP, operands, &mut |x| branches(taken, x))?.0);
    }
    // First, so that nothing has been computed where recording it fails.
    let (other, untaken) = mode::evaluate_abstractly(|| {
        let n = full_of(&[], Scalar::I64(0))?;
        if let Some(r) = mode::loops::recorder() {
            let iterations = Iterations::Count { n: &n, limit: Size::from(1) };
            r.scan_begin(&ScanSpec { carries: &[], xs: &[], iterations, reverse: false, mirror: None })?;
        }
        run_branch(OP, operands, &mut |x| branches(!taken, x))
    })?;
    let (results, run) = run_branch(OP, operands, &mut |x| branches(taken, x))?;
    let results = owned(results)?;
    // In the order of a trace, which does not know which branch is taken.
    let (first, second) = if taken { (&results, &other) } else { (&other, &results) };
    same_results(first, second)?;
    let both = if taken { [&run.captured, &untaken.captured] } else { [&untaken.captured, &run.captured] };
    let captured = CapturedEdges::of(both.into_iter().flatten());
    CondBackward { captured, ran: Ran::Eagerly(run) }.record(&results);
    Ok(results)
}

/// That both branches give the same dtypes and shapes.
fn same_results(if_true: &[Tensor], if_false: &[Tensor]) -> Result<()> {
    let fail = |message: String| Err(Error::operands(OP, message));
    if if_true.len() != if_false.len() {
        return fail(format!(
            "the branches must give as many tensors, the first gives {} and the second {}",
            if_true.len(),
            if_false.len()
        ));
    }
    match if_true.iter().zip(if_false).position(|(a, b)| !same_type(a, b)) {
        None => Ok(()),
        Some(i) => fail(format!(
            "result {i} must have one dtype and shape, the first branch gives {} and the second {}",
            shown(&if_true[i]),
            shown(&if_false[i])
        )),
    }
}

/// A branch runs once or not at all, so it is recorded as a loop of as many iterations. The second loop starts from the
/// results of the first.
fn record(r: &dyn LoopRecorder, flag: &Tensor, operands: &[Tensor], branches: Branches<'_>) -> Result<Vec<Tensor>> {
    let taped = is_grad_enabled();
    let counts = no_grad(|| Ok::<_, Error>([flag.try_to(DType::I64)?, flag.try_logical_not()?.try_to(DType::I64)?]))?;
    let mut results: Option<Vec<Tensor>> = None;
    let (mut runs, mut scopes) = (Vec::new(), Vec::new());
    for (n, which) in counts.iter().zip([true, false]) {
        let iterations = Iterations::Count { n, limit: Size::from(1) };
        let inner = r.scan_begin(&ScanSpec { carries: &[], xs: &[], iterations, reverse: false, mirror: None })?;
        let recorded = run_branch(OP, operands, &mut |x| branches(which, x)).and_then(|(given, run)| {
            results.iter().try_for_each(|first| same_results(first, &given))?;
            Ok((given, run))
        });
        let (given, run) = match recorded {
            Ok(recorded) => recorded,
            Err(e) => {
                r.scan_abandon();
                return Err(e);
            }
        };
        results = Some(r.branch_end(&given, results.as_deref())?);
        runs.push(run);
        scopes.push(inner.scope);
    }
    let results = results.expect("two branches");
    if taped {
        let captured = CapturedEdges::of(runs.iter().flat_map(|s| &s.captured));
        let branches = runs.into_iter().zip(scopes).zip(counts).map(|((run, scope), n)| (run, scope, n)).collect();
        CondBackward { captured, ran: Ran::Recorded(branches) }.record(&results);
    }
    Ok(results)
}

/// What the backward pass needs.
struct CondBackward {
    captured: CapturedEdges,
    ran: Ran,
}

enum Ran {
    /// The branch that was taken.
    Eagerly(BodyRun),
    /// Both, with the names of their bodies and how often they run.
    Recorded(Vec<(BodyRun, u64, Tensor)>),
}

impl CondBackward {
    fn record(self, results: &[Tensor]) {
        if self.captured.len() == 0 {
            return;
        }
        let edges = self.captured.edges().collect();
        let node = tape::node("CondBackward", edges, true, move |_, grads| self.backward(grads));
        for (i, y) in results.iter().enumerate() {
            if y.dtype().is_float() {
                y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
            }
        }
    }

    fn backward(&self, grads: &[Option<Tensor>]) -> Result<Grads> {
        no_second_derivative(OP)?;
        let mut sums = self.captured.nothing()?;
        let branches = match &self.ran {
            Ran::Recorded(branches) => branches,
            Ran::Eagerly(run) => {
                for (place, g) in run_backward(run, &self.captured, &[], &padded(grads, run))?.captured {
                    sums[place] = g.unwrap_or_else(|| sums[place].clone());
                }
                return Ok(sums.into_iter().map(Some).collect());
            }
        };
        let r = mode::loops::recorder().ok_or_else(|| trace_ended(OP))?;
        for (run, scope, n) in branches {
            let iterations = Iterations::Count { n, limit: Size::from(1) };
            let inner =
                r.scan_begin(&ScanSpec { carries: &sums, xs: &[], iterations, reverse: false, mirror: Some(*scope) })?;
            let found = match run_backward(run, &self.captured, &[], &padded(grads, run)) {
                Ok(found) => found,
                Err(e) => {
                    r.scan_abandon();
                    return Err(e);
                }
            };
            let mut new = inner.carries.clone();
            for (place, g) in found.captured {
                new[place] = g.unwrap_or_else(|| new[place].clone());
            }
            sums = r.scan_end(&new, &[])?.0;
        }
        Ok(sums.into_iter().map(Some).collect())
    }
}

/// A gradient, or none, for each result.
fn padded(grads: &[Option<Tensor>], run: &BodyRun) -> Vec<Option<Tensor>> {
    (0..run.ys.len()).map(|i| grads.get(i).cloned().flatten()).collect()
}

//! One run of the body of a loop, or of a branch, on a tape of its own. Captured tensors enter this tape through boundary
//! nodes, so each run has a backward pass of its own. How often a body runs, and in which order, is not decided here.

use crate::autograd::scope::{self, Boundary};
use crate::autograd::{is_grad_enabled, tape};
use crate::error::{Error, Result};
use crate::mode::sizes::demand_equal;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;

/// A loop's body: carries and elements of the xs in, new carries and elements of the ys out.
pub(super) type Body<'a> = &'a mut dyn FnMut(&[Tensor], &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>);

/// What the backward pass needs of one run.
pub(super) struct BodyRun {
    pub(super) carries: Vec<Option<Edge>>,
    pub(super) xs: Vec<Option<Edge>>,
    pub(super) captured: Vec<Boundary>,
    pub(super) new_carries: Vec<Option<Edge>>,
    pub(super) ys: Vec<Option<Edge>>,
}

/// Runs the body of a loop once on its own tape; gives new carries and ys without history, and, where gradients are
/// enabled, what the backward pass needs. `whole_xs` are what the `xs` are elements of.
pub(super) fn run_body(
    op: &'static str,
    carries: &[Tensor],
    xs: &[Tensor],
    whole_xs: &[Tensor],
    body: Body<'_>,
) -> Result<(Vec<Tensor>, Vec<Tensor>, Option<BodyRun>)> {
    let taped = is_grad_enabled();
    let input = |x: &Tensor, wanted: bool| -> (Tensor, Option<Edge>) {
        let x = x.alias();
        if !(wanted && taped && x.dtype().is_float()) {
            return (x, None);
        }
        let edge = scope::input_edge();
        x.set_grad_fn(Some(edge.clone()));
        (x, Some(edge))
    };
    let ((carry_edges, x_edges, new, ys, changed), captured) = scope::run(|| {
        let (c, carry_edges): (Vec<_>, Vec<_>) = carries.iter().map(|x| input(x, true)).unzip();
        let (x, x_edges): (Vec<_>, Vec<_>) =
            xs.iter().zip(whole_xs).map(|(x, whole)| input(x, whole.is_requires_grad())).unzip();
        let before = versions(c.iter().chain(&x));
        let (new, ys) = body(&c, &x);
        let changed = changed(&before, c.iter().chain(&x));
        (carry_edges, x_edges, with_edges(new, taped), with_edges(ys, taped), changed)
    });
    if let Some(i) = changed {
        let what =
            if i < carries.len() { format!("carry {i}") } else { format!("element of input {}", i - carries.len()) };
        return Err(Error::operands(
            op,
            format!(
                "the body changed {what} in place, which belongs to the iteration before or to the caller; use the plain operation"
            ),
        ));
    }
    let (new, new_edges): (Vec<Tensor>, Vec<_>) = new.into_iter().unzip();
    let (ys, y_edges): (Vec<Tensor>, Vec<_>) = ys.into_iter().unzip();
    if new.len() != carries.len() {
        return Err(Error::operands(op, format!("{} carries went in, {} came out", carries.len(), new.len())));
    }
    for (i, (old, new)) in carries.iter().zip(&new).enumerate() {
        if !same_type(old, new) {
            return Err(Error::operands(
                op,
                format!("carry {i} goes in as {} and comes out as {}", shown(old), shown(new)),
            ));
        }
    }
    let run = BodyRun { carries: carry_edges, xs: x_edges, captured, new_carries: new_edges, ys: y_edges };
    Ok((new, ys, taped.then_some(run)))
}

/// Runs a branch on its own tape. Its results, without history, are the ys of the run; every operand that requires a
/// gradient counts as captured.
pub(super) fn run_branch(
    op: &'static str,
    operands: &[Tensor],
    body: &mut dyn FnMut(&[Tensor]) -> Vec<Tensor>,
) -> Result<(Vec<Tensor>, BodyRun)> {
    let taped = is_grad_enabled();
    let ((results, changed), captured) = scope::run(|| {
        let x: Vec<Tensor> = operands
            .iter()
            .map(|operand| {
                let x = operand.alias();
                if taped && operand.is_requires_grad() {
                    x.set_grad_fn(tape::edge_of(operand));
                }
                x
            })
            .collect();
        let before = versions(x.iter());
        let results = body(&x);
        (with_edges(results, taped), changed(&before, x.iter()))
    });
    if let Some(i) = changed {
        return Err(Error::operands(
            op,
            format!("a branch changed operand {i} in place, which is the caller's; use the plain operation"),
        ));
    }
    let (results, ys) = results.into_iter().unzip();
    Ok((results, BodyRun { carries: Vec::new(), xs: Vec::new(), captured, new_carries: Vec::new(), ys }))
}

/// Whether two tensors have one dtype and shape; a trace holds for calls where they have.
pub(super) fn same_type(a: &Tensor, b: &Tensor) -> bool {
    a.dtype() == b.dtype() && a.dim() == b.dim() && a.sizes().iter().zip(b.sizes()).all(|(a, b)| demand_equal(*a, b))
}

/// Dtype and shape for a message.
pub(super) fn shown(x: &Tensor) -> String {
    format!("{}{:?}", x.dtype(), x.shape_hint())
}

fn with_edges(tensors: Vec<Tensor>, taped: bool) -> Vec<(Tensor, Option<Edge>)> {
    tensors.into_iter().map(|t| (t.alias(), if taped { tape::edge_of(&t) } else { None })).collect()
}

pub(super) fn versions<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Vec<u32> {
    tensors.map(Tensor::version).collect()
}

/// The first of the tensors that has been changed in place since `before`.
pub(super) fn changed<'a>(before: &[u32], tensors: impl Iterator<Item = &'a Tensor>) -> Option<usize> {
    before.iter().zip(tensors).position(|(before, t)| *before != t.version())
}

//! `checkpoint`: a function saves only its inputs, and the backward pass recomputes it, with the random numbers that it drew.
//! In a trace both computations are recorded, and stay two: the inputs of the second are behind a barrier that no pass sees
//! through.

use super::backward::sum;
use super::tree::TensorTree;
use crate::autograd::engine::{Root, run_part};
use crate::autograd::saved::Saved;
use crate::autograd::scope::{self, Boundary};
use crate::autograd::{enable_grad, is_grad_enabled, tape};
use crate::error::{Error, Result, must};
use crate::mode::recompute;
use crate::mode::recompute::Draws;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::{Edge, Grads};
use smallvec::SmallVec;
use std::sync::Arc;

/// `f(inputs)`, whose intermediate results are not saved but recomputed in the backward pass: less memory for more
/// arithmetic, as `torch.utils.checkpoint`. Tensors that `f` captures, such as parameters, get their gradients too. `f` must
/// do the same both times, so captured tensors must not change in place before the backward pass. Random numbers, those of
/// dropout for instance, are the same both times, as with PyTorch's `preserve_rng_state`: the generators that `f` uses are
/// set back for the recomputation and restored afterwards.
///
/// ```
/// use allotrope::prelude::*;
/// let w = Tensor::full(&[2, 2], 0.5f32).requires_grad();
/// let x = Tensor::ones(&[1, 2], DType::F32).requires_grad();
/// let inner = w.clone();
/// let y = checkpoint(move |x| x[0].matmul(&inner).tanh().matmul(&inner), &[&x]);
/// y.sum().backward();
/// assert!(x.grad().is_some() && w.grad().is_some());
/// ```
///
/// # Panics
/// Where `f` panics.
#[track_caller]
pub fn checkpoint<R: TensorTree>(f: impl Fn(&[Tensor]) -> R + Send + Sync + 'static, inputs: &[&Tensor]) -> R {
    must(try_checkpoint(f, inputs))
}

/// As [`checkpoint`].
///
/// # Errors
/// None of its own; in the backward pass it is an error if `f` did something else the second time. A panic of `f` propagates.
pub fn try_checkpoint<R: TensorTree>(
    f: impl Fn(&[Tensor]) -> R + Send + Sync + 'static,
    inputs: &[&Tensor],
) -> Result<R> {
    if !is_grad_enabled() {
        let inputs: Vec<Tensor> = inputs.iter().map(|x| (*x).clone()).collect();
        return Ok(f(&inputs));
    }
    let own: Vec<Option<Edge>> = inputs.iter().map(|x| tape::own_edge(x)).collect();
    let borrowed: Vec<Tensor> = inputs.iter().map(|x| (*x).clone()).collect();
    let (run, drawn) = recompute::recording_draws(|| Run::of(&f, &borrowed, &own, false));
    // The tape of this run is freed here; the recomputation finds what it captured through these edges.
    let Run { tree, results, captured, .. } = run;
    let on_tape = own.iter().any(Option::is_some) || !captured.is_empty();
    let results: Vec<Tensor> = results.iter().map(Tensor::alias).collect();
    if on_tape {
        let boundary = |b: &Boundary| Some(scope::inside(b.external.clone(), b.dtype, || b.sizes.clone()));
        let edges = inputs.iter().map(|x| tape::edge_of(x)).chain(captured.iter().map(boundary)).collect();
        let saved: Vec<Saved> = inputs.iter().map(|x| Saved::operand(x)).collect();
        let captured: Vec<Edge> = captured.into_iter().map(|b| b.external).collect();
        let node = tape::node("CheckpointBackward", edges, true, move |c, grads| {
            let inputs = saved.iter().map(|s| s.get(c.me)).collect::<Result<Vec<Tensor>>>()?;
            recompute_backward(&f, &inputs, &own, &captured, &drawn, grads)
        });
        for (i, y) in results.iter().enumerate().filter(|(_, y)| y.dtype().is_float()) {
            y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
        }
    }
    Ok(tree.unflatten(&mut results.into_iter()))
}

/// One run of `f`, on a tape of its own.
struct Run<R> {
    tree: R,
    results: Vec<Tensor>,
    /// Of the results.
    ends: Vec<Option<Edge>>,
    /// Of the inputs.
    starts: Vec<Option<Edge>>,
    captured: Vec<Boundary>,
}

impl<R: TensorTree> Run<R> {
    /// `own` are the edges of the inputs. Where `linked`, the tape of this run is connected with the enclosing one.
    fn of(f: &impl Fn(&[Tensor]) -> R, inputs: &[Tensor], own: &[Option<Edge>], linked: bool) -> Run<R> {
        let ((tree, results, ends, starts), captured) = scope::run_linked(linked, || {
            let mut starts = Vec::new();
            let mut args = Vec::new();
            for (x, edge) in inputs.iter().zip(own) {
                let x = x.alias();
                let start = edge.clone().map(|e| if linked { scope::linked_edge(e) } else { scope::input_edge() });
                x.set_grad_fn(start.clone());
                args.push(x);
                starts.push(start);
            }
            let tree = f(&args);
            let mut results = Vec::new();
            tree.flatten(&mut results);
            let ends = results.iter().map(tape::edge_of).collect();
            (tree, results, ends, starts)
        });
        Run { tree, results, ends, starts, captured }
    }
}

/// Whether an edge leads to a leaf that nobody has but the tape: one that `f` made for itself, to take a gradient inside.
fn is_own_leaf(edge: &Edge) -> bool {
    // The node of the leaf holds it, and so does whoever asks here.
    edge.node().seq() == 0 && edge.node().leaf().is_some_and(|t| t.holders() <= 2)
}

/// Gradients of the inputs and of captured tensors, by recomputing `f`.
fn recompute_backward<R: TensorTree>(
    f: &impl Fn(&[Tensor]) -> R,
    inputs: &[Tensor],
    own: &[Option<Edge>],
    captured: &[Edge],
    drawn: &Draws,
    grads: &[Option<Tensor>],
) -> Result<Grads> {
    // For a derivative of this derivative, the recomputed run must be connected with the history of its inputs.
    let run = recompute::recompute(drawn, || enable_grad_keeping(|linked| Run::of(f, inputs, own, linked)));
    let of = |i: usize| grads.get(i).cloned().flatten();
    let roots: Vec<Root> = (run.ends.iter().enumerate())
        .filter_map(|(i, edge)| Some(Root { edge: edge.clone()?, gradient: of(i)? }))
        .collect();
    let inside = run.captured.iter().map(|b| &b.inside);
    let targets: Vec<Edge> = run.starts.iter().flatten().chain(inside).cloned().collect();
    let mut found = run_part(roots, &targets, sum)?.into_iter();
    let mut all: Grads = SmallVec::new();
    for start in &run.starts {
        all.push(start.as_ref().and_then(|_| found.next().flatten()));
    }
    all.resize(inputs.len() + captured.len(), None);
    // The tape goes here, and with it leaves that `f` made.
    let Run { captured: used, .. } = { run };
    let mut own_leaves = captured.iter().filter(|e| is_own_leaf(e)).count();
    for (b, gradient) in used.iter().zip(found) {
        let same = |e: &Edge| e.id() == b.external.id() && e.output == b.external.output;
        match captured.iter().position(same) {
            Some(i) => all[inputs.len() + i] = gradient,
            // It makes others each time.
            None if own_leaves > 0 && is_own_leaf(&b.external) => own_leaves -= 1,
            None => {
                return Err(Error::autograd(
                    "checkpoint: when it was recomputed, the function used a tensor that it had not used before; it must do the same each time",
                ));
            }
        }
    }
    Ok(all)
}

/// Runs `f` with gradients enabled, and tells it whether they were enabled already.
fn enable_grad_keeping<T>(f: impl FnOnce(bool) -> T) -> T {
    let linked = is_grad_enabled();
    enable_grad(|| f(linked))
}

//! `checkpoint`: a part of the program keeps only its inputs, and is computed again on the way back, with the random
//! numbers that it drew. In a trace both computations are recorded, and stay two: what the second begins with is behind a
//! barrier that no pass sees through.

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

/// `f(inputs)`, whose intermediate results are not kept for the derivative but computed again when it is asked for:
/// less memory for more arithmetic, as `torch.utils.checkpoint`. Tensors that `f` uses from outside, such as parameters,
/// get their gradients too. `f` must do the same again: tensors from outside are not changed in place before the way back
/// is over. Random numbers, those of dropout for instance, are the same again, as with PyTorch's `preserve_rng_state`:
/// generators that `f` uses are put back for it, and afterwards go on from where they were.
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
/// None of its own so far; on the way back it is an error that `f` did something else the second time. A panic of `f`
/// goes on.
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
    let (part, drawn) = recompute::recording_draws(|| Part::run(&f, &borrowed, &own, false));
    // The tape of the part goes with this; what it used from outside is met again through these edges.
    let Part { tree, results, outside, .. } = part;
    let noted = own.iter().any(Option::is_some) || !outside.is_empty();
    let results: Vec<Tensor> = results.iter().map(Tensor::alias).collect();
    if noted {
        let boundary = |b: &Boundary| Some(scope::inside(b.external.clone(), b.dtype, || b.sizes.clone()));
        let edges = inputs.iter().map(|x| tape::edge_of(x)).chain(outside.iter().map(boundary)).collect();
        let saved: Vec<Saved> = inputs.iter().map(|x| Saved::operand(x)).collect();
        let outside: Vec<Edge> = outside.into_iter().map(|b| b.external).collect();
        let node = tape::node("CheckpointBackward", edges, true, move |c, grads| {
            let inputs = saved.iter().map(|s| s.get(c.me)).collect::<Result<Vec<Tensor>>>()?;
            walk_back(&f, &inputs, &own, &outside, &drawn, grads)
        });
        for (i, y) in results.iter().enumerate().filter(|(_, y)| y.dtype().is_float()) {
            y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
        }
    }
    Ok(tree.unflatten(&mut results.into_iter()))
}

/// One computation of `f`, on a tape of its own.
struct Part<R> {
    tree: R,
    results: Vec<Tensor>,
    /// Of the results.
    ends: Vec<Option<Edge>>,
    /// Of the inputs.
    starts: Vec<Option<Edge>>,
    outside: Vec<Boundary>,
}

impl<R: TensorTree> Part<R> {
    /// `own` are the edges of the inputs. Where `linked`, the part is tied to the graph around it.
    fn run(f: &impl Fn(&[Tensor]) -> R, inputs: &[Tensor], own: &[Option<Edge>], linked: bool) -> Part<R> {
        let ((tree, results, ends, starts), outside) = scope::run_linked(linked, || {
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
        Part { tree, results, ends, starts, outside }
    }
}

/// Gradients of the inputs and of what is used from outside, by computing the part again.
fn walk_back<R: TensorTree>(
    f: &impl Fn(&[Tensor]) -> R,
    inputs: &[Tensor],
    own: &[Option<Edge>],
    outside: &[Edge],
    drawn: &Draws,
    grads: &[Option<Tensor>],
) -> Result<Grads> {
    // For a derivative of this derivative, the part computed again must lead on to where its inputs came from.
    let part = recompute::recompute(drawn, || enable_grad_keeping(|linked| Part::run(f, inputs, own, linked)));
    let of = |i: usize| grads.get(i).cloned().flatten();
    let roots: Vec<Root> = (part.ends.iter().enumerate())
        .filter_map(|(i, edge)| Some(Root { edge: edge.clone()?, gradient: of(i)? }))
        .collect();
    let inside = part.outside.iter().map(|b| &b.inside);
    let targets: Vec<Edge> = part.starts.iter().flatten().chain(inside).cloned().collect();
    let mut found = run_part(roots, &targets, sum)?.into_iter();
    let mut all: Grads = SmallVec::new();
    for start in &part.starts {
        all.push(start.as_ref().and_then(|_| found.next().flatten()));
    }
    all.resize(inputs.len() + outside.len(), None);
    for (b, gradient) in part.outside.iter().zip(found) {
        let same = |e: &Edge| e.id() == b.external.id() && e.output == b.external.output;
        match outside.iter().position(same) {
            Some(i) => all[inputs.len() + i] = gradient,
            None => {
                return Err(Error::Autograd(
                    "checkpoint: recomputed, the function used a tensor that it had not used before; it must do the same each time".into(),
                ));
            }
        }
    }
    Ok(all)
}

/// Runs `f` with its operations noted, and tells it whether they would have been anyway.
fn enable_grad_keeping<T>(f: impl FnOnce(bool) -> T) -> T {
    let linked = is_grad_enabled();
    enable_grad(|| f(linked))
}

//! Operators that are composed of others and are one node of the tape, as they are in PyTorch: their parts are on a tape of
//! their own, which that node holds. No derivative is written here.

use super::backward::sum;
use super::flat_in;
use super::gradient_layout::GradientLayout;
use super::movement::copied;
use super::results::unlinked;
use crate::autograd::engine::{Root, run_part};
use crate::autograd::gradient_names::has_function;
use crate::autograd::saved::{Saved, changing, is_changing};
use crate::autograd::tape::Edges;
use crate::autograd::{is_grad_enabled, scope, tape};
use crate::error::Result;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::{Edge, Grads};
use smallvec::SmallVec;
use std::sync::Arc;

/// What PyTorch's node keeps for its derivative: what it refuses to find changed in place.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Keeps {
    Operand(usize),
    Result(usize),
    /// A tensor that no program gets at. It is freed after the backward pass as the others are.
    Hidden,
}

/// The results of `compute`, which are those of one node with this name. The operands come to it as tensors with a history
/// that ends at the node; whatever else it uses must need no gradient.
///
/// # Errors
/// As `compute` fails.
pub(crate) fn single_node(
    name: &'static str,
    operands: &[&Tensor],
    keeps: &[Keeps],
    compute: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    one_node(name, operands, keeps, GradientLayout::of(name, operands), compute)
}

fn one_node(
    name: &'static str,
    operands: &[&Tensor],
    keeps: &[Keeps],
    layout: GradientLayout,
    compute: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    if !is_grad_enabled() || !operands.iter().any(|x| x.is_requires_grad()) {
        let operands: Vec<Tensor> = operands.iter().map(|x| (*x).clone()).collect();
        return compute(&operands)?.iter().map(|y| apart(y, &operands)).collect();
    }
    let (mut edges, mut starts, mut inner) = (Edges::new(), Vec::new(), Vec::new());
    let mut changed = None;
    for x in operands {
        let edge = tape::operand_edge(x)?;
        let start = edge.clone().map(scope::linked_edge);
        inner.push(match &start {
            None => (*x).clone(),
            Some(start) => {
                let inside = x.alias();
                inside.set_grad_fn(Some(start.clone()));
                inside
            }
        });
        if is_changing(x) {
            changed = inner.last().cloned();
        }
        edges.push(edge);
        starts.push(start);
    }
    let results = match &changed {
        Some(x) => changing(x, || compute(&inner))?,
        None => compute(&inner)?,
    };
    let results = results.iter().map(|y| apart(y, &inner)).collect::<Result<Vec<Tensor>>>()?;
    let ends: Vec<Option<Edge>> = results.iter().map(tape::edge_of).collect();
    let results: Vec<Tensor> = results.iter().map(|y| y.alias()).collect();
    let kept: Vec<Saved> = keeps
        .iter()
        .filter_map(|kept| match *kept {
            // What is about to be changed was copied where it is needed.
            Keeps::Operand(i) if is_changing(operands[i]) => None,
            Keeps::Operand(i) => Some(Saved::operand(operands[i])),
            Keeps::Result(i) => Some(Saved::output(&results[i], i as u32)),
            Keeps::Hidden => None,
        })
        .collect();
    let has_history: Vec<bool> = ends.iter().map(Option::is_some).collect();
    // Which of what is kept is which operand.
    let at: SmallVec<[usize; 4]> =
        (0..operands.len()).map(|i| kept_at(keeps, operands, i).unwrap_or(usize::MAX)).collect();
    let node = tape::node(name, edges, !keeps.is_empty(), move |c, grads| {
        let kept = kept.iter().map(|kept| kept.get(c.me)).collect::<Result<SmallVec<[Tensor; 3]>>>()?;
        let roots =
            ends.iter().zip(grads).filter_map(|(edge, g)| Some(Root { edge: edge.clone()?, gradient: g.clone()? }));
        let targets: Vec<Edge> = starts.iter().flatten().cloned().collect();
        let mut found = run_part(roots.collect(), &targets, sum)?.into_iter();
        let is_group_norm = name == "NativeGroupNormBackward0";
        let depends = is_grad_enabled() && (has_function(name) || is_group_norm);
        let on = kept.iter().find(|x| depends && x.is_requires_grad());
        let mut next = |(i, start): (usize, &Option<Edge>)| {
            let Some(gradient) = start.as_ref().and_then(|_| found.next().flatten()) else { return Ok(None) };
            let gradient = match on {
                // PyTorch's of the bias is a sum of what is given.
                Some(_) if is_group_norm && i != 1 => gradient,
                Some(x) => flat_in(gradient, x)?,
                None => gradient,
            };
            match &grads[0] {
                Some(given) => layout.apply(gradient, i, given, kept.get(at[i])).map(Some),
                None => Ok(Some(gradient)),
            }
        };
        starts.iter().enumerate().map(&mut next).collect::<Result<Grads>>()
    });
    for (i, y) in results.iter().enumerate().filter(|(i, _)| has_history[*i]) {
        y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
    }
    Ok(results)
}

/// As [`single_node`], of one result.
///
/// # Errors
/// As `compute` fails.
pub(crate) fn single(
    name: &'static str,
    operands: &[&Tensor],
    keeps: &[Keeps],
    compute: impl FnOnce(&[Tensor]) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut results = single_node(name, operands, keeps, |x| Ok(vec![compute(x)?]))?;
    Ok(results.pop().expect("one result"))
}

/// As [`single`], with gradients that lie so.
///
/// # Errors
/// As `compute` fails.
pub(crate) fn single_laid_out(
    name: &'static str,
    operands: &[&Tensor],
    keeps: &[Keeps],
    layout: GradientLayout,
    compute: impl FnOnce(&[Tensor]) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut results = one_node(name, operands, keeps, layout, |x| Ok(vec![compute(x)?]))?;
    Ok(results.pop().expect("one result"))
}

/// As [`single_node`], of two results.
///
/// # Errors
/// As `compute` fails.
pub(crate) fn pair(
    name: &'static str,
    operands: &[&Tensor],
    keeps: &[Keeps],
    compute: impl FnOnce(&[Tensor]) -> Result<(Tensor, Tensor)>,
) -> Result<(Tensor, Tensor)> {
    let mut results = single_node(name, operands, keeps, |x| compute(x).map(|(a, b)| vec![a, b]))?;
    let second = results.pop().expect("two results");
    Ok((results.pop().expect("two results"), second))
}

/// Where operand `i` is among what is kept: what is about to change is not.
fn kept_at(keeps: &[Keeps], operands: &[&Tensor], i: usize) -> Option<usize> {
    let is_kept = |kept: &&Keeps| match **kept {
        Keeps::Operand(i) => !is_changing(operands[i]),
        Keeps::Result(_) => true,
        Keeps::Hidden => false,
    };
    keeps.iter().filter(is_kept).position(|kept| *kept == Keeps::Operand(i))
}

/// A result, copied where it shows elements of an operand: operators that are one node give no views.
fn apart(y: &Tensor, operands: &[Tensor]) -> Result<Tensor> {
    match operands.iter().any(|x| y.shares_elements_of(x)) {
        true => copied("CloneBackward0", y),
        false => Ok(unlinked(y)),
    }
}

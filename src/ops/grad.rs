//! `grad`: gradients as values, accumulated nowhere.

use super::backward::{edges_of, implied, root, sum};
use crate::autograd::engine::{self, Root};
use crate::autograd::with_grad_enabled;
use crate::error::{Error, Result, called};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;

/// Options of [`grad_with`]: what `torch.autograd.grad` takes by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct GradOptions<'a> {
    /// The gradient of each output, in order; none at a place where the output has one element and the gradient is 1.
    /// No list means none at every place.
    pub grad_outputs: &'a [Option<&'a Tensor>],
    /// Saved tensors are kept, so that another backward pass can use the graph; `create_graph` keeps them as well.
    pub retain_graph: bool,
    /// The gradients are recorded, so that they can be differentiated themselves.
    pub create_graph: bool,
    /// An input that no output depends on has no gradient, instead of being an error.
    pub allow_unused: bool,
    /// An input that no output depends on has a gradient of zeros; it may be unused then.
    pub materialize_grads: bool,
}

/// Gradients of the sum of `outputs` with respect to `inputs`, none where an output does not depend on the input.
/// Nothing is accumulated. With `create_graph` the gradients can be differentiated themselves, and the graph is kept;
/// without it, the saved tensors are freed. [`grad_with`] has everything that PyTorch's has.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![3.0f32], &[1]).requires_grad();
/// let y = &(&x * &x) * &x;
/// let first = grad(&[&y], &[&x], true).unwrap();
/// let second = grad(&[first[0].as_ref().unwrap()], &[&x], false).unwrap();
/// assert_eq!(second[0].as_ref().unwrap().to_vec::<f32>(), [18.0]);
/// ```
///
/// # Errors
/// When an output needs no gradient, an input needs none, the graph's saved tensors were freed by an earlier backward pass, or a value that
/// a derivative needs was changed in place.
#[track_caller]
pub fn grad(outputs: &[&Tensor], inputs: &[&Tensor], create_graph: bool) -> Result<Vec<Option<Tensor>>> {
    let roots = called(outputs.iter().map(|y| root(y, &y.try_ones_like()?)).collect::<Result<Vec<Root>>>())?;
    let targets = called(edges_of(inputs, "grad()"))?;
    called(run(roots, &targets, create_graph, create_graph))
}

/// As [`grad`], with options. An input that no output depends on is an error unless the options allow it.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
/// let g = Tensor::from_vec(vec![10.0f32, 1.0], &[2]);
/// let how = GradOptions { grad_outputs: &[Some(&g)], ..GradOptions::default() };
/// let found = grad_with(&[&(&x * &x)], &[&x], how)?;
/// assert_eq!(found[0].as_ref().unwrap().to_vec::<f32>(), [20.0, 4.0]);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// As [`grad`]; when an output has more than one element and no gradient, a gradient has another shape or dtype than its
/// output, or an input is unused.
#[track_caller]
pub fn grad_with(outputs: &[&Tensor], inputs: &[&Tensor], how: GradOptions<'_>) -> Result<Vec<Option<Tensor>>> {
    called(gradients(outputs, inputs, how))
}

fn gradients(outputs: &[&Tensor], inputs: &[&Tensor], how: GradOptions<'_>) -> Result<Vec<Option<Tensor>>> {
    let given = how.grad_outputs;
    if !given.is_empty() && given.len() != outputs.len() {
        return Err(Error::autograd(format!(
            "grad: {} outputs and {} gradients of outputs; there must be one each, or none at all",
            outputs.len(),
            given.len()
        )));
    }
    let of = |(i, y): (usize, &&Tensor)| match given.get(i).copied().flatten() {
        Some(gradient) => root(y, gradient),
        None => root(y, &implied("grad_outputs", y)?),
    };
    let roots = outputs.iter().enumerate().map(of).collect::<Result<Vec<Root>>>()?;
    let targets = edges_of(inputs, "grad()")?;
    let mut found = run(roots, &targets, how.retain_graph || how.create_graph, how.create_graph)?;
    for (i, (slot, x)) in found.iter_mut().zip(inputs).enumerate().filter(|(_, (g, _))| g.is_none()) {
        if how.materialize_grads {
            let zeros = x.try_zeros_like()?;
            *slot = Some(if how.create_graph { zeros.requires_grad() } else { zeros });
        } else if !how.allow_unused {
            return Err(Error::autograd(format!(
                "input {i} of grad(), {}{:?}, appears to not have been used in the graph; set allow_unused if that is meant",
                x.dtype(),
                x.shape_hint()
            )));
        }
    }
    Ok(found)
}

fn run(roots: Vec<Root>, targets: &[Edge], keep: bool, create_graph: bool) -> Result<Vec<Option<Tensor>>> {
    with_grad_enabled(create_graph, || {
        let wanted = |root: &Root| create_graph && root.gradient.is_requires_grad();
        let given: Vec<Tensor> = roots.iter().filter(|r| wanted(r)).map(|r| r.gradient.clone()).collect();
        let (mut found, retained) = engine::run_to_targets(roots, targets, keep, sum)?;
        if !given.is_empty() {
            for slot in &mut found {
                *slot = slot.take().map(|g| engine::given_back(g, &given));
            }
        }
        retained.into_iter().try_for_each(|(x, gradient)| super::backward::accumulate(&x, gradient))?;
        Ok(found)
    })
}

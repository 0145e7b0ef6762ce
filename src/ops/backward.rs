//! `backward`: accumulates gradients into leaves. The backward pass itself is `autograd`'s; sums of gradients are operations
//! like any other, so they are recorded in a trace.

use super::assign::shows_hidden;
use crate::autograd::engine::{self, Root};
use crate::autograd::tape::Edges;
use crate::autograd::{is_grad_enabled, tape, with_grad_enabled};
use crate::error::{Error, Result, called, must};
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::{Size, Tensor};

/// Options of [`Tensor::backward_with`]: what `torch.Tensor.backward` takes by name.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
/// let y = &x * &x;
/// let g = Tensor::ones(&[2], DType::F32);
/// y.backward_with(Backward { gradient: Some(&g), retain_graph: true, ..Backward::default() });
/// y.backward_from(&g);
/// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [4.0, 8.0]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Backward<'a> {
    /// The gradient of this tensor; without it the tensor must have one element, and the gradient is 1.
    pub gradient: Option<&'a Tensor>,
    /// Saved tensors are kept, so that another backward pass can use the graph; `create_graph` keeps them as well.
    pub retain_graph: bool,
    /// The gradients are recorded, so that they can be differentiated themselves.
    pub create_graph: bool,
    /// The tensors to accumulate into, leaves or not; none named means every leaf that is reached.
    pub inputs: &'a [&'a Tensor],
}

impl Tensor {
    /// Accumulates the gradient of this tensor into the `grad` of every leaf that it was computed from. The saved
    /// tensors are freed, so a graph serves one backward pass; [`Tensor::backward_with`] can keep it.
    ///
    /// # Panics
    /// As [`Tensor::try_backward`] fails.
    #[track_caller]
    pub fn backward(&self) {
        must(self.try_backward());
    }

    /// As [`Tensor::backward`].
    ///
    /// # Errors
    /// When it has more than one element (then say from which gradient to start: [`Tensor::backward_from`]), needs no
    /// gradient, the graph's saved tensors were freed by an earlier backward pass, or a value that a derivative needs was changed in place.
    /// No gradient is accumulated then.
    #[track_caller]
    pub fn try_backward(&self) -> Result<()> {
        self.try_backward_with(Backward::default())
    }

    /// As [`Tensor::backward`], starting from the gradient of this tensor (same shape and dtype).
    ///
    /// # Panics
    /// As [`Tensor::try_backward_from`] fails.
    #[track_caller]
    pub fn backward_from(&self, gradient: &Tensor) {
        must(self.try_backward_from(gradient));
    }

    /// As [`Tensor::try_backward`], starting from the gradient of this tensor.
    ///
    /// # Errors
    /// As [`Tensor::try_backward`], and when shape or dtype differ.
    #[track_caller]
    pub fn try_backward_from(&self, gradient: &Tensor) -> Result<()> {
        self.try_backward_with(Backward { gradient: Some(gradient), ..Backward::default() })
    }

    /// As [`Tensor::backward`], with options.
    ///
    /// # Panics
    /// As [`Tensor::try_backward_with`] fails.
    #[track_caller]
    pub fn backward_with(&self, how: Backward<'_>) {
        must(self.try_backward_with(how));
    }

    /// As [`Tensor::backward_with`].
    ///
    /// # Errors
    /// As [`Tensor::try_backward`], when the gradient has another shape or dtype, or an input needs no gradient.
    #[track_caller]
    pub fn try_backward_with(&self, how: Backward<'_>) -> Result<()> {
        called(self.run_backward(how))
    }

    fn run_backward(&self, how: Backward<'_>) -> Result<()> {
        let root = match how.gradient {
            Some(gradient) => root(self, gradient)?,
            None => root(self, &implied("backward_from(&gradient)", self)?)?,
        };
        let keep = how.retain_graph || how.create_graph;
        with_grad_enabled(how.create_graph, || {
            let found = match how.inputs {
                [] => engine::run_to_leaves(vec![root], keep, sum)?,
                inputs => {
                    let targets = edges_of(inputs, "backward()")?;
                    let (gradients, mut all) = engine::run_to_targets(vec![root], &targets, keep, sum)?;
                    // One that is named and keeps its gradient anyway gets it once.
                    all.retain(|(t, _)| !inputs.iter().any(|x| x.is_same(t)));
                    let named = inputs.iter().enumerate().filter(|(i, x)| !inputs[..*i].iter().any(|y| y.is_same(x)));
                    all.extend(named.zip(gradients).filter_map(|((_, x), g)| Some(((*x).clone(), g?))));
                    all
                }
            };
            found.into_iter().try_for_each(|(x, gradient)| accumulate(&x, gradient))
        })
    }

    /// The same elements without history: no gradient flows through the result.
    pub fn detach(&self) -> Tensor {
        self.alias()
    }

    /// Takes this tensor out of the graph that made it: it becomes a leaf that needs no gradient.
    ///
    /// # Panics
    /// Where [`Tensor::try_detach_`] fails.
    #[track_caller]
    pub fn detach_(&self) -> &Tensor {
        must(self.try_detach_())
    }

    /// As [`Tensor::detach_`].
    ///
    /// # Errors
    /// When it is a view, whose history is that of what it shows, and for a captured tensor in a loop that is recorded.
    #[track_caller]
    pub fn try_detach_(&self) -> Result<&Tensor> {
        // One of something that nobody has is a view in PyTorch, too.
        if self.is_view() || self.grad_fn().as_ref().is_some_and(shows_hidden) {
            let text = "detach_: a view can't be taken out of the graph of what it shows; use detach()";
            return called(Err(Error::argument(text)));
        }
        if self.is_requires_grad() {
            called(self.history_changes())?;
        }
        self.set_grad_fn(None);
        Ok(self)
    }
}

/// Adds a gradient to that of `x`, and runs the hooks that wait for it. The gradient of a leaf is changed in place, as PyTorch does, unless
/// sums of gradients are recorded.
pub(super) fn accumulate(x: &Tensor, gradient: Tensor) -> Result<()> {
    if !x.is_requires_grad() {
        // It has been told so since.
        return Ok(());
    }
    match x.grad() {
        Some(old) if x.is_leaf() && !is_grad_enabled() => {
            old.try_add_(&gradient)?;
        }
        Some(old) => x.set_grad(Some(sum(&old, &gradient)?)),
        None => x.set_grad(Some(engine::own(gradient, x)?)),
    }
    if x.is_leaf()
        && let Some(hooks) = x.leaf_hooks(false)
    {
        hooks.run_accumulated(x);
    }
    Ok(())
}

/// The sum of two gradients of one tensor.
pub(crate) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.try_add(b)
}

/// The implied gradient, 1, of a tensor of one element.
pub(super) fn implied(instead: &str, output: &Tensor) -> Result<Tensor> {
    let one = Size::from(1);
    match (0..output.dim()).all(|i| output.has_size(i, one)) {
        true => output.try_ones_like(),
        false => Err(Error::autograd(format!(
            "a gradient is implied only for one element, the shape is {:?}; use {instead}",
            output.shape_hint()
        ))),
    }
}

/// The edges of tensors that gradients are asked for.
pub(super) fn edges_of(inputs: &[&Tensor], whose: &str) -> Result<Vec<crate::tensor::grad_fn::Edge>> {
    let edge = |(i, x): (usize, &&Tensor)| match tape::operand_edge(x)? {
        Some(edge) => Ok(edge),
        // A view that was taken where nothing was recorded: nothing is computed from it as far as the tape knows.
        None if x.is_requires_grad() => {
            Ok(Edge::new(tape::node("View", Edges::new(), false, |_, _| Ok(Grads::new())), 0))
        }
        None => Err(Error::autograd(format!("input {i} of {whose} needs no gradient; call requires_grad()"))),
    };
    inputs.iter().enumerate().map(edge).collect()
}

/// Where a backward pass begins.
pub(super) fn root(output: &Tensor, gradient: &Tensor) -> Result<Root> {
    let Some(edge) = tape::operand_edge(output)? else {
        return Err(Error::autograd(
            "the tensor needs no gradient: it was computed from no tensor that requires one, or under no_grad",
        ));
    };
    if gradient.dtype() != output.dtype() || !gradient.same_shape(output) {
        return Err(Error::autograd(format!(
            "the gradient must be {}{:?} as the tensor is, got {}{:?}",
            output.dtype(),
            output.shape_hint(),
            gradient.dtype(),
            gradient.shape_hint()
        )));
    }
    Ok(Root { edge, gradient: gradient.clone() })
}

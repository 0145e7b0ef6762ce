//! `backward` and `grad`: what users ask of the tape. The walk itself is `autograd`'s; sums of gradients are operations
//! as any other, so they are recorded in a trace.

use crate::autograd::engine::{self, Root};
use crate::autograd::{enable_grad, no_grad, tape};
use crate::error::{Error, Result, must};
use crate::tensor::{Size, Tensor};

impl Tensor {
    /// Accumulates the gradient of this tensor into the `grad` of every leaf that it was computed from.
    ///
    /// # Panics
    /// As [`Tensor::try_backward`] fails.
    #[track_caller]
    pub fn backward(&self) {
        must(self.try_backward());
    }

    /// Accumulates the gradient of this tensor into the `grad` of every leaf that it was computed from.
    ///
    /// # Errors
    /// When it has more than one element (then say from which gradient to start: [`Tensor::backward_from`]), needs no
    /// gradient, or a value that a derivative needs was changed in place. No gradient is accumulated then.
    pub fn try_backward(&self) -> Result<()> {
        let one = Size::from(1);
        if !(0..self.dim()).all(|i| self.has_size(i, one)) {
            return Err(Error::Autograd(format!(
                "a gradient is implied only for one element, the shape is {:?}; use backward_from(&gradient)",
                self.shape_hint()
            )));
        }
        self.try_backward_from(&self.ones_like())
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
    pub fn try_backward_from(&self, gradient: &Tensor) -> Result<()> {
        let root = root(self, gradient)?;
        let leaves = no_grad(|| engine::run_to_leaves(vec![root], sum))?;
        no_grad(|| {
            for (leaf, gradient) in leaves {
                let sum = match leaf.grad() {
                    Some(old) => &old + &gradient,
                    None => engine::own(gradient)?,
                };
                leaf.set_grad(Some(sum));
            }
            Ok(())
        })
    }

    /// The same elements without history: no gradient flows through the result.
    pub fn detach(&self) -> Tensor {
        self.alias()
    }
}

/// Gradients of the sum of `outputs` with respect to `inputs`, none where an output does not depend on the input.
/// Nothing is accumulated. With `create_graph` the gradients can be differentiated again.
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
/// When an output needs no gradient, an input needs none, or a value that a derivative needs was changed in place.
pub fn grad(outputs: &[&Tensor], inputs: &[&Tensor], create_graph: bool) -> Result<Vec<Option<Tensor>>> {
    let roots = outputs.iter().map(|y| root(y, &y.ones_like())).collect::<Result<Vec<Root>>>()?;
    let targets = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| {
            tape::edge_of(x)
                .ok_or_else(|| Error::Autograd(format!("input {i} of grad() needs no gradient; call requires_grad()")))
        })
        .collect::<Result<Vec<_>>>()?;
    let run = || engine::run_to_targets(roots, &targets, sum);
    if create_graph { enable_grad(run) } else { no_grad(run) }
}

/// The sum of two gradients of one tensor.
pub(super) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.try_add(b)
}

fn root(output: &Tensor, gradient: &Tensor) -> Result<Root> {
    let Some(edge) = tape::edge_of(output) else {
        return Err(Error::Autograd(
            "the tensor needs no gradient: it was computed from no tensor that requires one, or under no_grad".into(),
        ));
    };
    if gradient.dtype() != output.dtype() || !gradient.same_shape(output) {
        return Err(Error::Autograd(format!(
            "the gradient must be {}{:?} as the tensor is, got {}{:?}",
            output.dtype(),
            output.shape_hint(),
            gradient.dtype(),
            gradient.shape_hint()
        )));
    }
    Ok(Root { edge, gradient: gradient.clone() })
}

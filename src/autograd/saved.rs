//! A tensor that a derivative needs, kept with the number of in-place changes that it had, so that a later change is
//! noticed instead of giving a wrong gradient.

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;

/// An operand or a result that is kept for the backward walk.
pub(crate) struct Saved {
    tensor: Tensor,
    version: u32,
    /// Which result of the node itself this is: its own node can't be held without a circle.
    output: Option<u32>,
}

impl Saved {
    pub(crate) fn operand(x: &Tensor) -> Saved {
        Saved { tensor: x.clone(), version: x.version(), output: None }
    }

    /// The result `output` of the node that keeps it.
    pub(crate) fn output(y: &Tensor, output: u32) -> Saved {
        Saved { tensor: y.alias(), version: y.version(), output: Some(output) }
    }

    /// The tensor; `me` is the edge to the node that keeps it.
    ///
    /// # Errors
    /// When it was changed in place meanwhile.
    pub(crate) fn get(&self, me: &Edge) -> Result<Tensor> {
        let now = self.tensor.version();
        if now != self.version {
            return Err(Error::Autograd(format!(
                "{} needs a tensor of shape {:?} that was changed in place since: it is at version {now}, the forward pass saw {}",
                me.node().name(),
                self.tensor.shape_hint(),
                self.version
            )));
        }
        let Some(output) = self.output.filter(|_| super::is_grad_enabled()) else {
            return Ok(self.tensor.clone());
        };
        let y = self.tensor.alias();
        y.set_grad_fn(Some(me.to_output(output)));
        Ok(y)
    }
}

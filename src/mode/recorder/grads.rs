//! What the program asks of gradients and of the history of tensors.

use crate::error::Result;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Edge;

pub(crate) trait GradRecorder {
    /// The program asks what history a traced tensor has: calls where an argument has another run another variant.
    fn history_asked(&self, tensor: &Tensor);
    /// The tape of the program goes on through `edge`, the history of a captured tensor.
    fn history_captured(&self, edge: &Edge, tensor: &Tensor);
    /// Nodes of the tape with a smaller number are not the trace's.
    fn first_seq(&self) -> u64;
    fn grad(&self, tensor: &Tensor) -> Option<Tensor>;
    fn set_grad(&self, tensor: &Tensor, grad: Option<Tensor>);
    /// The program asked whether a captured tensor needs a gradient: calls before which one does otherwise run another variant.
    fn requires_grad_asked(&self, captured: &Tensor);
    /// The program is about to change whether a captured tensor requires a gradient, or to take its history away: it does so to
    /// the tensor itself, which gets back what it had when the recording has ended.
    fn history_changes(&self, captured: &Tensor) -> Result<()>;
    /// The program is about to change an argument or a captured tensor in place by what has a derivative, or that has one before.
    fn becomes_result(&self, changed: &Tensor) -> Result<()>;
    /// The program is about to give a captured view the history that it has after what it shows was changed.
    fn view_seen_again(&self, captured: &Tensor);
    /// The program asked whether the tensor is a view: calls with another answer run another variant.
    fn is_view(&self, tensor: &Tensor) -> bool;
}

//! What the program knows and changes of tensors: their elements, views, versions, layout and identity.

use crate::error::Result;
use crate::tensor::Tensor;
use crate::tensor::handle::Link;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::view_op::ViewOp;
use allotrope_ir::Axes;
use std::sync::Arc;

/// What the program asks of how a tensor lies in memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum LayoutQuestion {
    Contiguous,
    Strides,
    /// The order of its axes.
    Order,
}

pub(crate) trait StateRecorder {
    /// The tensor of which `target` shows elements, and how; itself where it is no view.
    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)>;
    /// `root`, which is no view, has the elements of `value` from here on; `gradient` says whether some of these require one.
    fn assign(&self, root: &Tensor, value: &Tensor, gradient: bool) -> Result<()>;
    /// Another tensor with the elements that this one has now, without history.
    fn copy(&self, tensor: &Tensor) -> Result<Tensor>;
    /// The tensor just recorded is `of` seen through `op` now, or a copy where no strides show that.
    fn note_view(&self, of: &Tensor, result: &Tensor, op: &ViewOp);
    /// The number of a place that a run computes, as it is now.
    fn keep(&self, place: &Tensor) -> Result<usize>;
    /// The place of this number.
    fn kept(&self, number: usize) -> Tensor;
    /// The program asked whether this value, which is no view, lies in row-major order from the first element of its memory on:
    /// calls with another answer run another variant.
    fn begins_memory(&self, of: &Tensor) -> bool;
    /// The program wants more of the memory of this value, which is no view, than the value has: so many elements. An argument, or a
    /// gradient, that has them is to be known by identity, if the recording fails.
    fn memory_wanted(&self, of: &Tensor, elements: usize) -> bool;
    /// The order in memory of the axes of this value, which is no view, where it is computed and lies without gaps: calls with other
    /// strides run another variant.
    fn order_in_memory(&self, of: &Tensor) -> Option<Axes>;
    /// The program asked whether the last step to this tensor has copied elements: calls with another answer run another
    /// variant.
    fn sharing_asked(&self, result: &Tensor);
    /// The tensor just recorded is a copy of `of` in row-major order, or `of` itself, which lies so already.
    fn note_contiguous(&self, of: &Tensor, result: &Tensor);
    /// In-place changes of the tensor so far, those of the trace included.
    fn version(&self, tensor: &Tensor) -> u32;
    /// The program asked how this value lies in memory: calls with another answer run another variant.
    fn layout_asked(&self, of: &Tensor, question: LayoutQuestion);
    /// The program goes on in the order in which a copy of this value would lie that keeps its order in memory: calls with
    /// another order run another variant.
    fn order_asked(&self, of: &Tensor);
    /// `result`, which an operation has made, lying as the rule says for these operands.
    fn laid_out(&self, result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor>;
    /// Whether two handles mean one tensor of the caller's: calls with another answer run another variant.
    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool;
    /// The tensor, which shows the captured elements of another, was made by the program.
    fn note_new(&self, alias: &Tensor, of: &Tensor);
    /// Whether it was.
    fn is_new(&self, tensor: &Tensor) -> bool;
}

//! What the program knows and changes of tensors: their elements, views, versions, layout and identity.

use crate::error::Result;
use crate::tensor::Tensor;
use crate::tensor::handle::Link;
use std::sync::Arc;

pub(crate) trait StateRecorder {
    /// The tensor of which `target` shows elements, and how; itself where it is no view.
    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)>;
    /// `root`, which is no view, has the elements of `value` from here on.
    fn assign(&self, root: &Tensor, value: &Tensor) -> Result<()>;
    /// Another tensor with the elements that this one has now, without history.
    fn copy(&self, tensor: &Tensor) -> Result<Tensor>;
    /// The tensor just recorded is a view now.
    fn note_view(&self, view: &Tensor);
    /// In-place changes of the tensor so far, those of the trace included.
    fn version(&self, tensor: &Tensor) -> u32;
    /// The program asked how this value, or any argument, lies in memory: calls whose arguments lie otherwise run
    /// another variant.
    fn layout_asked(&self, of: Option<&Tensor>);
    /// Whether two handles mean one tensor of the caller's: calls with another answer run another variant.
    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool;
    /// The tensor, which shows the captured elements of another, was made by the program.
    fn note_new(&self, alias: &Tensor, of: &Tensor);
    /// Whether it was.
    fn is_new(&self, tensor: &Tensor) -> bool;
}

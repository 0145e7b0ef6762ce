//! What has names for its tensors, so that who names things needs to know no module.

use super::handle::Tensor;

/// Something that has a name for each of its tensors; every module has for its parameters.
pub trait NamedTensors {
    /// The tensors with their names.
    fn named_tensors(&self) -> Vec<(String, Tensor)>;
}

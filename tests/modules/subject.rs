//! A module of any type under test, with the way to call it.

use crate::case::Case;
use allotrope::nn::Module;
use allotrope::{Result, Tensor};

/// A module and its forward pass, of whatever number of tensors.
pub trait Subject {
    fn module(&self) -> &dyn Module;
    /// The outputs in order, flattened.
    fn call(&self, arguments: &Case<'_>) -> Result<Vec<Tensor>>;
}

/// What a family of classes makes of the arguments of a constructor: none where the class is of another family.
pub type Built = Option<Result<Box<dyn Subject>>>;

struct With<M, F>(M, F);

impl<M: Module, F: Fn(&M, &Case<'_>) -> Result<Vec<Tensor>>> Subject for With<M, F> {
    fn module(&self) -> &dyn Module {
        &self.0
    }
    fn call(&self, arguments: &Case<'_>) -> Result<Vec<Tensor>> {
        (self.1)(&self.0, arguments)
    }
}

/// A module with its call.
pub fn subject<M: Module + 'static>(
    module: Result<M>,
    call: impl Fn(&M, &Case<'_>) -> Result<Vec<Tensor>> + 'static,
) -> Built {
    Some(module.map(|module| Box::new(With(module, call)) as Box<dyn Subject>))
}

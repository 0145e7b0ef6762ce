//! What every optimizer does, whatever its rule. No rule is here.

use super::group::Group;
use crate::error::{Result, must};
use crate::state::Value;
use crate::tensor::Tensor;

/// What every optimizer does.
pub trait Optimizer {
    /// The parameters that it changes, those of the first group first.
    fn parameters(&self) -> &[Tensor];

    /// The parameter groups, with their learning rates. Handles: whoever clones one can still set its learning rate.
    fn groups(&self) -> &[Group];

    /// Changes every parameter that has a gradient.
    fn step(&self);

    /// Computes the loss and the gradients with `closure`, and makes a step: `optimizer.step(closure)` of PyTorch. The closure
    /// forgets the old gradients itself. The result is the loss.
    #[track_caller]
    fn step_with(&self, closure: &mut dyn FnMut() -> Tensor) -> Tensor {
        let loss = closure();
        self.step();
        loss
    }

    /// The learning rate in use, a tensor without axes (f64); that of the first group.
    fn lr(&self) -> &Tensor {
        self.groups()[0].lr()
    }

    /// Forgets the gradients of all parameters.
    fn zero_grad(&self) {
        self.parameters().iter().for_each(|p| p.set_grad(None));
    }

    /// Sets the learning rate of every group; traced steps use it from their next call on, without another compilation.
    /// `groups()[i].set_lr(..)` sets that of one group.
    ///
    /// # Panics
    /// When it is negative or not finite.
    #[track_caller]
    fn set_lr(&self, lr: f64) {
        must(super::group::check_lr("set_lr", lr));
        self.groups().iter().for_each(|g| g.fill_lr(lr));
    }

    /// As [`Optimizer::try_state_dict`].
    ///
    /// # Panics
    /// Inside a trace.
    #[track_caller]
    fn state_dict(&self) -> Value {
        must(self.try_state_dict())
    }

    /// What must be saved to go on later, in the layout of PyTorch's `optimizer.state_dict()`:
    /// `{"state": {0: {"step": .., ..}, ..}, "param_groups": [{"lr": .., "params": [0, ..]}, ..]}`. The tensors are the
    /// optimizer's own, which go on changing: [`Value::copy`] is a picture of now.
    ///
    /// # Errors
    /// Inside a trace, where no number is known yet.
    fn try_state_dict(&self) -> Result<Value>;

    /// Goes on from what [`Optimizer::state_dict`], or PyTorch's optimizer of the same class, gave. Elements are copied in
    /// place, so that compiled traces go on; hyperparameters become the saved ones.
    ///
    /// # Errors
    /// When groups, parameters or shapes are not those of this optimizer, a value is missing or out of its range, and inside a
    /// trace. Nothing is changed then.
    fn load_state_dict(&self, state: &Value) -> Result<()>;
}

/// A boxed optimizer is that optimizer.
impl<O: Optimizer + ?Sized> Optimizer for Box<O> {
    fn parameters(&self) -> &[Tensor] {
        (**self).parameters()
    }
    fn groups(&self) -> &[Group] {
        (**self).groups()
    }
    #[track_caller]
    fn step(&self) {
        (**self).step();
    }
    #[track_caller]
    fn step_with(&self, closure: &mut dyn FnMut() -> Tensor) -> Tensor {
        (**self).step_with(closure)
    }
    fn try_state_dict(&self) -> Result<Value> {
        (**self).try_state_dict()
    }
    fn load_state_dict(&self, state: &Value) -> Result<()> {
        (**self).load_state_dict(state)
    }
}

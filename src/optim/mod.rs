//! Optimizers: rules that change parameters by their gradients. Written with tensor operations only, so a traced
//! step contains them like any other code; all state that changes between steps is kept in tensors.

mod adam;
mod sgd;

pub use adam::{Adam, AdamOptions};
pub use sgd::{Sgd, SgdOptions};

use crate::device::{self, Entered};
use crate::error::{Error, raise};
use crate::tensor::Tensor;

/// What every optimizer does.
pub trait Optimizer {
    /// The parameters that it changes.
    fn parameters(&self) -> &[Tensor];

    /// Changes every parameter that has a gradient.
    fn step(&self);

    /// The learning rate in use, a tensor without axes (f64).
    fn lr(&self) -> &Tensor;

    /// Forgets the gradients of all parameters.
    fn zero_grad(&self) {
        self.parameters().iter().for_each(|p| p.set_grad(None));
    }

    /// Sets the learning rate; traced steps use it from their next call on, without another compilation.
    ///
    /// # Panics
    /// When it is negative or not finite.
    #[track_caller]
    fn set_lr(&self, lr: f64) {
        check_lr("set_lr", lr);
        self.lr().fill_(lr);
    }
}

/// Parameters of an optimizer must be leaves that want gradients.
#[track_caller]
fn checked(name: &str, parameters: Vec<Tensor>, lr: f64) -> Vec<Tensor> {
    if parameters.is_empty() {
        raise(Error::argument(format!("{name}: got no parameters")));
    }
    if let Some(i) = parameters.iter().position(|p| !p.is_leaf() || !p.dtype().is_float()) {
        raise(Error::argument(format!(
            "{name}: parameter {i} is not a floating-point leaf; only tensors made by the user can be optimized"
        )));
    }
    check_lr(name, lr);
    parameters
}

/// What an optimizer makes beside its parameters is where the first of them is, whatever the default device.
fn beside(parameters: &[Tensor]) -> Entered {
    device::enter(parameters[0].device())
}

#[track_caller]
fn check_lr(name: &str, lr: f64) {
    if !(lr >= 0.0 && lr.is_finite()) {
        raise(Error::argument(format!("{name}: the learning rate must be a finite number of at least 0, got {lr}")));
    }
}

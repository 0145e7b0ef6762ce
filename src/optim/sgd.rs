//! Stochastic gradient descent.

use super::{Optimizer, beside, checked};
use crate::autograd::no_grad;
use crate::error::{Error, raise};
use crate::tensor::Tensor;

/// What [`Sgd::with_options`] takes; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq, Default)]
pub struct SgdOptions {
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

/// p ← p - lr · g, with PyTorch's momentum: v ← momentum · v + g, p ← p - lr · v.
pub struct Sgd {
    parameters: Vec<Tensor>,
    velocities: Vec<Tensor>,
    lr: Tensor,
    options: SgdOptions,
}

impl Sgd {
    /// Plain gradient descent.
    ///
    /// # Panics
    /// When there is no parameter, one is not a floating-point leaf, or the learning rate is negative or not finite.
    #[track_caller]
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Sgd {
        Sgd::with_options(parameters, lr, SgdOptions::default())
    }

    /// With momentum or weight decay.
    ///
    /// # Panics
    /// As [`Sgd::new`], and when an option is negative or not finite.
    #[track_caller]
    pub fn with_options(parameters: Vec<Tensor>, lr: f64, options: SgdOptions) -> Sgd {
        let parameters = checked("Sgd", parameters, lr);
        for (name, x) in [("momentum", options.momentum), ("weight_decay", options.weight_decay)] {
            if !(x >= 0.0 && x.is_finite()) {
                raise(Error::argument(format!("Sgd: {name} must be a finite number of at least 0, got {x}")));
            }
        }
        let _entered = beside(&parameters);
        // PyTorch's first velocity is the gradient itself, which zeros before the first step give too.
        let velocities =
            if options.momentum != 0.0 { parameters.iter().map(fresh_zeros).collect() } else { Vec::new() };
        Sgd { parameters, velocities, lr: Tensor::scalar(lr), options }
    }
}

/// Zeros with storage of their own.
pub(super) fn fresh_zeros(p: &Tensor) -> Tensor {
    Tensor::zeros(p.shape_hint(), p.dtype())
}

impl Optimizer for Sgd {
    fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    fn lr(&self) -> &Tensor {
        &self.lr
    }

    #[track_caller]
    fn step(&self) {
        no_grad(|| {
            for (i, p) in self.parameters.iter().enumerate() {
                let Some(mut g) = p.grad() else { continue };
                if self.options.weight_decay != 0.0 {
                    g = &g + p * self.options.weight_decay;
                }
                if let Some(v) = self.velocities.get(i) {
                    v.copy_(&(v * self.options.momentum + &g));
                    g = v.clone();
                }
                p.copy_(&(p - &g * &self.lr));
            }
        });
    }
}

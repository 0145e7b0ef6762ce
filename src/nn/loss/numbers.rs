//! Losses between numbers and numbers, as modules.

use super::losses;
use crate::error::{Result, called, must};
use crate::functional::{
    Reduction, try_gaussian_nll_loss, try_huber_loss, try_l1_loss, try_mse_loss_with, try_poisson_nll_loss,
    try_smooth_l1_loss,
};
use crate::ops::Arg;
use crate::tensor::Tensor;
use allotrope_derive::Module;

losses! {
    /// The absolute differences; see [`l1_loss`](crate::functional::l1_loss).
    L1Loss "L1Loss" {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_l1_loss(input, target, loss.reduction);

    /// The squared differences; see [`mse_loss`](crate::functional::mse_loss).
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
    /// let loss = nn::MseLoss::new().reduction(Reduction::Sum).forward(&x, &x.zeros_like());
    /// assert_eq!(loss.item::<f32>(), 5.0);
    /// ```
    MseLoss "MSELoss" {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_mse_loss_with(input, target, loss.reduction);

    /// Squares of small differences, and large ones as they are; see [`smooth_l1_loss`](crate::functional::smooth_l1_loss).
    SmoothL1Loss "SmoothL1Loss" {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
        /// Where small ends; not negative.
        beta: f64 = 1.0;
    }
    |loss, input, target| try_smooth_l1_loss(input, target, loss.beta, loss.reduction);

    /// Squares of small differences, and large ones as they are; see [`huber_loss`](crate::functional::huber_loss).
    HuberLoss "HuberLoss" {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
        /// Where small ends; above 0.
        delta: f64 = 1.0;
    }
    |loss, input, target| try_huber_loss(input, target, loss.delta, loss.reduction);

    /// The negative log likelihood of counts; see [`poisson_nll_loss`](crate::functional::poisson_nll_loss).
    PoissonNllLoss "PoissonNLLLoss" {
        /// Whether the input is a logarithm.
        log_input: bool = true;
        /// Whether Stirling's terms count.
        full: bool = false;
        /// Added to an input that is no logarithm, before the logarithm.
        eps: f64 = 1e-8;
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_poisson_nll_loss(input, target, loss.log_input, loss.full, loss.eps, loss.reduction);
}

/// The negative log likelihood of normal variables; see [`gaussian_nll_loss`](crate::functional::gaussian_nll_loss).
#[derive(Module)]
#[module(name = "GaussianNLLLoss")]
pub struct GaussianNllLoss {
    #[module(skip)]
    full: bool,
    #[module(skip)]
    eps: f64,
    #[module(skip)]
    reduction: Reduction,
}

impl GaussianNllLoss {
    /// With PyTorch's defaults.
    pub fn new() -> GaussianNllLoss {
        GaussianNllLoss { full: false, eps: 1e-6, reduction: Reduction::Mean }
    }

    /// Whether the constant term counts.
    #[must_use]
    pub fn full(mut self, on: bool) -> GaussianNllLoss {
        self.full = on;
        self
    }

    /// The least variance.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> GaussianNllLoss {
        self.eps = eps;
        self
    }

    /// What becomes of the losses of the elements.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> GaussianNllLoss {
        self.reduction = reduction;
        self
    }

    /// The loss; `var` is a tensor, or one number for all.
    ///
    /// # Panics
    /// Where [`GaussianNllLoss::try_forward`] fails.
    #[track_caller]
    pub fn forward<'a>(&self, input: &Tensor, target: &Tensor, var: impl Into<Arg<'a>>) -> Tensor {
        must(self.try_forward(input, target, var))
    }

    /// As [`GaussianNllLoss::forward`].
    ///
    /// # Errors
    /// When the operands do not fit, or a variance is negative.
    #[track_caller]
    pub fn try_forward<'a>(&self, input: &Tensor, target: &Tensor, var: impl Into<Arg<'a>>) -> Result<Tensor> {
        called(match var.into() {
            Arg::Tensor(var) => try_gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction),
            Arg::Number(var) => input
                .try_full_like(var)
                .and_then(|var| try_gaussian_nll_loss(input, target, &var, self.full, self.eps, self.reduction)),
        })
    }
}

impl Default for GaussianNllLoss {
    fn default() -> GaussianNllLoss {
        GaussianNllLoss::new()
    }
}

//! The loss of connectionist temporal classification, as a module.

use crate::error::{Result, called, must};
use crate::functional::{CtcLossOptions, Lengths, Reduction, try_ctc_loss};
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// How likely sequences of class probabilities spell shorter targets; see [`ctc_loss`](crate::functional::ctc_loss).
///
/// ```
/// use allotrope::prelude::*;
/// let log_probs = randn(&[10, 2, 5]).log_softmax(2);
/// let targets = Tensor::from_vec(vec![1i64, 2, 3, 4, 4, 0], &[2, 3]);
/// let loss = nn::CtcLoss::new().zero_infinity(true).forward(&log_probs, &targets, &[10, 8], &[3, 2]);
/// assert!(loss.item::<f32>() > 0.0);
/// ```
#[derive(Module)]
#[module(name = "CTCLoss")]
pub struct CtcLoss {
    #[module(skip)]
    options: CtcLossOptions,
}

impl CtcLoss {
    /// With PyTorch's defaults.
    pub fn new() -> CtcLoss {
        CtcLoss { options: CtcLossOptions::default() }
    }

    /// The class that spells nothing.
    #[must_use]
    pub fn blank(mut self, class: usize) -> CtcLoss {
        self.options.blank = class;
        self
    }

    /// What becomes of the losses of the samples; the mean is that of the losses over their targets' lengths.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> CtcLoss {
        self.options.reduction = reduction;
        self
    }

    /// Whether a target that cannot be spelt counts as 0 rather than as infinite.
    #[must_use]
    pub fn zero_infinity(mut self, on: bool) -> CtcLoss {
        self.options.zero_infinity = on;
        self
    }

    /// The loss.
    ///
    /// # Panics
    /// Where [`CtcLoss::try_forward`] fails.
    #[track_caller]
    pub fn forward<'a>(
        &self,
        log_probs: &Tensor,
        targets: &Tensor,
        input_lengths: impl Into<Lengths<'a>>,
        target_lengths: impl Into<Lengths<'a>>,
    ) -> Tensor {
        must(self.try_forward(log_probs, targets, input_lengths, target_lengths))
    }

    /// As [`CtcLoss::forward`].
    ///
    /// # Errors
    /// When shapes or dtypes do not fit, a length lies beyond its axis, or a target is not a class.
    #[track_caller]
    pub fn try_forward<'a>(
        &self,
        log_probs: &Tensor,
        targets: &Tensor,
        input_lengths: impl Into<Lengths<'a>>,
        target_lengths: impl Into<Lengths<'a>>,
    ) -> Result<Tensor> {
        called(try_ctc_loss(log_probs, targets, input_lengths, target_lengths, self.options))
    }
}

impl Default for CtcLoss {
    fn default() -> CtcLoss {
        CtcLoss::new()
    }
}

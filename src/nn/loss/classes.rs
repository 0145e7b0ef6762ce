//! Losses of classes and probabilities, as modules.

use super::losses;
use crate::functional::{
    CrossEntropyOptions, KlReduction, NllLossOptions, Reduction, try_binary_cross_entropy,
    try_binary_cross_entropy_with_logits, try_cross_entropy, try_kl_div, try_nll_loss,
};
use allotrope_derive::Module;

losses! {
    /// The cross entropy between logits and classes, or probabilities of classes; see
    /// [`cross_entropy`](crate::functional::cross_entropy).
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let loss = nn::CrossEntropyLoss::new().weight(Tensor::ones(&[3], DType::F32)).label_smoothing(0.1);
    /// let classes = Tensor::from_vec(vec![0i64, 2], &[2]);
    /// let y = loss.forward(&Tensor::zeros(&[2, 3], DType::F32), &classes).item::<f32>();
    /// assert!((y - 3f32.ln()).abs() < 1e-6);
    /// ```
    CrossEntropyLoss "CrossEntropyLoss" [
        /// How much each class counts, `[c]`.
        weight;
    ] {
        /// The target that counts for nothing.
        ignore_index: i64 = -100;
        /// What becomes of the losses of the elements; the mean is weighted.
        reduction: Reduction = Reduction::Mean;
        /// The share of each target that goes to all classes evenly.
        label_smoothing: f64 = 0.0;
    }
    |loss, input, target| {
        let CrossEntropyLoss { weight, ignore_index, reduction, label_smoothing } = loss;
        let (ignore_index, reduction, label_smoothing) = (*ignore_index, *reduction, *label_smoothing);
        try_cross_entropy(input, target, CrossEntropyOptions { weight: weight.as_ref(), ignore_index, reduction, label_smoothing })
    };

    /// The negative log likelihood of classes, given log probabilities; see [`nll_loss`](crate::functional::nll_loss).
    NllLoss "NLLLoss" [
        /// How much each class counts, `[c]`.
        weight;
    ] {
        /// The target that counts for nothing.
        ignore_index: i64 = -100;
        /// What becomes of the losses of the elements; the mean is weighted.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| {
        let options = NllLossOptions { weight: loss.weight.as_ref(), ignore_index: loss.ignore_index, reduction: loss.reduction };
        try_nll_loss(input, target, options)
    };

    /// The divergence of distributions, given log probabilities; see [`kl_div`](crate::functional::kl_div).
    KlDivLoss "KLDivLoss" {
        /// What becomes of the divergences of the elements.
        reduction: KlReduction = KlReduction::Mean;
        /// Whether the target is a logarithm too.
        log_target: bool = false;
    }
    |loss, input, target| try_kl_div(input, target, loss.log_target, loss.reduction);

    /// The cross entropy between probabilities and targets of 0 to 1; see
    /// [`binary_cross_entropy`](crate::functional::binary_cross_entropy).
    BceLoss "BCELoss" [
        /// How much each element counts; it broadcasts.
        weight;
    ] {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_binary_cross_entropy(input, target, loss.weight.as_ref(), loss.reduction);

    /// The cross entropy between logits and targets of 0 to 1; see
    /// [`binary_cross_entropy_with_logits`](crate::functional::binary_cross_entropy_with_logits).
    BceWithLogitsLoss "BCEWithLogitsLoss" [
        /// How much each element counts; it broadcasts.
        weight;
        /// How much what is true counts; it broadcasts.
        pos_weight;
    ] {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_binary_cross_entropy_with_logits(
        input, target, loss.weight.as_ref(), loss.pos_weight.as_ref(), loss.reduction,
    );
}

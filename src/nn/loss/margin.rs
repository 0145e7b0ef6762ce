//! Losses of rankings and margins, as modules.

use super::losses;
use crate::functional::{
    Reduction, TripletMarginOptions, try_cosine_embedding_loss, try_hinge_embedding_loss, try_margin_ranking_loss,
    try_multi_margin_loss, try_multilabel_margin_loss, try_multilabel_soft_margin_loss, try_soft_margin_loss,
    try_triplet_margin_loss,
};
use allotrope_derive::Module;

losses! {
    /// `x` where the target is 1, and what is missing to the margin where it is -1; see
    /// [`hinge_embedding_loss`](crate::functional::hinge_embedding_loss).
    HingeEmbeddingLoss "HingeEmbeddingLoss" {
        /// How far apart is enough.
        margin: f64 = 1.0;
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_hinge_embedding_loss(input, target, loss.margin, loss.reduction);

    /// log(1 + exp(-target x)), the target being 1 or -1; see [`soft_margin_loss`](crate::functional::soft_margin_loss).
    SoftMarginLoss "SoftMarginLoss" {
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_soft_margin_loss(input, target, loss.reduction);

    /// Vectors that should point the same way, or not; see [`cosine_embedding_loss`](crate::functional::cosine_embedding_loss).
    CosineEmbeddingLoss "CosineEmbeddingLoss" {
        /// The cosine that is small enough.
        margin: f64 = 0.0;
        /// What becomes of the losses of the samples.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input1, input2, target| try_cosine_embedding_loss(input1, input2, target, loss.margin, loss.reduction);

    /// Which of two should be larger; see [`margin_ranking_loss`](crate::functional::margin_ranking_loss).
    MarginRankingLoss "MarginRankingLoss" {
        /// By how much.
        margin: f64 = 0.0;
        /// What becomes of the losses of the elements.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input1, input2, target| try_margin_ranking_loss(input1, input2, target, loss.margin, loss.reduction);

    /// The margin between one class and the others; see [`multi_margin_loss`](crate::functional::multi_margin_loss).
    MultiMarginLoss "MultiMarginLoss" [
        /// How much each class counts, `[c]`.
        weight;
    ] {
        /// 1, or 2 for squares.
        p: u32 = 1;
        /// How far apart is enough.
        margin: f64 = 1.0;
        /// What becomes of the losses of the samples.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| {
        try_multi_margin_loss(input, target, loss.p, loss.margin, loss.weight.as_ref(), loss.reduction)
    };

    /// The margin between several classes and the others; see
    /// [`multilabel_margin_loss`](crate::functional::multilabel_margin_loss).
    MultiLabelMarginLoss "MultiLabelMarginLoss" {
        /// What becomes of the losses of the samples.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_multilabel_margin_loss(input, target, loss.reduction);

    /// Cross entropies of several classes; see [`multilabel_soft_margin_loss`](crate::functional::multilabel_soft_margin_loss).
    MultiLabelSoftMarginLoss "MultiLabelSoftMarginLoss" [
        /// How much each class counts, `[c]`.
        weight;
    ] {
        /// What becomes of the losses of the samples.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, input, target| try_multilabel_soft_margin_loss(input, target, loss.weight.as_ref(), loss.reduction);

    /// An anchor that should be nearer to one point than to another; see
    /// [`triplet_margin_loss`](crate::functional::triplet_margin_loss).
    TripletMarginLoss "TripletMarginLoss" {
        /// By how much; above 0.
        margin: f64 = 1.0;
        /// The order of the norm of differences.
        p: f64 = 2.0;
        /// Added to differences.
        eps: f64 = 1e-6;
        /// Whether the distance between the two points counts where it is the smaller one.
        swap: bool = false;
        /// What becomes of the losses of the samples.
        reduction: Reduction = Reduction::Mean;
    }
    |loss, anchor, positive, negative| {
        let TripletMarginLoss { margin, p, eps, swap, reduction } = *loss;
        try_triplet_margin_loss(anchor, positive, negative, TripletMarginOptions { margin, p, eps, swap, reduction })
    };
}

//! Distances of vectors as modules, and the triplet loss of a distance of one's own.

use super::losses;
use crate::error::{Error, Result, called, must};
use crate::functional::{Reduction, try_cosine_similarity, try_pairwise_distance};
use crate::nn::{Module, Visitor};
use crate::tensor::Tensor;

losses! {
    /// The p-norm of differences along the last axis; see [`pairwise_distance`](crate::functional::pairwise_distance).
    PairwiseDistance "PairwiseDistance" {
        /// The order of the norm.
        p: f64 = 2.0;
        /// Added to differences.
        eps: f64 = 1e-6;
        /// Whether the axis stays, with one element.
        keepdim: bool = false;
    }
    |distance, x1, x2| try_pairwise_distance(x1, x2, distance.p, distance.eps, distance.keepdim);

    /// The cosine of the angle between vectors along an axis; see [`cosine_similarity`](crate::functional::cosine_similarity).
    CosineSimilarity "CosineSimilarity" {
        /// The axis of the vectors.
        dim: isize = 1;
        /// The least length that is divided by.
        eps: f64 = 1e-8;
    }
    |similarity, x1, x2| try_cosine_similarity(x1, x2, similarity.dim, similarity.eps);
}

/// A distance of the user's own.
type Distance = Box<dyn Fn(&Tensor, &Tensor) -> Tensor>;

/// An anchor that should be nearer to one point than to another, by any distance.
///
/// ```
/// use allotrope::prelude::*;
/// let loss = nn::TripletMarginWithDistanceLoss::new().distance(|a, b| (a - b).abs().sum_dim(&[-1], false)).margin(0.5);
/// let (anchor, near, far) = (Tensor::zeros(&[1, 2], DType::F32), Tensor::zeros(&[1, 2], DType::F32), Tensor::ones(&[1, 2], DType::F32));
/// assert_eq!(loss.forward(&anchor, &near, &far).item::<f32>(), 0.0);
/// assert_eq!(loss.forward(&anchor, &far, &near).item::<f32>(), 2.5);
/// ```
pub struct TripletMarginWithDistanceLoss {
    /// The distance and where it is a module's, the module: PyTorch prints it as a child.
    distance: Distance,
    shown: Option<PairwiseDistance>,
    margin: f64,
    swap: bool,
    reduction: Reduction,
}

impl TripletMarginWithDistanceLoss {
    /// With PyTorch's defaults: the Euclidean distance, margin 1.
    pub fn new() -> TripletMarginWithDistanceLoss {
        TripletMarginWithDistanceLoss {
            distance: Box::new(|a, b| PairwiseDistance::new().forward(a, b)),
            shown: Some(PairwiseDistance::new()),
            margin: 1.0,
            swap: false,
            reduction: Reduction::Mean,
        }
    }

    /// The distance of two tensors, one number for each sample.
    #[must_use]
    pub fn distance(
        mut self,
        distance: impl Fn(&Tensor, &Tensor) -> Tensor + 'static,
    ) -> TripletMarginWithDistanceLoss {
        self.distance = Box::new(distance);
        self.shown = None;
        self
    }

    /// By how much nearer; above 0.
    #[must_use]
    pub fn margin(mut self, margin: f64) -> TripletMarginWithDistanceLoss {
        self.margin = margin;
        self
    }

    /// Whether the distance between the two points counts where it is the smaller one.
    #[must_use]
    pub fn swap(mut self, on: bool) -> TripletMarginWithDistanceLoss {
        self.swap = on;
        self
    }

    /// What becomes of the losses of the samples.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> TripletMarginWithDistanceLoss {
        self.reduction = reduction;
        self
    }

    /// The loss.
    ///
    /// # Panics
    /// Where [`TripletMarginWithDistanceLoss::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Tensor {
        must(self.try_forward(anchor, positive, negative))
    }

    /// As [`TripletMarginWithDistanceLoss::forward`].
    ///
    /// # Errors
    /// When the margin is not above 0, or the tensors have not equally many axes. The distance may panic.
    #[track_caller]
    pub fn try_forward(&self, anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        called(self.loss(anchor, positive, negative))
    }

    #[track_caller]
    fn loss(&self, anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        if self.margin.is_nan()
            || self.margin <= 0.0
            || anchor.dim() != positive.dim()
            || anchor.dim() != negative.dim()
        {
            return Err(Error::operands(
                "triplet_margin_with_distance_loss",
                format!(
                    "needs a margin above 0 and equally many axes, got {}, {:?}, {:?} and {:?}",
                    self.margin,
                    anchor.shape_hint(),
                    positive.shape_hint(),
                    negative.shape_hint()
                ),
            ));
        }
        let near = (self.distance)(anchor, positive);
        let mut far = (self.distance)(anchor, negative);
        if self.swap {
            far = far.try_minimum(&(self.distance)(positive, negative))?;
        }
        let losses = near.try_sub(&far)?.try_add(self.margin)?.try_clamp_min(0.0)?;
        match self.reduction {
            Reduction::Mean => losses.try_mean(),
            Reduction::Sum => losses.try_sum(),
            Reduction::None => Ok(losses),
        }
    }
}

impl Default for TripletMarginWithDistanceLoss {
    fn default() -> TripletMarginWithDistanceLoss {
        TripletMarginWithDistanceLoss::new()
    }
}

impl Module for TripletMarginWithDistanceLoss {
    fn visit(&self, visitor: &mut dyn Visitor) {
        if let Some(distance) = &self.shown {
            visitor.child("distance_function", distance);
        }
    }
    fn map_tensors(&mut self, _: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        Ok(())
    }
}

impl std::fmt::Display for TripletMarginWithDistanceLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.repr())
    }
}

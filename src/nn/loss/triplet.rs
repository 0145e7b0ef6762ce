//! The triplet loss of a distance of one's own.

use crate::error::{Error, Result, called, must};
use crate::functional::Reduction;
use crate::nn::{Module, PairwiseDistance, Visitor};
use crate::tensor::Tensor;

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
    /// Where the user gives none it is the Euclidean distance, a module that PyTorch prints as a child.
    distance: Result<Distance, PairwiseDistance>,
    margin: f64,
    swap: bool,
    reduction: Reduction,
}

impl TripletMarginWithDistanceLoss {
    /// With PyTorch's defaults: the Euclidean distance, margin 1.
    pub fn new() -> TripletMarginWithDistanceLoss {
        TripletMarginWithDistanceLoss {
            distance: Err(PairwiseDistance::default()),
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
        self.distance = Ok(Box::new(distance));
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
    /// When the margin is not above 0, or the tensors have not equally many axes. A distance of the user's own may panic.
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
        let distance = |a: &Tensor, b: &Tensor| match &self.distance {
            Ok(own) => Ok(own(a, b)),
            Err(euclidean) => euclidean.try_forward(a, b),
        };
        let near = distance(anchor, positive)?;
        let mut far = distance(anchor, negative)?;
        if self.swap {
            far = far.try_minimum(&distance(positive, negative)?)?;
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
        if let Err(euclidean) = &self.distance {
            visitor.child("distance_function", euclidean);
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

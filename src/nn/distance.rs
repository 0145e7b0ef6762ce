//! Layers that compare two inputs.

use crate::error::{Result, called, must};
use crate::functional::{try_cosine_similarity, try_pairwise_distance};
use crate::tensor::Tensor;
use allotrope_derive::Module;

macro_rules! of_two {
    ($( $name:ident: |$layer:ident, $x1:ident, $x2:ident| $value:expr; )*) => {$(
        impl $name {
            /// The layer's value for two inputs that broadcast.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_forward`] fails.")]
            #[track_caller]
            pub fn forward(&self, x1: &Tensor, x2: &Tensor) -> Tensor {
                must(self.try_forward(x1, x2))
            }

            #[doc = concat!("As [`", stringify!($name), "::forward`].")]
            ///
            /// # Errors
            /// When the inputs do not broadcast, or have no such axis.
            #[track_caller]
            pub fn try_forward(&self, $x1: &Tensor, $x2: &Tensor) -> Result<Tensor> {
                let $layer = self;
                called($value)
            }
        }
    )*};
}

/// The cosine of the angle between vectors along an axis.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![1.0f32, 0.0], &[1, 2]);
/// assert_eq!(nn::CosineSimilarity::default().forward(&x, &x).to_vec::<f32>(), [1.0]);
/// ```
#[derive(Copy, Clone, Debug, Module)]
pub struct CosineSimilarity {
    #[module(skip)]
    dim: isize,
    #[module(skip)]
    eps: f64,
}

impl CosineSimilarity {
    /// Along an axis; `eps` is the least length that is divided by.
    pub fn new(dim: isize, eps: f64) -> CosineSimilarity {
        CosineSimilarity { dim, eps }
    }
}

/// Along the second axis, with an `eps` of 1e-8.
impl Default for CosineSimilarity {
    fn default() -> CosineSimilarity {
        CosineSimilarity { dim: 1, eps: 1e-8 }
    }
}

/// The p-norm of `x1 - x2 + eps` along the last axis.
///
/// ```
/// use allotrope::prelude::*;
/// let (x, y) = (Tensor::zeros(&[1, 2], DType::F32), Tensor::from_vec(vec![3.0f32, 4.0], &[1, 2]));
/// assert!((nn::PairwiseDistance::default().forward(&x, &y).item::<f32>() - 5.0).abs() < 1e-5);
/// ```
#[derive(Copy, Clone, Debug, Module)]
pub struct PairwiseDistance {
    #[module(skip)]
    p: f64,
    #[module(skip)]
    eps: f64,
    #[module(skip)]
    keepdim: bool,
}

impl PairwiseDistance {
    /// Of the norm of order `p`; with `keepdim` the axis remains, of size 1.
    pub fn new(p: f64, eps: f64, keepdim: bool) -> PairwiseDistance {
        PairwiseDistance { p, eps, keepdim }
    }
}

/// The Euclidean distance, with an `eps` of 1e-6.
impl Default for PairwiseDistance {
    fn default() -> PairwiseDistance {
        PairwiseDistance { p: 2.0, eps: 1e-6, keepdim: false }
    }
}

of_two! {
    CosineSimilarity: |layer, x1, x2| try_cosine_similarity(x1, x2, layer.dim, layer.eps);
    PairwiseDistance: |layer, x1, x2| try_pairwise_distance(x1, x2, layer.p, layer.eps, layer.keepdim);
}

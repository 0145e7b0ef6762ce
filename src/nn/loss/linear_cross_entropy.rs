//! The cross entropy of a linear layer's output, with the layer inside of the loss.

use crate::error::{Error, Result, called, must};
use crate::functional::{CrossEntropyOptions, Reduction, try_cross_entropy};
use crate::mode::sizes::demand_equal;
use crate::nn::constructors::constructors;

use crate::nn::repr::{python_bool, python_float, python_tuple};
use crate::nn::{Forward as _, Linear, LinearOptions};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What a [`LinearCrossEntropyLoss`] has besides its sizes; PyTorch's defaults.
#[derive(Clone, Debug)]
pub struct LinearCrossEntropyOptions {
    /// The axes behind the classes in each sample of the target.
    pub out_features: Vec<usize>,
    pub bias: bool,
    /// How much each class counts, `[c]`.
    pub weight: Option<Tensor>,
    pub reduction: Reduction,
    /// The target that counts for nothing; none is -100 where targets are classes.
    pub ignore_index: Option<i64>,
    /// The share of each target that goes to all classes evenly.
    pub label_smoothing: f64,
    pub dtype: DType,
}

impl Default for LinearCrossEntropyOptions {
    fn default() -> LinearCrossEntropyOptions {
        LinearCrossEntropyOptions {
            out_features: Vec::new(),
            bias: false,
            weight: None,
            reduction: Reduction::Mean,
            ignore_index: None,
            label_smoothing: 0.0,
            dtype: DType::F32,
        }
    }
}

/// A linear layer from features to logits, and their cross entropy: `torch.nn.LinearCrossEntropyLoss`. The input is `[n, in]` or
/// `[in]`, the target classes `[n, out..]` or probabilities `[n, c, out..]`. A trace fuses what follows the product, so there is
/// no option for computing it in chunks.
///
/// ```
/// use allotrope::prelude::*;
/// let loss = nn::LinearCrossEntropyLoss::new(5, 10);
/// let y = loss.forward(&randn(&[2, 5]), &Tensor::from_vec(vec![3i64, 7], &[2]));
/// assert_eq!(y.dim(), 0);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::text)]
pub struct LinearCrossEntropyLoss {
    #[module(buffer)]
    weight: Option<Tensor>,
    pub linear: Linear,
    #[module(skip)]
    in_features: usize,
    #[module(skip)]
    num_classes: usize,
    #[module(skip)]
    out_features: Vec<usize>,
    #[module(skip)]
    reduction: Reduction,
    #[module(skip)]
    ignore_index: Option<i64>,
    #[module(skip)]
    label_smoothing: f64,
}

constructors! { LinearCrossEntropyLoss(in_features: usize, num_classes: usize; LinearCrossEntropyOptions) }

impl LinearCrossEntropyLoss {
    fn build(
        in_features: usize,
        num_classes: usize,
        options: LinearCrossEntropyOptions,
    ) -> Result<LinearCrossEntropyLoss> {
        let class = "LinearCrossEntropyLoss";
        let LinearCrossEntropyOptions { out_features, bias, weight, reduction, ignore_index, label_smoothing, dtype } =
            options;
        if let Some(w) = &weight
            && w.shape_hint() != [num_classes]
        {
            return Err(Error::argument(format!(
                "{class}: the weights of the classes must be [{num_classes}], got {:?}",
                w.shape_hint()
            )));
        }
        if !(0.0..=1.0).contains(&label_smoothing) {
            return Err(Error::argument(format!("{class}: label_smoothing must be 0 to 1, got {label_smoothing}")));
        }
        let logits = out_features.iter().fold(num_classes, |n, &k| n.saturating_mul(k));
        let linear = Linear::try_with_options(in_features, logits, LinearOptions { bias, dtype })?;
        Ok(LinearCrossEntropyLoss {
            weight,
            linear,
            in_features,
            num_classes,
            out_features,
            reduction,
            ignore_index,
            label_smoothing,
        })
    }

    /// The loss.
    ///
    /// # Panics
    /// Where [`LinearCrossEntropyLoss::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, input: &Tensor, target: &Tensor) -> Tensor {
        must(self.try_forward(input, target))
    }

    /// As [`LinearCrossEntropyLoss::forward`].
    ///
    /// # Errors
    /// When input and target do not fit the layer or each other.
    #[track_caller]
    pub fn try_forward(&self, input: &Tensor, target: &Tensor) -> Result<Tensor> {
        called(self.of(input, target))
    }

    fn of(&self, input: &Tensor, target: &Tensor) -> Result<Tensor> {
        let fits =
            matches!(input.dim(), 1 | 2) && demand_equal(input.sizes()[input.dim() - 1], Size::from(self.in_features));
        if !fits {
            return Err(Error::operands(
                "LinearCrossEntropyLoss",
                format!("the input must be [n, {0}] or [{0}], got {1:?}", self.in_features, input.shape_hint()),
            ));
        }
        let logits = self.linear.try_forward(input)?;
        let classes = [self.num_classes].into_iter().chain(self.out_features.iter().copied()).map(Size::from);
        let sizes: Sizes = logits.sizes()[..input.dim() - 1].iter().copied().chain(classes).collect();
        let options = CrossEntropyOptions {
            weight: self.weight.as_ref(),
            ignore_index: self.ignore_index.unwrap_or(-100),
            reduction: self.reduction,
            label_smoothing: self.label_smoothing,
        };
        try_cross_entropy(&logits.reshape_sizes(&sizes)?, target, options)
    }

    fn text(&self) -> String {
        let reduction = match self.reduction {
            Reduction::Mean => "mean",
            Reduction::Sum => "sum",
            Reduction::None => "none",
        };
        let ignored = self.ignore_index.map_or("None".to_string(), |i| i.to_string());
        format!(
            "in_features={}, num_classes={}, out_features={}, bias={}, reduction={reduction}, ignore_index={ignored}, \
             label_smoothing={}, options=None",
            self.in_features,
            self.num_classes,
            python_tuple(&self.out_features),
            python_bool(self.linear.bias.is_some()),
            python_float(self.label_smoothing)
        )
    }
}

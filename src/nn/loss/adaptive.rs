//! The adaptive softmax: classes in clusters by how frequent they are, the rare ones with smaller layers.

use crate::error::{Error, Result, called, must, raise};
use crate::functional::{NllLossOptions, Reduction, try_nll_loss};
use crate::nn::{Forward, Linear, ModuleList, Sequential};
use crate::ops::try_cat;
use crate::tensor::Tensor;
use allotrope_derive::Module;

/// A layer of class scores with its loss, for very many classes of which few are frequent (Grave et al. 2017, "Efficient
/// softmax approximation for GPUs"). Classes are numbered from the most frequent on; `cutoffs` are where clusters begin.
/// The head has the first cluster's classes and one for each other cluster.
///
/// Which cluster a target is in is not known while a trace is recorded, so all clusters are computed for all samples, in
/// both modes: the values are PyTorch's, but no time is saved where a batch needs few clusters.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::AdaptiveLogSoftmaxWithLoss::new(16, 100, &[10, 40]);
/// let x = randn(&[4, 16]);
/// let (output, loss) = layer.forward(&x, &Tensor::from_vec(vec![3i64, 12, 99, 0], &[4]));
/// assert_eq!((output.shape(), loss.dim()), (&[4][..], 0));
/// assert_eq!(layer.log_prob(&x).shape(), [4, 100]);
/// ```
#[derive(Module)]
pub struct AdaptiveLogSoftmaxWithLoss {
    head: Linear,
    tail: ModuleList<Sequential>,
    #[module(skip)]
    shortlist: usize,
}

/// What [`AdaptiveLogSoftmaxWithLoss::with_options`] takes besides the sizes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdaptiveLogSoftmaxOptions {
    /// By how much the hidden layer of each cluster is smaller than that of the one before.
    pub div_value: f64,
    /// Whether the head has a bias.
    pub head_bias: bool,
}

impl Default for AdaptiveLogSoftmaxOptions {
    fn default() -> AdaptiveLogSoftmaxOptions {
        AdaptiveLogSoftmaxOptions { div_value: 4.0, head_bias: false }
    }
}

impl AdaptiveLogSoftmaxWithLoss {
    /// With PyTorch's defaults.
    ///
    /// # Panics
    /// As [`AdaptiveLogSoftmaxWithLoss::with_options`].
    #[track_caller]
    pub fn new(in_features: usize, n_classes: usize, cutoffs: &[usize]) -> AdaptiveLogSoftmaxWithLoss {
        AdaptiveLogSoftmaxWithLoss::with_options(in_features, n_classes, cutoffs, AdaptiveLogSoftmaxOptions::default())
    }

    /// With other options.
    ///
    /// # Panics
    /// When the cutoffs do not go up from 1 to less than `n_classes`.
    #[track_caller]
    pub fn with_options(
        in_features: usize,
        n_classes: usize,
        cutoffs: &[usize],
        options: AdaptiveLogSoftmaxOptions,
    ) -> AdaptiveLogSoftmaxWithLoss {
        let AdaptiveLogSoftmaxOptions { div_value, head_bias } = options;
        let ends: Vec<usize> = cutoffs.iter().copied().chain([n_classes]).collect();
        if cutoffs.is_empty()
            || ends[0] == 0
            || !ends.is_sorted_by(|a, b| a < b)
            || div_value.is_nan()
            || div_value <= 0.0
        {
            raise(Error::argument(format!(
                "AdaptiveLogSoftmaxWithLoss: the cutoffs must go up from 1 or more to less than {n_classes}, and div_value be above 0, \
                 got {cutoffs:?} and {div_value}"
            )));
        }
        let head = Linear::with_bias(in_features, ends[0] + cutoffs.len(), head_bias);
        let tail = ends.windows(2).enumerate().map(|(i, ends)| {
            let hidden = (in_features as f64 / div_value.powi(i as i32 + 1)).floor() as usize;
            let first = Linear::with_bias(in_features, hidden, false);
            Box::new(Sequential::new().append(first).append(Linear::with_bias(hidden, ends[1] - ends[0], false)))
        });
        AdaptiveLogSoftmaxWithLoss { head, tail: ModuleList::new(tail.collect()), shortlist: ends[0] }
    }

    /// The log probability of each sample's class, and their mean, negated: the loss. The input is `[n, in]`, or `[in]`.
    ///
    /// # Panics
    /// Where [`AdaptiveLogSoftmaxWithLoss::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, target: &Tensor) -> (Tensor, Tensor) {
        must(self.try_forward(x, target))
    }

    /// As [`AdaptiveLogSoftmaxWithLoss::forward`].
    ///
    /// # Errors
    /// When the shapes do not fit, or a target is not a class.
    #[track_caller]
    pub fn try_forward(&self, x: &Tensor, target: &Tensor) -> Result<(Tensor, Tensor)> {
        called(self.both(x, target))
    }

    #[track_caller]
    fn both(&self, x: &Tensor, target: &Tensor) -> Result<(Tensor, Tensor)> {
        let options = NllLossOptions { reduction: Reduction::None, ..Default::default() };
        let losses = try_nll_loss(&self.logarithms(x)?, target, options)?;
        Ok((losses.try_neg()?, losses.try_mean()?))
    }

    /// The log probabilities of all classes, `[n, n_classes]`.
    ///
    /// # Panics
    /// Where [`AdaptiveLogSoftmaxWithLoss::try_log_prob`] fails.
    #[track_caller]
    pub fn log_prob(&self, x: &Tensor) -> Tensor {
        must(self.try_log_prob(x))
    }

    /// As [`AdaptiveLogSoftmaxWithLoss::log_prob`].
    ///
    /// # Errors
    /// When the input does not fit.
    #[track_caller]
    pub fn try_log_prob(&self, x: &Tensor) -> Result<Tensor> {
        called(self.logarithms(x))
    }

    #[track_caller]
    fn logarithms(&self, x: &Tensor) -> Result<Tensor> {
        let head = self.head.try_forward(x)?.try_log_softmax(-1)?;
        let mut parts = vec![head.try_narrow(-1, 0, self.shortlist)?];
        for (i, cluster) in self.tail.iter().enumerate() {
            let inside = cluster.try_forward(x)?.try_log_softmax(-1)?;
            parts.push(inside.try_add(&head.try_narrow(-1, (self.shortlist + i) as isize, 1)?)?);
        }
        try_cat(&parts.iter().collect::<Vec<_>>(), -1)
    }

    /// The likeliest class of each sample: that of the head, and where this is a cluster the likeliest of all.
    ///
    /// # Panics
    /// Where [`AdaptiveLogSoftmaxWithLoss::try_predict`] fails.
    #[track_caller]
    pub fn predict(&self, x: &Tensor) -> Tensor {
        must(self.try_predict(x))
    }

    /// As [`AdaptiveLogSoftmaxWithLoss::predict`].
    ///
    /// # Errors
    /// When the input does not fit.
    #[track_caller]
    pub fn try_predict(&self, x: &Tensor) -> Result<Tensor> {
        called(self.likeliest(x))
    }

    #[track_caller]
    fn likeliest(&self, x: &Tensor) -> Result<Tensor> {
        let of_head = self.head.try_forward(x)?.try_argmax_dim(-1, false)?;
        let of_all = self.logarithms(x)?.try_argmax_dim(-1, false)?;
        of_head.try_where_self(&of_head.try_lt(self.shortlist as i64)?, &of_all)
    }
}

//! Sums, means or maxima of rows of a table in bags, as a layer.

use super::constructors::constructors;
use super::embedding::{lookup_text, padding_row, pretrained, table};
use super::init::demand_float;
use crate::error::{Result, called, must};
use crate::functional::{self, BagMode, try_embedding_bag};
use crate::tensor::Tensor;
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What an [`EmbeddingBag`] has besides its sizes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct EmbeddingBagOptions {
    pub mode: BagMode,
    /// Rows that are read are made shorter in place where their norm is larger than this.
    pub max_norm: Option<f64>,
    /// Which norm that is.
    pub norm_type: f64,
    /// The gradient of a row is divided by how often the row was read; not for maxima.
    pub scale_grad_by_freq: bool,
    /// Offsets have the end of the last bag too.
    pub include_last_offset: bool,
    /// The row that counts nowhere, 0 in the beginning; it may count from the end.
    pub padding_idx: Option<isize>,
    pub dtype: DType,
}

impl Default for EmbeddingBagOptions {
    fn default() -> Self {
        EmbeddingBagOptions {
            mode: BagMode::Mean,
            max_norm: None,
            norm_type: 2.0,
            scale_grad_by_freq: false,
            include_last_offset: false,
            padding_idx: None,
            dtype: DType::F32,
        }
    }
}

/// Sums, means or maxima of the rows that integers name: of each row of `[bags, k]`, or of each bag of a vector which offsets cut
/// up; `-> [bags, d]`.
///
/// The table `[n, d]` is drawn as `torch.nn.EmbeddingBag` draws it.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::EmbeddingBag::new(10, 3);
/// let (words, offsets) = (Tensor::from_vec(vec![1i64, 5, 9], &[3]), Tensor::from_vec(vec![0i64, 2], &[2]));
/// assert_eq!(layer.forward(&words, Some(&offsets), None).shape(), [2, 3]);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::text)]
pub struct EmbeddingBag {
    /// `[n, d]`
    pub weight: Tensor,
    #[module(skip)]
    options: EmbeddingBagOptions,
}

constructors! { EmbeddingBag(num_embeddings: usize, embedding_dim: usize; EmbeddingBagOptions) }

impl EmbeddingBag {
    fn build(num_embeddings: usize, embedding_dim: usize, options: EmbeddingBagOptions) -> Result<EmbeddingBag> {
        demand_float("EmbeddingBag", options.dtype)?;
        let padding = padding_row("EmbeddingBag", num_embeddings, options.padding_idx)?;
        let weight = table(num_embeddings, embedding_dim, padding, options.dtype)?;
        let padding_idx = padding.map(|row| row as isize);
        Ok(EmbeddingBag { weight, options: EmbeddingBagOptions { padding_idx, ..options } })
    }

    /// A layer over a table that is there, `[n, d]`, which is trained unless it is frozen; PyTorch's default is frozen. The dtype is
    /// the table's.
    ///
    /// # Panics
    /// Where [`EmbeddingBag::try_from_pretrained`] fails.
    #[track_caller]
    pub fn from_pretrained(table: &Tensor, freeze: bool, options: EmbeddingBagOptions) -> EmbeddingBag {
        must(EmbeddingBag::try_from_pretrained(table, freeze, options))
    }

    /// As [`EmbeddingBag::from_pretrained`].
    ///
    /// # Errors
    /// When the table is none, or has no row `padding_idx`.
    #[track_caller]
    pub fn try_from_pretrained(table: &Tensor, freeze: bool, options: EmbeddingBagOptions) -> Result<EmbeddingBag> {
        called(EmbeddingBag::over(table, freeze, options))
    }

    fn over(table: &Tensor, freeze: bool, options: EmbeddingBagOptions) -> Result<EmbeddingBag> {
        let weight = pretrained("EmbeddingBag", table, freeze)?;
        let padding = padding_row("EmbeddingBag", weight.shape_hint()[0], options.padding_idx)?;
        let padding_idx = padding.map(|row| row as isize);
        Ok(EmbeddingBag { weight, options: EmbeddingBagOptions { padding_idx, ..options } })
    }

    /// The bags of integers. A vector of them needs `offsets`, where each bag begins; `per_sample_weights`, of the shape of the
    /// integers, multiply the rows of sums.
    ///
    /// # Panics
    /// Where [`EmbeddingBag::try_forward`] fails.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, offsets: Option<&Tensor>, per_sample_weights: Option<&Tensor>) -> Tensor {
        must(self.try_forward(x, offsets, per_sample_weights))
    }

    /// As [`EmbeddingBag::forward`].
    ///
    /// # Errors
    /// When the integers are neither `[bags, k]` nor a vector with offsets, or an integer names no row.
    #[track_caller]
    pub fn try_forward(
        &self,
        x: &Tensor,
        offsets: Option<&Tensor>,
        per_sample_weights: Option<&Tensor>,
    ) -> Result<Tensor> {
        let EmbeddingBagOptions {
            mode, max_norm, norm_type, scale_grad_by_freq, include_last_offset, padding_idx, ..
        } = self.options;
        let options = functional::EmbeddingBagOptions {
            offsets,
            mode,
            per_sample_weights,
            include_last_offset,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
        };
        called(try_embedding_bag(x, &self.weight, options))
    }

    fn text(&self) -> String {
        let shape = self.weight.shape_hint();
        let o = &self.options;
        let mode = match o.mode {
            BagMode::Sum => "sum",
            BagMode::Mean => "mean",
            BagMode::Max => "max",
        };
        let padding = o.padding_idx.map(|row| format!(", padding_idx={row}")).unwrap_or_default();
        let lookup = lookup_text(o.max_norm, o.norm_type, o.scale_grad_by_freq);
        format!("{}, {}{lookup}, mode='{mode}'{padding}", shape[0], shape[1])
    }
}

//! A table of rows that are looked up by index, as a layer.

use super::constructors::constructors;
use super::forward::forward;
use super::init::{demand_float, normal_parameter};
use super::repr::python_float;
use crate::autograd::no_grad;
use crate::error::{Error, Result, called, must};
use crate::functional::{self, try_embedding_with};
use crate::tensor::Tensor;
use allotrope_derive::Module;
use allotrope_ir::DType;

/// What an [`Embedding`] has besides its sizes; PyTorch's defaults.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct EmbeddingOptions {
    /// The row that is 0 in the beginning and that no gradient flows to; it may count from the end.
    pub padding_idx: Option<isize>,
    /// Rows that are read are made shorter in place where their norm is larger than this.
    pub max_norm: Option<f64>,
    /// Which norm that is.
    pub norm_type: f64,
    /// The gradient of a row is divided by how often the row was read.
    pub scale_grad_by_freq: bool,
    pub dtype: DType,
}

impl Default for EmbeddingOptions {
    fn default() -> Self {
        EmbeddingOptions {
            padding_idx: None,
            max_norm: None,
            norm_type: 2.0,
            scale_grad_by_freq: false,
            dtype: DType::F32,
        }
    }
}

/// The rows of a table that integers of any shape name: `[..] -> [.., d]`.
///
/// The table `[n, d]` is drawn as `torch.nn.Embedding` draws it.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::Embedding::new(10, 3);
/// assert_eq!(layer.forward(&Tensor::from_vec(vec![1i64, 5, 9, 1], &[2, 2])).shape(), [2, 2, 3]);
/// ```
#[derive(Module)]
#[module(extra_repr = Self::text)]
pub struct Embedding {
    /// `[n, d]`
    pub weight: Tensor,
    #[module(skip)]
    options: functional::EmbeddingOptions,
}

constructors! { Embedding(num_embeddings: usize, embedding_dim: usize; EmbeddingOptions) }

impl Embedding {
    fn build(num_embeddings: usize, embedding_dim: usize, options: EmbeddingOptions) -> Result<Embedding> {
        demand_float("Embedding", options.dtype)?;
        let padding = padding_row("Embedding", num_embeddings, options.padding_idx)?;
        let weight = table(num_embeddings, embedding_dim, padding, options.dtype)?;
        Ok(Embedding::of(weight, padding, options))
    }

    fn of(weight: Tensor, padding: Option<usize>, options: EmbeddingOptions) -> Embedding {
        let EmbeddingOptions { max_norm, norm_type, scale_grad_by_freq, .. } = options;
        let padding_idx = padding.map(|row| row as isize);
        Embedding {
            weight,
            options: functional::EmbeddingOptions { padding_idx, max_norm, norm_type, scale_grad_by_freq },
        }
    }

    /// A layer over a table that is there, `[n, d]`, which is trained unless it is frozen; PyTorch's default is frozen. The dtype is
    /// the table's.
    ///
    /// # Panics
    /// Where [`Embedding::try_from_pretrained`] fails.
    #[track_caller]
    pub fn from_pretrained(table: &Tensor, freeze: bool, options: EmbeddingOptions) -> Embedding {
        must(Embedding::try_from_pretrained(table, freeze, options))
    }

    /// As [`Embedding::from_pretrained`].
    ///
    /// # Errors
    /// When the table is none, or has no row `padding_idx`.
    #[track_caller]
    pub fn try_from_pretrained(table: &Tensor, freeze: bool, options: EmbeddingOptions) -> Result<Embedding> {
        called(Embedding::over(table, freeze, options))
    }

    fn over(table: &Tensor, freeze: bool, options: EmbeddingOptions) -> Result<Embedding> {
        let weight = pretrained("Embedding", table, freeze)?;
        let padding = padding_row("Embedding", weight.shape_hint()[0], options.padding_idx)?;
        Ok(Embedding::of(weight, padding, options))
    }

    fn text(&self) -> String {
        let shape = self.weight.shape_hint();
        let o = &self.options;
        let padding = o.padding_idx.map(|row| format!(", padding_idx={row}")).unwrap_or_default();
        format!("{}, {}{padding}{}", shape[0], shape[1], lookup_text(o.max_norm, o.norm_type, o.scale_grad_by_freq))
    }
}

forward! {
    Embedding: |layer, x| try_embedding_with(x, &layer.weight, layer.options);
}

/// What is printed of the options of a lookup.
pub(super) fn lookup_text(max_norm: Option<f64>, norm_type: f64, scale_grad_by_freq: bool) -> String {
    let mut text = max_norm.map(|norm| format!(", max_norm={}", python_float(norm))).unwrap_or_default();
    if norm_type != 2.0 {
        text += &format!(", norm_type={}", python_float(norm_type));
    }
    if scale_grad_by_freq {
        text += ", scale_grad_by_freq=True";
    }
    text
}

/// The row that an index from either end means.
pub(super) fn padding_row(class: &str, rows: usize, padding_idx: Option<isize>) -> Result<Option<usize>> {
    let Some(index) = padding_idx else { return Ok(None) };
    let row = if index < 0 { rows.checked_sub(index.unsigned_abs()) } else { usize::try_from(index).ok() };
    match row.filter(|&row| row < rows) {
        Some(row) => Ok(Some(row)),
        None => Err(Error::argument(format!("{class}: padding_idx must name one of {rows} rows, got {index}"))),
    }
}

/// A table of normal numbers, whose row of padding is 0.
pub(super) fn table(rows: usize, columns: usize, padding: Option<usize>, dtype: DType) -> Result<Tensor> {
    let weight = normal_parameter(&[rows, columns], dtype)?;
    if let Some(row) = padding {
        no_grad(|| weight.try_narrow(0, row as isize, 1)?.try_zero_().map(drop))?;
    }
    Ok(weight)
}

/// A table that is there as a parameter.
pub(super) fn pretrained(class: &str, table: &Tensor, freeze: bool) -> Result<Tensor> {
    demand_float(class, table.dtype())?;
    if table.dim() != 2 {
        return Err(Error::argument(format!("{class}: the table must be [n, d], got {:?}", table.shape_hint())));
    }
    let weight = table.detach();
    weight.set_requires_grad(!freeze);
    Ok(weight)
}

//! What an adapter is, for the files of the corpus that are included here. The cases of the corpus are not run.

use crate::case::Case;
use allotrope::Tensor;

/// Calls the operator that a case means.
pub type Adapter = fn(&Case) -> allotrope::Result<Vec<Tensor>>;

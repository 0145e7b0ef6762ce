//! Adapters: the activation functions of torch.nn.functional.

use crate::run::Adapter;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    Vec::new()
}

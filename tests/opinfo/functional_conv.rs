//! Adapters: convolutions, pooling, unfolding, interpolation, padding.

use crate::run::Adapter;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    Vec::new()
}

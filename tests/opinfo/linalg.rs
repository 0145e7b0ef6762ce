//! Adapters: matrix products.

use crate::case::one;
use crate::run::Adapter;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "matmul" => one(c.tensor(0, "input")?.try_matmul(c.tensor(1, "other")?)),
    }
}

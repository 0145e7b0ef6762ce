//! Adapters: reductions, running sums, norms, sorting.

use crate::case::one;
use crate::run::Adapter;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "sum" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.ints_opt(1, "dim")? {
                Some(axes) => x.try_sum_dim(&axes, keepdim),
                None => x.try_sum(),
            })
        },
        "mean" => {
            let (x, keepdim) = (c.tensor(0, "input")?, c.bool_or(2, "keepdim", false)?);
            one(match c.ints_opt(1, "dim")? {
                Some(axes) => x.try_mean_dim(&axes, keepdim),
                None => x.try_mean(),
            })
        },
        "amax" => {
            let axes = c.ints_opt(1, "dim")?.unwrap_or_default();
            one(c.tensor(0, "input")?.try_amax(&axes, c.bool_or(2, "keepdim", false)?))
        },
        "amin" => {
            let axes = c.ints_opt(1, "dim")?.unwrap_or_default();
            one(c.tensor(0, "input")?.try_amin(&axes, c.bool_or(2, "keepdim", false)?))
        },
    }
}

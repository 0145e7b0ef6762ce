//! Adapters: choosing and placing elements by index or mask.

use crate::case::{KEYWORD, one};
use crate::run::Adapter;
use allotrope::Error;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "gather" => one(c.tensor(0, "input")?.try_gather(c.int(1, "dim")?, c.tensor(2, "index")?)),
        "scatter" => {
            let (x, dim, index, src) = (c.tensor(0, "input")?, c.int(1, "dim")?, c.tensor(2, "index")?, c.arg(3, "src")?);
            match (c.str_opt(KEYWORD, "reduce")?, src) {
                (None, src) => one(x.try_scatter(dim, index, src)),
                (Some("add"), src) => one(x.try_scatter_accumulate(dim, index, src)),
                (Some(other), _) => Err(Error::Argument(format!("scatter: no reduce={other:?}"))),
            }
        },
        "scatter_add" => {
            one(c.tensor(0, "input")?.try_scatter_add(c.int(1, "dim")?, c.tensor(2, "index")?, c.tensor(3, "src")?))
        },
        "index_select" => one(c.tensor(0, "input")?.try_index_select(c.int(1, "dim")?, c.tensor(2, "index")?)),
        "masked_fill" => one(c.tensor(0, "input")?.try_masked_fill(c.tensor(1, "mask")?, c.arg(2, "value")?)),
        "take_along_dim" => {
            one(c.tensor(0, "input")?.try_take_along_dim(c.tensor(1, "indices")?, c.int_opt(2, "dim")?))
        },
    }
}

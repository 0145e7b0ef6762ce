//! Adapters: views, joining, splitting, making.

use crate::case::one;
use crate::run::Adapter;
use allotrope::ops::{try_cat, try_stack};

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "reshape" => one(c.tensor(0, "input")?.try_reshape(&c.rest(1, "shape")?)),
        "view" => one(c.tensor(0, "self")?.try_reshape(&c.rest(1, "size")?)),
        "permute" => one(c.tensor(0, "input")?.try_permute(&c.rest(1, "dims")?)),
        "transpose" => one(c.tensor(0, "input")?.try_transpose(c.int(1, "dim0")?, c.int(2, "dim1")?)),
        "t" => one(c.tensor(0, "input")?.try_t()),
        "unsqueeze" => one(c.tensor(0, "input")?.try_unsqueeze(c.int(1, "dim")?)),
        "flatten" => {
            one(c.tensor(0, "input")?.try_flatten(c.int_or(1, "start_dim", 0)?, c.int_or(2, "end_dim", -1)?))
        },
        "expand" => one(c.tensor(0, "self")?.try_expand(&c.rest(1, "size")?)),
        "expand_as" => one(c.tensor(0, "self")?.try_expand_as(c.tensor(1, "other")?)),
        "broadcast_to" => one(c.tensor(0, "input")?.try_expand(&c.rest(1, "size")?)),
        "select" => one(c.tensor(0, "input")?.try_select(c.int(1, "dim")?, c.int(2, "index")?)),
        "cat" => one(try_cat(&c.tensors(0, "tensors")?, c.int_or(1, "dim", 0)?)),
        "stack" => one(try_stack(&c.tensors(0, "tensors")?, c.int_or(1, "dim", 0)?)),
    }
}

//! Adapters: functions of each element, arithmetic, comparison, logic, choice.

use crate::case::one;
use crate::run::Adapter;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "abs" => one(c.tensor(0, "input")?.try_abs()),
        "cos" => one(c.tensor(0, "input")?.try_cos()),
        "exp" => one(c.tensor(0, "input")?.try_exp()),
        "log" => one(c.tensor(0, "input")?.try_log()),
        "neg" => one(c.tensor(0, "input")?.try_neg()),
        "reciprocal" => one(c.tensor(0, "input")?.try_reciprocal()),
        "sigmoid" => one(c.tensor(0, "input")?.try_sigmoid()),
        "sin" => one(c.tensor(0, "input")?.try_sin()),
        "sqrt" => one(c.tensor(0, "input")?.try_sqrt()),
        "square" => one(c.tensor(0, "input")?.try_square()),
        "tanh" => one(c.tensor(0, "input")?.try_tanh()),
        "add" => one(c.tensor(0, "input")?.try_add(c.arg(1, "other")?)),
        "mul" => one(c.tensor(0, "input")?.try_mul(c.arg(1, "other")?)),
        "div.no_rounding_mode" => one(c.tensor(0, "input")?.try_div(c.arg(1, "other")?)),
        "maximum" => one(c.tensor(0, "input")?.try_maximum(c.tensor(1, "other")?)),
        "minimum" => one(c.tensor(0, "input")?.try_minimum(c.tensor(1, "other")?)),
        "max.binary" => one(c.tensor(0, "input")?.try_maximum(c.tensor(1, "other")?)),
        "min.binary" => one(c.tensor(0, "input")?.try_minimum(c.tensor(1, "other")?)),
        "eq" => one(c.tensor(0, "input")?.try_eq(c.arg(1, "other")?)),
        "ne" => one(c.tensor(0, "input")?.try_ne(c.arg(1, "other")?)),
        "lt" => one(c.tensor(0, "input")?.try_lt(c.arg(1, "other")?)),
        "le" => one(c.tensor(0, "input")?.try_le(c.arg(1, "other")?)),
        "gt" => one(c.tensor(0, "input")?.try_gt(c.arg(1, "other")?)),
        "ge" => one(c.tensor(0, "input")?.try_ge(c.arg(1, "other")?)),
        "logical_and" => one(c.tensor(0, "input")?.try_logical_and(c.tensor(1, "other")?)),
        "logical_or" => one(c.tensor(0, "input")?.try_logical_or(c.tensor(1, "other")?)),
        "logical_xor" => one(c.tensor(0, "input")?.try_logical_xor(c.tensor(1, "other")?)),
        "logical_not" => one(c.tensor(0, "input")?.try_logical_not()),
        "where" => one(c.tensor(1, "input")?.try_where_self(c.tensor(0, "condition")?, c.tensor(2, "other")?)),
    }
}

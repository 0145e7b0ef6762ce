//! Adapters: the losses of torch.nn.functional.

use crate::case::{BY_TYPE, Case, KEYWORD, one};
use crate::run::Adapter;
use allotrope::functional::{self as f, KlReduction, Reduction};
use allotrope::{Error, Result, Tensor};

fn input<'a>(c: &'a Case) -> Result<&'a Tensor> {
    c.tensor(0, "input")
}

fn target<'a>(c: &'a Case) -> Result<&'a Tensor> {
    c.tensor(1, "target")
}

fn no_such(reduction: &str) -> Error {
    Error::Argument(format!("{BY_TYPE}: reduction is {reduction}"))
}

fn reduction(c: &Case) -> Result<Reduction> {
    match c.str_or(KEYWORD, "reduction", "mean")? {
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        "none" => Ok(Reduction::None),
        other => Err(no_such(other)),
    }
}

fn kl_reduction(c: &Case) -> Result<KlReduction> {
    match c.str_or(KEYWORD, "reduction", "mean")? {
        "mean" => Ok(KlReduction::Mean),
        "batchmean" => Ok(KlReduction::BatchMean),
        "sum" => Ok(KlReduction::Sum),
        "none" => Ok(KlReduction::None),
        other => Err(no_such(other)),
    }
}

fn cross_entropy(c: &Case) -> Result<Vec<Tensor>> {
    let options = f::CrossEntropyOptions {
        weight: c.tensor_opt(2, "weight")?,
        ignore_index: c.int_or(4, "ignore_index", -100)? as i64,
        reduction: reduction(c)?,
        label_smoothing: c.float_or(7, "label_smoothing", 0.0)?,
    };
    one(f::try_cross_entropy(input(c)?, target(c)?, options))
}

fn nll_loss(c: &Case) -> Result<Vec<Tensor>> {
    let options = f::NllLossOptions {
        weight: c.tensor_opt(2, "weight")?,
        ignore_index: c.int_or(4, "ignore_index", -100)? as i64,
        reduction: reduction(c)?,
    };
    one(f::try_nll_loss(input(c)?, target(c)?, options))
}

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "nn.functional.mse_loss" => one(f::try_mse_loss_with(input(c)?, target(c)?, reduction(c)?)),
        "nn.functional.l1_loss" => one(f::try_l1_loss(input(c)?, target(c)?, reduction(c)?)),
        "nn.functional.smooth_l1_loss" => one(f::try_smooth_l1_loss(
            input(c)?, target(c)?, c.float_or(5, "beta", 1.0)?, reduction(c)?,
        )),
        "nn.functional.huber_loss" => one(f::try_huber_loss(
            input(c)?, target(c)?, c.float_or(3, "delta", 1.0)?, reduction(c)?,
        )),
        "nn.functional.cross_entropy" => cross_entropy(c),
        "nn.functional.nll_loss" => nll_loss(c),
        "nn.functional.binary_cross_entropy" => one(f::try_binary_cross_entropy(
            input(c)?, target(c)?, c.tensor_opt(2, "weight")?, reduction(c)?,
        )),
        "nn.functional.binary_cross_entropy_with_logits" => one(f::try_binary_cross_entropy_with_logits(
            input(c)?, target(c)?, c.tensor_opt(2, "weight")?, c.tensor_opt(6, "pos_weight")?, reduction(c)?,
        )),
        "nn.functional.kl_div" => one(f::try_kl_div(
            input(c)?, target(c)?, c.bool_or(5, "log_target", false)?, kl_reduction(c)?,
        )),
    }
}

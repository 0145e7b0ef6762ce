//! Builds losses.

use crate::case::{BY_TYPE, Case, one};
use crate::corpus::Given;
use crate::subject::{Built, subject};
use allotrope::functional::{KlReduction, Lengths};
use allotrope::prelude::*;
use allotrope::{Error, Result};

/// A loss of an input and a target.
macro_rules! pair {
    ($module:expr) => {
        subject($module, |loss, c| one(loss.try_forward(c.tensor(0, "input")?, c.tensor(1, "target")?)))
    };
}

/// A loss of three tensors, by these names.
macro_rules! triple {
    ($module:expr, $a:literal, $b:literal, $c:literal) => {
        subject($module, |loss, c| one(loss.try_forward(c.tensor(0, $a)?, c.tensor(1, $b)?, c.tensor(2, $c)?)))
    };
}

/// The module of a class, of the arguments of its constructor.
pub fn build(class: &str, c: &Case<'_>) -> Built {
    match class {
        "BCELoss" => pair!(bce(c)),
        "BCEWithLogitsLoss" => pair!(bce_with_logits(c)),
        "CTCLoss" => subject(ctc(c), |loss, c| {
            let (input, target) = (Numbers::of(c, 2, "input_lengths")?, Numbers::of(c, 3, "target_lengths")?);
            let (x, targets) = (c.tensor(0, "log_probs")?, c.tensor(1, "targets")?);
            one(loss.try_forward(x, targets, input.lengths(), target.lengths()))
        }),
        "CosineEmbeddingLoss" => triple!(cosine_embedding(c), "input1", "input2", "target"),
        "CrossEntropyLoss" => pair!(cross_entropy(c)),
        "GaussianNLLLoss" => subject(gaussian(c), |loss, c| {
            one(loss.try_forward(c.tensor(0, "input")?, c.tensor(1, "target")?, c.arg(2, "var")?))
        }),
        "HingeEmbeddingLoss" => pair!(hinge(c)),
        "HuberLoss" => pair!(huber(c)),
        "KLDivLoss" => pair!(kl_div(c)),
        "LinearCrossEntropyLoss" => pair!(linear_cross_entropy(c)),
        "L1Loss" => pair!(reduction(c, 2).map(|r| nn::L1Loss::new().reduction(r))),
        "MSELoss" => pair!(reduction(c, 2).map(|r| nn::MseLoss::new().reduction(r))),
        "MarginRankingLoss" => triple!(margin_ranking(c), "input1", "input2", "target"),
        "MultiLabelMarginLoss" => pair!(reduction(c, 2).map(|r| nn::MultiLabelMarginLoss::new().reduction(r))),
        "MultiLabelSoftMarginLoss" => pair!(multilabel_soft_margin(c)),
        "MultiMarginLoss" => pair!(multi_margin(c)),
        "NLLLoss" => pair!(nll(c)),
        "PoissonNLLLoss" => {
            subject(poisson(c), |loss, c| one(loss.try_forward(c.tensor(0, "log_input")?, c.tensor(1, "target")?)))
        }
        "SmoothL1Loss" => pair!(smooth_l1(c)),
        "SoftMarginLoss" => pair!(reduction(c, 2).map(|r| nn::SoftMarginLoss::new().reduction(r))),
        "TripletMarginLoss" => triple!(triplet(c), "anchor", "positive", "negative"),
        "TripletMarginWithDistanceLoss" => triple!(triplet_with_distance(c), "anchor", "positive", "negative"),
        _ => None,
    }
}

/// In place of `reduction` PyTorch has two older switches.
fn reduction(c: &Case<'_>, i: usize) -> Result<Reduction> {
    let (average, reduce) = (c.bool_opt(usize::MAX, "size_average")?, c.bool_opt(usize::MAX, "reduce")?);
    let name = c.str_or(i, "reduction", "mean")?;
    Ok(match (average, reduce, name) {
        (_, Some(false), _) => Reduction::None,
        (Some(false), _, _) => Reduction::Sum,
        (Some(true), _, _) | (None, Some(true), _) | (None, None, "mean") => Reduction::Mean,
        (None, None, "sum") => Reduction::Sum,
        (None, None, "none") => Reduction::None,
        (None, None, other) => return Err(Error::Argument(format!("{BY_TYPE}: reduction is {other}"))),
    })
}

fn bce(c: &Case<'_>) -> Result<nn::BceLoss> {
    let loss = nn::BceLoss::new().reduction(reduction(c, 3)?);
    Ok(match c.tensor_opt(0, "weight")? {
        Some(w) => loss.weight(w),
        None => loss,
    })
}

fn bce_with_logits(c: &Case<'_>) -> Result<nn::BceWithLogitsLoss> {
    let mut loss = nn::BceWithLogitsLoss::new().reduction(reduction(c, 3)?);
    if let Some(w) = c.tensor_opt(0, "weight")? {
        loss = loss.weight(w);
    }
    if let Some(w) = c.tensor_opt(4, "pos_weight")? {
        loss = loss.pos_weight(w);
    }
    Ok(loss)
}

fn cross_entropy(c: &Case<'_>) -> Result<nn::CrossEntropyLoss> {
    let loss = nn::CrossEntropyLoss::new()
        .ignore_index(c.int_or(2, "ignore_index", -100)? as i64)
        .reduction(reduction(c, 4)?)
        .label_smoothing(c.float_or(5, "label_smoothing", 0.0)?);
    Ok(match c.tensor_opt(0, "weight")? {
        Some(w) => loss.weight(w),
        None => loss,
    })
}

fn linear_cross_entropy(c: &Case<'_>) -> Result<nn::LinearCrossEntropyLoss> {
    let by_name = usize::MAX;
    let options = nn::LinearCrossEntropyOptions {
        out_features: c.sizes_opt(by_name, "out_features")?.unwrap_or_default(),
        bias: c.bool_or(by_name, "bias", false)?,
        weight: c.tensor_opt(by_name, "weight")?.cloned(),
        reduction: reduction(c, by_name)?,
        ignore_index: c.int_opt(by_name, "ignore_index")?.map(|i| i as i64),
        label_smoothing: c.float_or(by_name, "label_smoothing", 0.0)?,
        dtype: c.dtype_opt(by_name, "dtype")?.unwrap_or(DType::F32),
    };
    nn::LinearCrossEntropyLoss::try_with_options(c.size(0, "in_features")?, c.size(1, "num_classes")?, options)
}

fn nll(c: &Case<'_>) -> Result<nn::NllLoss> {
    let loss = nn::NllLoss::new().ignore_index(c.int_or(2, "ignore_index", -100)? as i64).reduction(reduction(c, 4)?);
    Ok(match c.tensor_opt(0, "weight")? {
        Some(w) => loss.weight(w),
        None => loss,
    })
}

fn kl_div(c: &Case<'_>) -> Result<nn::KlDivLoss> {
    let by = match c.str_or(2, "reduction", "mean")? {
        "batchmean" => KlReduction::BatchMean,
        _ => match reduction(c, 2)? {
            Reduction::Mean => KlReduction::Mean,
            Reduction::Sum => KlReduction::Sum,
            Reduction::None => KlReduction::None,
        },
    };
    Ok(nn::KlDivLoss::new().reduction(by).log_target(c.bool_or(3, "log_target", false)?))
}

fn gaussian(c: &Case<'_>) -> Result<nn::GaussianNllLoss> {
    let loss = nn::GaussianNllLoss::new().full(c.bool_or(usize::MAX, "full", false)?);
    Ok(loss.eps(c.float_or(usize::MAX, "eps", 1e-6)?).reduction(reduction(c, usize::MAX)?))
}

fn poisson(c: &Case<'_>) -> Result<nn::PoissonNllLoss> {
    let loss = nn::PoissonNllLoss::new().log_input(c.bool_or(0, "log_input", true)?).full(c.bool_or(1, "full", false)?);
    Ok(loss.eps(c.float_or(3, "eps", 1e-8)?).reduction(reduction(c, 5)?))
}

fn huber(c: &Case<'_>) -> Result<nn::HuberLoss> {
    Ok(nn::HuberLoss::new().reduction(reduction(c, 0)?).delta(c.float_or(1, "delta", 1.0)?))
}

fn smooth_l1(c: &Case<'_>) -> Result<nn::SmoothL1Loss> {
    Ok(nn::SmoothL1Loss::new().reduction(reduction(c, 2)?).beta(c.float_or(3, "beta", 1.0)?))
}

fn hinge(c: &Case<'_>) -> Result<nn::HingeEmbeddingLoss> {
    Ok(nn::HingeEmbeddingLoss::new().margin(c.float_or(0, "margin", 1.0)?).reduction(reduction(c, 3)?))
}

fn cosine_embedding(c: &Case<'_>) -> Result<nn::CosineEmbeddingLoss> {
    Ok(nn::CosineEmbeddingLoss::new().margin(c.float_or(0, "margin", 0.0)?).reduction(reduction(c, 3)?))
}

fn margin_ranking(c: &Case<'_>) -> Result<nn::MarginRankingLoss> {
    Ok(nn::MarginRankingLoss::new().margin(c.float_or(0, "margin", 0.0)?).reduction(reduction(c, 3)?))
}

fn multilabel_soft_margin(c: &Case<'_>) -> Result<nn::MultiLabelSoftMarginLoss> {
    let loss = nn::MultiLabelSoftMarginLoss::new().reduction(reduction(c, 3)?);
    Ok(match c.tensor_opt(0, "weight")? {
        Some(w) => loss.weight(w),
        None => loss,
    })
}

fn multi_margin(c: &Case<'_>) -> Result<nn::MultiMarginLoss> {
    let loss = nn::MultiMarginLoss::new().p(c.size_or(0, "p", 1)? as u32).margin(c.float_or(1, "margin", 1.0)?);
    let loss = loss.reduction(reduction(c, 5)?);
    Ok(match c.tensor_opt(2, "weight")? {
        Some(w) => loss.weight(w),
        None => loss,
    })
}

fn triplet(c: &Case<'_>) -> Result<nn::TripletMarginLoss> {
    let loss = nn::TripletMarginLoss::new().margin(c.float_or(0, "margin", 1.0)?).p(c.float_or(1, "p", 2.0)?);
    Ok(loss.eps(c.float_or(2, "eps", 1e-6)?).swap(c.bool_or(3, "swap", false)?).reduction(reduction(c, 6)?))
}

fn triplet_with_distance(c: &Case<'_>) -> Result<nn::TripletMarginWithDistanceLoss> {
    let loss = nn::TripletMarginWithDistanceLoss::new().margin(c.float_or(usize::MAX, "margin", 1.0)?);
    Ok(loss.swap(c.bool_or(usize::MAX, "swap", false)?).reduction(reduction(c, usize::MAX)?))
}

fn ctc(c: &Case<'_>) -> Result<nn::CtcLoss> {
    let loss = nn::CtcLoss::new().blank(c.size_or(0, "blank", 0)?).reduction(reduction(c, 1)?);
    Ok(loss.zero_infinity(c.bool_or(2, "zero_infinity", false)?))
}

/// Lengths as the case has them.
enum Numbers {
    Tensor(Tensor),
    List(Vec<usize>),
}

impl Numbers {
    fn of(c: &Case<'_>, i: usize, name: &str) -> Result<Numbers> {
        Ok(match c.given(i, name) {
            Some(Given::Tensor(_)) => Numbers::Tensor(c.tensor(i, name)?.clone()),
            _ => Numbers::List(c.sizes(i, name)?),
        })
    }

    fn lengths(&self) -> Lengths<'_> {
        match self {
            Numbers::Tensor(t) => t.into(),
            Numbers::List(list) => list.into(),
        }
    }
}

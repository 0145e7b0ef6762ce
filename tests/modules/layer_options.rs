//! Reads the arguments that many layers share: a number or one for each axis, and the options of convolutions.

use crate::case::Case;
use crate::corpus::Given;
use allotrope::functional::Padding;
use allotrope::nn::{ConvLayerOptions, ConvTransposeLayerOptions, PaddingMode, PerAxis, Sides};
use allotrope::ops::Number;
use allotrope::{DType, Error, Result};

fn wrong(name: &str, v: &Given) -> Error {
    Error::Argument(format!("argument {name} is {v}"))
}

fn to_size(name: &str, v: &Given) -> Result<usize> {
    match v {
        Given::Int(n) if *n >= 0 => Ok(*n as usize),
        v => Err(wrong(name, v)),
    }
}

fn each<const N: usize, T: std::fmt::Debug>(name: &str, all: Vec<T>) -> Result<[T; N]> {
    all.try_into().map_err(|all| Error::Argument(format!("argument {name} is {all:?}")))
}

/// A size, or one for each axis.
pub fn per_axis<const N: usize>(a: &Case<'_>, i: usize, name: &str) -> Result<PerAxis<N>> {
    match a.given(i, name) {
        Some(Given::List(all)) => {
            let all = all.iter().map(|v| to_size(name, v)).collect::<Result<Vec<_>>>()?;
            Ok(PerAxis::Each(each(name, all)?))
        }
        Some(v) => Ok(PerAxis::All(to_size(name, v)?)),
        None => Err(Error::Argument(format!("argument {name} is not given"))),
    }
}

/// As [`per_axis`], where it may be missing.
pub fn per_axis_or<const N: usize>(a: &Case<'_>, i: usize, name: &str, default: usize) -> Result<PerAxis<N>> {
    match a.given(i, name) {
        None | Some(Given::None) => Ok(PerAxis::All(default)),
        Some(_) => per_axis(a, i, name),
    }
}

/// The output size of adaptive pooling.
pub fn adaptive<const N: usize>(a: &Case<'_>) -> Result<PerAxis<N, Option<usize>>> {
    let name = "output_size";
    let one = |v: &Given| if *v == Given::None { Ok(None) } else { to_size(name, v).map(Some) };
    match a.given(0, name) {
        Some(Given::List(all)) => Ok(PerAxis::Each(each(name, all.iter().map(one).collect::<Result<Vec<_>>>()?)?)),
        Some(v) => Ok(PerAxis::All(one(v)?)),
        None => Err(Error::Argument(format!("argument {name} is not given"))),
    }
}

/// The sides of a padding layer.
pub fn sides<const N: usize>(a: &Case<'_>) -> Result<Sides<N>> {
    match &a.ints(0, "padding")?[..] {
        [one] => Ok(PerAxis::All(*one)),
        all => Ok(PerAxis::Each(each("padding", all.to_vec())?)),
    }
}

pub fn to_number(v: &Given) -> Result<Number> {
    match v {
        Given::Int(n) => Ok(Number::Int(*n)),
        Given::Float(x) => Ok(Number::Float(*x)),
        Given::Bool(on) => Ok(Number::Bool(*on)),
        v => Err(wrong("of a number", v)),
    }
}

/// A number as it was given.
pub fn number(a: &Case<'_>, i: usize, name: &str) -> Result<Number> {
    a.given(i, name).ok_or_else(|| Error::Argument(format!("argument {name} is not given"))).and_then(to_number)
}

/// The ratios of fractional pooling, one for all axes or one for each.
pub fn ratios<const N: usize>(a: &Case<'_>) -> Result<[f64; N]> {
    let name = "output_ratio";
    match a.given(2, name) {
        Some(Given::List(all)) => {
            each(name, all.iter().map(|v| Ok(to_number(v)?.to_f64())).collect::<Result<Vec<_>>>()?)
        }
        _ => Ok([number(a, 2, name)?.to_f64(); N]),
    }
}

/// The dtype, and the device before it, which there is one of.
pub fn dtype(a: &Case<'_>, i: usize) -> Result<DType> {
    _ = a.is_none(i - 1, "device");
    Ok(a.dtype_opt(i, "dtype")?.unwrap_or(DType::F32))
}

pub fn conv<const N: usize>(a: &Case<'_>) -> Result<ConvLayerOptions<N>> {
    let padding = match a.given(4, "padding") {
        Some(Given::Str(text)) if text == "same" => Padding::Same,
        Some(Given::Str(_)) => Padding::Valid,
        _ => Padding::Both(per_axis_or(a, 4, "padding", 0)?.each()),
    };
    let padding_mode = match a.str_or(8, "padding_mode", "zeros")? {
        "reflect" => PaddingMode::Reflect,
        "replicate" => PaddingMode::Replicate,
        "circular" => PaddingMode::Circular,
        _ => PaddingMode::Zeros,
    };
    Ok(ConvLayerOptions {
        stride: per_axis_or(a, 3, "stride", 1)?.each(),
        padding,
        dilation: per_axis_or(a, 5, "dilation", 1)?.each(),
        groups: a.size_or(6, "groups", 1)?,
        bias: a.bool_or(7, "bias", true)?,
        padding_mode,
        dtype: dtype(a, 10)?,
    })
}

pub fn conv_transpose<const N: usize>(a: &Case<'_>) -> Result<ConvTransposeLayerOptions<N>> {
    // There are only zeros.
    _ = a.str_opt(9, "padding_mode")?;
    Ok(ConvTransposeLayerOptions {
        stride: per_axis_or(a, 3, "stride", 1)?.each(),
        padding: per_axis_or(a, 4, "padding", 0)?.each(),
        output_padding: per_axis_or(a, 5, "output_padding", 0)?.each(),
        groups: a.size_or(6, "groups", 1)?,
        bias: a.bool_or(7, "bias", true)?,
        dilation: per_axis_or(a, 8, "dilation", 1)?.each(),
        dtype: dtype(a, 11)?,
    })
}

//! Adapters: convolutions, pooling, unfolding, interpolation, padding.

use crate::case::{BY_TYPE, Case, one};
use crate::run::Adapter;
use allotrope::functional as f;
use allotrope::{Error, Result, Tensor};

/// One number for each of `N` axes, or one for all; none where it is missing or an empty list.
fn each<const N: usize>(c: &Case, i: usize, name: &str) -> Result<Option<[usize; N]>> {
    let Some(list) = c.sizes_opt(i, name)? else { return Ok(None) };
    match list.len() {
        0 => Ok(None),
        1 => Ok(Some([list[0]; N])),
        n if n == N => Ok(Some(std::array::from_fn(|i| list[i]))),
        n => Err(Error::Argument(format!("{BY_TYPE}: {name} has {n} numbers for {N} axes"))),
    }
}

fn each_or<const N: usize>(c: &Case, i: usize, name: &str, default: usize) -> Result<[usize; N]> {
    Ok(each(c, i, name)?.unwrap_or([default; N]))
}

fn kernel<const N: usize>(c: &Case, i: usize) -> Result<[usize; N]> {
    each(c, i, "kernel_size")?.ok_or_else(|| Error::Argument(format!("{BY_TYPE}: no kernel size")))
}

fn conv<const N: usize>(c: &Case) -> Result<f::ConvOptions<N>> {
    let stride = each_or(c, 3, "stride", 1)?;
    let padding = match c.given(4, "padding") {
        Some(crate::corpus::Given::Str(s)) if s == "same" => f::Padding::Same,
        Some(crate::corpus::Given::Str(s)) if s == "valid" => f::Padding::Valid,
        _ => f::Padding::Both(each_or(c, 4, "padding", 0)?),
    };
    Ok(f::ConvOptions { stride, padding, dilation: each_or(c, 5, "dilation", 1)?, groups: c.size_or(6, "groups", 1)? })
}

fn conv_transpose<const N: usize>(c: &Case) -> Result<f::ConvTransposeOptions<N>> {
    Ok(f::ConvTransposeOptions {
        stride: each_or(c, 3, "stride", 1)?,
        padding: each_or(c, 4, "padding", 0)?,
        output_padding: each_or(c, 5, "output_padding", 0)?,
        groups: c.size_or(6, "groups", 1)?,
        dilation: each_or(c, 7, "dilation", 1)?,
    })
}

fn avg_pool<const N: usize>(c: &Case) -> Result<f::AvgPoolOptions<N>> {
    Ok(f::AvgPoolOptions {
        stride: each(c, 2, "stride")?,
        padding: each_or(c, 3, "padding", 0)?,
        ceil_mode: c.bool_or(4, "ceil_mode", false)?,
        count_include_pad: c.bool_or(5, "count_include_pad", true)?,
        divisor_override: c.int_opt(6, "divisor_override")?.map(|n| n as i64),
    })
}

fn max_pool<const N: usize>(c: &Case) -> Result<f::MaxPoolOptions<N>> {
    Ok(f::MaxPoolOptions {
        stride: each(c, 2, "stride")?,
        padding: each_or(c, 3, "padding", 0)?,
        dilation: each_or(c, 4, "dilation", 1)?,
        ceil_mode: c.bool_or(5, "ceil_mode", false)?,
    })
}

/// The values alone, unless the places are asked for.
fn with_places(c: &Case, (values, places): (Tensor, Tensor)) -> Result<Vec<Tensor>> {
    Ok(if c.bool_or(6, "return_indices", false)? { vec![values, places] } else { vec![values] })
}

fn input<'a>(c: &'a Case) -> Result<&'a Tensor> {
    c.tensor(0, "input")
}

fn adaptive<const N: usize>(c: &Case) -> Result<[Option<usize>; N]> {
    use crate::corpus::Given;
    let wanted = |v: &Given| match v {
        Given::None => Ok(None),
        Given::Int(n) => Ok(Some(*n as usize)),
        v => Err(Error::Argument(format!("{BY_TYPE}: output_size is {v}"))),
    };
    match c.given(1, "output_size") {
        // A list says more than its numbers: PyTorch then wants an axis before those.
        Some(Given::List(_)) if c.tensor(0, "input")?.dim() <= N => {
            Err(Error::Argument(format!("{BY_TYPE}: a list of sizes for so few axes")))
        }
        Some(Given::List(list)) if list.len() == N => {
            let list = list.iter().map(wanted).collect::<Result<Vec<_>>>()?;
            Ok(std::array::from_fn(|i| list[i]))
        }
        Some(v) => Ok([wanted(v)?; N]),
        None => Err(Error::Argument(format!("{BY_TYPE}: no output_size"))),
    }
}

fn interpolate(c: &Case) -> Result<Vec<Tensor>> {
    let scale_factor = match c.given(2, "scale_factor") {
        Some(crate::corpus::Given::Float(x)) => vec![*x],
        Some(crate::corpus::Given::None) | None => Vec::new(),
        Some(v) => return Err(Error::Argument(format!("{BY_TYPE}: scale_factor is {v}"))),
    };
    let mode = match c.str_or(3, "mode", "nearest")? {
        "nearest" => f::InterpolateMode::Nearest,
        "linear" => f::InterpolateMode::Linear,
        "bilinear" => f::InterpolateMode::Bilinear,
        other => return Err(Error::Argument(format!("{BY_TYPE}: mode is {other}"))),
    };
    let options = f::InterpolateOptions {
        size: c.sizes_opt(1, "size")?.unwrap_or_default(),
        scale_factor,
        mode,
        align_corners: c.bool_or(4, "align_corners", false)?,
        recompute_scale_factor: c.bool_or(5, "recompute_scale_factor", false)?,
    };
    one(f::try_interpolate(input(c)?, &options))
}

fn pad(c: &Case) -> Result<Vec<Tensor>> {
    let value = c.float_or(3, "value", 0.0)?;
    let mode = match c.str_or(2, "mode", "constant")? {
        "constant" => f::PadMode::Constant(value),
        "reflect" => f::PadMode::Reflect,
        "replicate" => f::PadMode::Replicate,
        "circular" => f::PadMode::Circular,
        other => return Err(Error::Argument(format!("{BY_TYPE}: mode is {other}"))),
    };
    one(f::try_pad(input(c)?, &c.ints(1, "pad")?, mode))
}

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "nn.functional.conv1d" => one(f::try_conv1d(
            input(c)?, c.tensor(1, "weight")?, c.tensor_opt(2, "bias")?, conv(c)?,
        )),
        "nn.functional.conv2d" => one(f::try_conv2d(
            input(c)?, c.tensor(1, "weight")?, c.tensor_opt(2, "bias")?, conv(c)?,
        )),
        "nn.functional.conv_transpose2d" => one(f::try_conv_transpose2d(
            input(c)?, c.tensor(1, "weight")?, c.tensor_opt(2, "bias")?, conv_transpose(c)?,
        )),
        "nn.functional.avg_pool1d" => one(f::try_avg_pool1d(input(c)?, kernel(c, 1)?, avg_pool(c)?)),
        "nn.functional.avg_pool2d" => one(f::try_avg_pool2d(input(c)?, kernel(c, 1)?, avg_pool(c)?)),
        "nn.functional.max_pool1d" => {
            if !c.bool_or(6, "return_indices", false)? {
                return one(f::try_max_pool1d(input(c)?, kernel(c, 1)?, max_pool(c)?));
            }
            with_places(c, f::try_max_pool1d_with_indices(input(c)?, kernel(c, 1)?, max_pool(c)?)?)
        },
        "nn.functional.max_pool2d" => {
            with_places(c, f::try_max_pool2d_with_indices(input(c)?, kernel(c, 1)?, max_pool(c)?)?)
        },
        "nn.functional.adaptive_avg_pool2d" => one(f::try_adaptive_avg_pool2d(input(c)?, adaptive(c)?)),
        "nn.functional.unfold" => one(f::try_unfold(input(c)?, kernel(c, 1)?, f::FoldOptions {
            dilation: each_or(c, 2, "dilation", 1)?,
            padding: each_or(c, 3, "padding", 0)?,
            stride: each_or(c, 4, "stride", 1)?,
        })),
        "nn.functional.interpolate.nearest" => interpolate(c),
        "nn.functional.interpolate.bilinear" => interpolate(c),
        "nn.functional.pad.constant" => pad(c),
        "nn.functional.pad.reflect" => pad(c),
        "nn.functional.pad.replicate" => pad(c),
        "nn.functional.pad.replicate_negative" => pad(c),
        "nn.functional.pad.circular" => pad(c),
        "nn.functional.pixel_shuffle" => one(f::try_pixel_shuffle(input(c)?, c.size(1, "upscale_factor")?)),
    }
}

//! Builds layers: linear, convolutions, pooling, normalisation, padding, dropout, embeddings, shapes.

use crate::case::Case;
use crate::corpus::Given;
use crate::layer_options::{adaptive, conv, conv_transpose, dtype, number, per_axis, per_axis_or, ratios, sides};
use crate::subject::{Built, subject};
use allotrope::functional::{FractionalSize, InterpolateMode, InterpolateOptions};
use allotrope::nn::{self, Forward};
use allotrope::ops::Number;
use allotrope::{Error, Result, Tensor};

/// The module of a class, of the arguments of its constructor.
pub fn build(class: &str, arguments: &Case<'_>) -> Built {
    let a = arguments;
    linear(class, a)
        .or_else(|| convolution(class, a))
        .or_else(|| max_pool(class, a))
        .or_else(|| pool(class, a))
        .or_else(|| norm(class, a))
        .or_else(|| pad(class, a))
        .or_else(|| dropout(class, a))
        .or_else(|| embedding(class, a))
        .or_else(|| shape(class, a))
}

/// A layer of one input and one output.
fn one<M: Forward + 'static>(module: Result<M>) -> Built {
    subject(module, |module, call: &Case<'_>| -> Result<Vec<Tensor>> {
        Ok(vec![module.try_forward(call.tensor(0, "input")?)?])
    })
}

fn linear(class: &str, a: &Case<'_>) -> Built {
    let options = |i: usize| -> Result<nn::LinearOptions> {
        Ok(nn::LinearOptions { bias: a.bool_or(i, "bias", true)?, dtype: dtype(a, i + 2)? })
    };
    let linear = || nn::Linear::try_with_options(a.size(0, "in_features")?, a.size(1, "out_features")?, options(2)?);
    let bilinear = || {
        let [in1, in2] = [a.size(0, "in1_features")?, a.size(1, "in2_features")?];
        nn::Bilinear::try_with_options(in1, in2, a.size(2, "out_features")?, options(3)?)
    };
    match class {
        "Linear" => one(linear()),
        "Bilinear" => subject(bilinear(), |layer, call| {
            Ok(vec![layer.try_forward(call.tensor(0, "input1")?, call.tensor(1, "input2")?)?])
        }),
        "Identity" => one(Ok(nn::Identity::new())),
        "CosineSimilarity" => {
            let new = || Ok(nn::CosineSimilarity::new(a.int_or(0, "dim", 1)?, a.float_or(1, "eps", 1e-8)?));
            subject(new(), |layer, call| Ok(vec![layer.try_forward(call.tensor(0, "x1")?, call.tensor(1, "x2")?)?]))
        }
        "PairwiseDistance" => {
            let new = || {
                let [p, eps] = [a.float_or(0, "p", 2.0)?, a.float_or(1, "eps", 1e-6)?];
                Ok(nn::PairwiseDistance::new(p, eps, a.bool_or(2, "keepdim", false)?))
            };
            subject(new(), |layer, call| Ok(vec![layer.try_forward(call.tensor(0, "x1")?, call.tensor(1, "x2")?)?]))
        }
        _ => None,
    }
}

fn convolution(class: &str, a: &Case<'_>) -> Built {
    macro_rules! new {
        ($layer:ident, $options:ident, $n:literal) => {
            (|| {
                let [inn, out] = [a.size(0, "in_channels")?, a.size(1, "out_channels")?];
                let kernel = per_axis::<$n>(a, 2, "kernel_size")?;
                nn::$layer::try_with_options(inn, out, kernel, $options::<$n>(a)?)
            })()
        };
    }
    /// The call with a size of the result, if there is one.
    macro_rules! sized {
        ($layer:expr) => {
            subject($layer, |layer, call| {
                let x = call.tensor(0, "input")?;
                let Some(size) = call.sizes_opt(1, "output_size")? else { return Ok(vec![layer.try_forward(x)?]) };
                let size = size.try_into().map_err(|_| Error::Argument("output_size".to_string()))?;
                Ok(vec![layer.try_forward_to(x, size)?])
            })
        };
    }
    match class {
        "Conv1d" => one(new!(Conv1d, conv, 1)),
        "Conv2d" => one(new!(Conv2d, conv, 2)),
        "Conv3d" => one(new!(Conv3d, conv, 3)),
        "ConvTranspose1d" => sized!(new!(ConvTranspose1d, conv_transpose, 1)),
        "ConvTranspose2d" => sized!(new!(ConvTranspose2d, conv_transpose, 2)),
        "ConvTranspose3d" => sized!(new!(ConvTranspose3d, conv_transpose, 3)),
        _ => None,
    }
}

/// Pooling that may give places too.
fn max_pool(class: &str, a: &Case<'_>) -> Built {
    macro_rules! pool {
        ($layer:expr, $place:expr) => {{
            let with_indices = match a.bool_or($place, "return_indices", false) {
                Ok(with) => with,
                Err(e) => return Some(Err(e)),
            };
            subject((|| $layer)(), move |layer, call| {
                let x = call.tensor(0, "input")?;
                if !with_indices {
                    return Ok(vec![layer.try_forward(x)?]);
                }
                let (values, places) = layer.try_forward_with_indices(x)?;
                Ok(vec![values, places])
            })
        }};
    }
    macro_rules! max {
        ($layer:ident, $n:literal) => {
            pool!(
                {
                    let options = nn::MaxPoolOptions::<$n> {
                        stride: if a.is_none(1, "stride") || (a.len() < 2 && !a.has("stride")) {
                            None
                        } else {
                            Some(per_axis(a, 1, "stride")?)
                        },
                        padding: per_axis_or(a, 2, "padding", 0)?,
                        dilation: per_axis_or(a, 3, "dilation", 1)?,
                        ceil_mode: a.bool_or(5, "ceil_mode", false)?,
                    };
                    nn::$layer::try_with_options(per_axis::<$n>(a, 0, "kernel_size")?, options)
                },
                4
            )
        };
    }
    macro_rules! shares {
        ($layer:ident, $n:literal) => {
            pool!(Ok(nn::$layer::new(adaptive::<$n>(a)?)), 1)
        };
    }
    macro_rules! fractional {
        ($layer:ident, $n:literal) => {
            pool!(
                {
                    let size = match a.is_none(1, "output_size") || !a.has("output_size") && a.len() < 2 {
                        false => FractionalSize::Output(per_axis::<$n>(a, 1, "output_size")?.each()),
                        true => FractionalSize::Ratio(ratios(a)?),
                    };
                    let layer = nn::$layer::try_new(per_axis::<$n>(a, 0, "kernel_size")?, size)?;
                    Ok(match a.tensor_opt(4, "_random_samples")? {
                        Some(samples) => layer.random_samples(samples.clone()),
                        None => layer,
                    })
                },
                3
            )
        };
    }
    match class {
        "MaxPool1d" => max!(MaxPool1d, 1),
        "MaxPool2d" => max!(MaxPool2d, 2),
        "MaxPool3d" => max!(MaxPool3d, 3),
        "AdaptiveMaxPool1d" => shares!(AdaptiveMaxPool1d, 1),
        "AdaptiveMaxPool2d" => shares!(AdaptiveMaxPool2d, 2),
        "AdaptiveMaxPool3d" => shares!(AdaptiveMaxPool3d, 3),
        "FractionalMaxPool2d" => fractional!(FractionalMaxPool2d, 2),
        "FractionalMaxPool3d" => fractional!(FractionalMaxPool3d, 3),
        _ => None,
    }
}

fn pool(class: &str, a: &Case<'_>) -> Built {
    macro_rules! stride {
        ($place:literal) => {
            if a.is_none($place, "stride") || (a.len() <= $place && !a.has("stride")) {
                None
            } else {
                Some(per_axis(a, $place, "stride")?)
            }
        };
    }
    macro_rules! average {
        ($layer:ident, $n:literal) => {
            one((|| {
                let options = nn::AvgPoolOptions::<$n> {
                    stride: stride!(1),
                    padding: per_axis_or(a, 2, "padding", 0)?,
                    ceil_mode: a.bool_or(3, "ceil_mode", false)?,
                    count_include_pad: a.bool_or(4, "count_include_pad", true)?,
                    divisor_override: a.int_opt(5, "divisor_override")?.map(|n| n as i64),
                };
                nn::$layer::try_with_options(per_axis::<$n>(a, 0, "kernel_size")?, options)
            })())
        };
    }
    macro_rules! power {
        ($layer:ident, $n:literal) => {
            one((|| {
                let options =
                    nn::LpPoolOptions::<$n> { stride: stride!(2), ceil_mode: a.bool_or(3, "ceil_mode", false)? };
                let kernel = per_axis::<$n>(a, 1, "kernel_size")?;
                nn::$layer::try_with_options(number(a, 0, "norm_type")?, kernel, options)
            })())
        };
    }
    macro_rules! shares {
        ($layer:ident, $n:literal) => {
            one((|| Ok(nn::$layer::new(adaptive::<$n>(a)?)))())
        };
    }
    macro_rules! unpool {
        ($layer:ident, $n:literal) => {
            subject(
                (|| {
                    let options =
                        nn::UnpoolOptions::<$n> { stride: stride!(1), padding: per_axis_or(a, 2, "padding", 0)? };
                    nn::$layer::try_with_options(per_axis::<$n>(a, 0, "kernel_size")?, options)
                })(),
                |layer, call| {
                    let size = call.sizes_opt(2, "output_size")?;
                    // The axes of batch and channels may be said too.
                    let size = size.map(|size| std::array::from_fn(|i| size[size.len() - $n + i]));
                    Ok(vec![layer.try_forward(call.tensor(0, "input")?, call.tensor(1, "indices")?, size)?])
                },
            )
        };
    }
    match class {
        "AvgPool1d" => average!(AvgPool1d, 1),
        "AvgPool2d" => average!(AvgPool2d, 2),
        "AvgPool3d" => average!(AvgPool3d, 3),
        "AdaptiveAvgPool1d" => shares!(AdaptiveAvgPool1d, 1),
        "AdaptiveAvgPool2d" => shares!(AdaptiveAvgPool2d, 2),
        "AdaptiveAvgPool3d" => shares!(AdaptiveAvgPool3d, 3),
        "LPPool1d" => power!(LpPool1d, 1),
        "LPPool2d" => power!(LpPool2d, 2),
        "LPPool3d" => power!(LpPool3d, 3),
        "MaxUnpool1d" => unpool!(MaxUnpool1d, 1),
        "MaxUnpool2d" => unpool!(MaxUnpool2d, 2),
        "MaxUnpool3d" => unpool!(MaxUnpool3d, 3),
        _ => None,
    }
}

fn norm(class: &str, a: &Case<'_>) -> Built {
    macro_rules! batch {
        ($layer:ident) => {
            one((|| {
                let given = a.given(2, "momentum");
                let options = nn::BatchNormOptions {
                    eps: a.float_or(1, "eps", 1e-5)?,
                    momentum: if given == Some(&Given::None) { None } else { Some(a.float_or(2, "momentum", 0.1)?) },
                    affine: a.bool_or(3, "affine", true)?,
                    track_running_stats: a.bool_or(4, "track_running_stats", true)?,
                    bias: a.bool_or(usize::MAX, "bias", true)?,
                    dtype: dtype(a, 6)?,
                };
                nn::$layer::try_with_options(a.size(0, "num_features")?, options)
            })())
        };
    }
    macro_rules! instance {
        ($layer:ident) => {
            one((|| {
                let options = nn::InstanceNormOptions {
                    eps: a.float_or(1, "eps", 1e-5)?,
                    momentum: a.float_or(2, "momentum", 0.1)?,
                    affine: a.bool_or(3, "affine", false)?,
                    track_running_stats: a.bool_or(4, "track_running_stats", false)?,
                    bias: a.bool_or(usize::MAX, "bias", true)?,
                    dtype: dtype(a, 6)?,
                };
                nn::$layer::try_with_options(a.size(0, "num_features")?, options)
            })())
        };
    }
    let layer = || {
        let options = nn::LayerNormOptions {
            eps: a.float_or(1, "eps", 1e-5)?,
            elementwise_affine: a.bool_or(2, "elementwise_affine", true)?,
            bias: a.bool_or(3, "bias", true)?,
            dtype: dtype(a, 5)?,
        };
        nn::LayerNorm::try_with_options(&a.sizes(0, "normalized_shape")?, options)
    };
    let rms = || {
        let options = nn::RmsNormOptions {
            eps: a.float_opt(1, "eps")?,
            elementwise_affine: a.bool_or(2, "elementwise_affine", true)?,
            dtype: dtype(a, 4)?,
        };
        nn::RmsNorm::try_with_options(&a.sizes(0, "normalized_shape")?, options)
    };
    let group = || {
        let options = nn::GroupNormOptions {
            eps: a.float_or(2, "eps", 1e-5)?,
            affine: a.bool_or(3, "affine", true)?,
            bias: a.bool_or(usize::MAX, "bias", true)?,
            dtype: dtype(a, 5)?,
        };
        nn::GroupNorm::try_with_options(a.size(0, "num_groups")?, a.size(1, "num_channels")?, options)
    };
    let response = || -> Result<nn::LocalResponseNormOptions> {
        Ok(nn::LocalResponseNormOptions {
            alpha: a.float_or(1, "alpha", 1e-4)?,
            beta: a.float_or(2, "beta", 0.75)?,
            k: a.float_or(3, "k", 1.0)?,
        })
    };
    match class {
        "BatchNorm1d" => batch!(BatchNorm1d),
        "BatchNorm2d" => batch!(BatchNorm2d),
        "BatchNorm3d" => batch!(BatchNorm3d),
        "InstanceNorm1d" => instance!(InstanceNorm1d),
        "InstanceNorm2d" => instance!(InstanceNorm2d),
        "InstanceNorm3d" => instance!(InstanceNorm3d),
        "LayerNorm" => one(layer()),
        "RMSNorm" => subject(rms(), |layer, call| {
            Ok(vec![layer.try_forward(call.tensor(0, if call.has("x") { "x" } else { "input" })?)?])
        }),
        "GroupNorm" => one(group()),
        "LocalResponseNorm" => one((|| nn::LocalResponseNorm::try_with_options(a.size(0, "size")?, response()?))()),
        _ => None,
    }
}

fn pad(class: &str, a: &Case<'_>) -> Built {
    macro_rules! pads {
        ($($layer:ident $n:literal),*; $($constant:ident $m:literal),*) => {
            match class {
                $(stringify!($layer) => one((|| Ok(nn::$layer::new(sides::<$n>(a)?)))()),)*
                $(stringify!($constant) => {
                    one((|| Ok(nn::$constant::new(sides::<$m>(a)?, number(a, 1, "value")?)))())
                })*
                _ => None,
            }
        };
    }
    pads!(
        CircularPad1d 2, CircularPad2d 4, CircularPad3d 6, ReflectionPad1d 2, ReflectionPad2d 4, ReflectionPad3d 6,
        ReplicationPad1d 2, ReplicationPad2d 4, ReplicationPad3d 6, ZeroPad1d 2, ZeroPad2d 4, ZeroPad3d 6;
        ConstantPad1d 2, ConstantPad2d 4, ConstantPad3d 6
    )
}

fn dropout(class: &str, a: &Case<'_>) -> Built {
    macro_rules! dropouts {
        ($($layer:ident),*) => {
            match class {
                $(stringify!($layer) => one((|| {
                    let layer = nn::$layer::try_new(a.float_or(0, "p", 0.5)?)?;
                    Ok(layer.inplace(a.bool_or(1, "inplace", false)?))
                })()),)*
                _ => None,
            }
        };
    }
    dropouts!(Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout)
}

fn embedding(class: &str, a: &Case<'_>) -> Built {
    let sizes = || Ok::<_, Error>((a.size(0, "num_embeddings")?, a.size(1, "embedding_dim")?));
    let embedding = || {
        let (n, d) = sizes()?;
        let options = nn::EmbeddingOptions {
            padding_idx: a.int_opt(2, "padding_idx")?,
            max_norm: a.float_opt(3, "max_norm")?,
            norm_type: a.float_or(4, "norm_type", 2.0)?,
            scale_grad_by_freq: a.bool_or(5, "scale_grad_by_freq", false)?,
            dtype: dtype(a, 10)?,
        };
        nn::Embedding::try_with_options(n, d, options)
    };
    let bag = || {
        let (n, d) = sizes()?;
        let mode = match a.str_or(5, "mode", "mean")? {
            "sum" => allotrope::functional::BagMode::Sum,
            "max" => allotrope::functional::BagMode::Max,
            _ => allotrope::functional::BagMode::Mean,
        };
        let options = nn::EmbeddingBagOptions {
            mode,
            max_norm: a.float_opt(2, "max_norm")?,
            norm_type: a.float_or(3, "norm_type", 2.0)?,
            scale_grad_by_freq: a.bool_or(4, "scale_grad_by_freq", false)?,
            include_last_offset: a.bool_or(8, "include_last_offset", false)?,
            padding_idx: a.int_opt(9, "padding_idx")?,
            dtype: dtype(a, 11)?,
        };
        nn::EmbeddingBag::try_with_options(n, d, options)
    };
    match class {
        "Embedding" => one(embedding()),
        "EmbeddingBag" => subject(bag(), |layer, call| {
            let offsets = call.tensor_opt(1, "offsets")?;
            let weights = call.tensor_opt(2, "per_sample_weights")?;
            Ok(vec![layer.try_forward(call.tensor(0, "input")?, offsets, weights)?])
        }),
        _ => None,
    }
}

fn shape(class: &str, a: &Case<'_>) -> Built {
    let upsample = || {
        let mode = match a.str_or(2, "mode", "nearest")? {
            "nearest-exact" => InterpolateMode::NearestExact,
            "linear" => InterpolateMode::Linear,
            "bilinear" => InterpolateMode::Bilinear,
            "trilinear" => InterpolateMode::Trilinear,
            "bicubic" => InterpolateMode::Bicubic,
            "area" => InterpolateMode::Area,
            _ => InterpolateMode::Nearest,
        };
        Ok(nn::Upsample::new(InterpolateOptions {
            size: a.sizes_opt(0, "size")?.unwrap_or_default(),
            scale_factor: factors(a, 1)?,
            mode,
            align_corners: a.bool_or(3, "align_corners", false)?,
            recompute_scale_factor: a.bool_or(4, "recompute_scale_factor", false)?,
        }))
    };
    let fold_options = |i: usize| -> Result<nn::FoldOptions> {
        Ok(nn::FoldOptions {
            dilation: per_axis_or(a, i, "dilation", 1)?,
            padding: per_axis_or(a, i + 1, "padding", 0)?,
            stride: per_axis_or(a, i + 2, "stride", 1)?,
        })
    };
    macro_rules! planes {
        ($layer:ident) => {
            one((|| match a.sizes_opt(0, "size")? {
                Some(size) => Ok(nn::$layer::to_size(&size)),
                None => Ok(nn::$layer::by_factor(&factors(a, 1)?)),
            })())
        };
    }
    match class {
        "Flatten" => one((|| Ok(nn::Flatten::new(a.int_or(0, "start_dim", 1)?, a.int_or(1, "end_dim", -1)?)))()),
        "Unflatten" => one((|| nn::Unflatten::try_new(a.int(0, "dim")?, &a.ints(1, "unflattened_size")?))()),
        "PixelShuffle" => one((|| nn::PixelShuffle::try_new(a.size(0, "upscale_factor")?))()),
        "PixelUnshuffle" => one((|| nn::PixelUnshuffle::try_new(a.size(0, "downscale_factor")?))()),
        "ChannelShuffle" => one((|| nn::ChannelShuffle::try_new(a.size(0, "groups")?))()),
        "Upsample" => one(upsample()),
        "UpsamplingNearest2d" => planes!(UpsamplingNearest2d),
        "UpsamplingBilinear2d" => planes!(UpsamplingBilinear2d),
        "Unfold" => one((|| nn::Unfold::try_with_options(per_axis::<2>(a, 0, "kernel_size")?, fold_options(1)?))()),
        "Fold" => one((|| {
            let size = per_axis::<2>(a, 0, "output_size")?;
            nn::Fold::try_with_options(size, per_axis::<2>(a, 1, "kernel_size")?, fold_options(2)?)
        })()),
        _ => None,
    }
}

/// Factors of a resampling: a number, or one for each axis.
fn factors(a: &Case<'_>, i: usize) -> Result<Vec<f64>> {
    match a.given(i, "scale_factor") {
        None | Some(Given::None) => Ok(Vec::new()),
        Some(Given::List(all)) => all.iter().map(|v| crate::layer_options::to_number(v).map(Number::to_f64)).collect(),
        Some(one) => Ok(vec![crate::layer_options::to_number(one)?.to_f64()]),
    }
}

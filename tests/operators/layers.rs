//! Rows: convolutions, pooling, unfolding, interpolation, padding, linear maps, normalisations, attention.

use crate::derivative::{Case, Row, case, check_all, row};
use crate::draw::Domain::*;
use crate::draw::Draw;
use allotrope::functional::{self as f, InterpolateMode, PadMode, Padding};
use allotrope::prelude::trace;
use allotrope::{DType, Tensor};

/// Perhaps one more tensor that the function takes.
fn perhaps(d: &mut Draw, inputs: &mut Vec<Tensor>, shape: &[usize]) -> bool {
    let given = d.once_in(2);
    if given {
        let t = d.tensor(shape, Any);
        inputs.push(t);
    }
    given
}

fn conv<const N: usize>(d: &mut Draw, f: fn(&Tensor, &Tensor, Option<&Tensor>, f::ConvOptions<N>) -> Tensor) -> Case {
    let groups = d.between(1, 2);
    let (ins, outs) = (groups * d.between(1, 2), groups);
    let kernel: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let dilation: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let padding = match d.below(3) {
        0 => Padding::Both([0; N]),
        1 => Padding::Both(std::array::from_fn(|_| d.between(0, 1))),
        _ => Padding::Same,
    };
    let stride = match padding {
        Padding::Same => [1; N],
        _ => std::array::from_fn(|_| d.between(1, 2)),
    };
    let sizes: [usize; N] =
        std::array::from_fn(|i| (kernel[i] - 1) * dilation[i] + 1 + d.below(if N == 3 { 1 } else { 2 }));
    let mut shape = vec![ins];
    if d.once_in(4) {
        // Without a batch.
    } else {
        shape.insert(0, d.pick(&[1, 2, 0]));
    }
    shape.extend(sizes);
    let weight: Vec<usize> = [outs, ins / groups].into_iter().chain(kernel).collect();
    let mut x = vec![d.tensor(&shape, Any), d.tensor(&weight, Any)];
    perhaps(d, &mut x, &[outs]);
    let options = f::ConvOptions { stride, padding, dilation, groups };
    case(x, options, move |x| vec![f(&x[0], &x[1], x.get(2), options)])
}

fn conv_transpose<const N: usize>(
    d: &mut Draw,
    f: fn(&Tensor, &Tensor, Option<&Tensor>, f::ConvTransposeOptions<N>) -> Tensor,
) -> Case {
    let groups = d.between(1, 2);
    let (ins, outs) = (groups, groups * d.between(1, 2));
    let kernel: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let stride: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let dilation: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let padding: [usize; N] = std::array::from_fn(|i| d.below(2).min((kernel[i] - 1) * dilation[i]));
    let output_padding = std::array::from_fn(|i| d.below(2).min(stride[i].max(dilation[i]) - 1));
    let mut shape = vec![d.pick(&[1, 2, 0]), ins];
    shape.extend((0..N).map(|_| d.between(1, if N == 3 { 1 } else { 2 }) + 1));
    let weight: Vec<usize> = [ins, outs / groups].into_iter().chain(kernel).collect();
    let mut x = vec![d.tensor(&shape, Any), d.tensor(&weight, Any)];
    perhaps(d, &mut x, &[outs]);
    let options = f::ConvTransposeOptions { stride, padding, output_padding, groups, dilation };
    case(x, options, move |x| vec![f(&x[0], &x[1], x.get(2), options)])
}

/// `[n, c, ..]` or `[c, ..]` with `N` axes of these sizes.
fn image<const N: usize>(d: &mut Draw, low: usize, high: usize) -> Vec<usize> {
    let sizes: Vec<usize> = (0..N).map(|_| d.between(low, high)).collect();
    let lead = match d.below(4) {
        0 => vec![1, 1],
        1 => vec![2],
        2 => vec![0, 2],
        _ => vec![2, 1],
    };
    lead.into_iter().chain(sizes).collect()
}

fn avg_pool<const N: usize>(d: &mut Draw, f: fn(&Tensor, [usize; N], f::AvgPoolOptions<N>) -> Tensor) -> Case {
    let shape = image::<N>(d, 2, if N == 3 { 2 } else { 4 });
    let kernel: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let options = f::AvgPoolOptions {
        stride: d.once_in(2).then(|| std::array::from_fn(|_| d.between(1, 2))),
        padding: std::array::from_fn(|i| d.below(kernel[i] / 2 + 1)),
        ceil_mode: d.once_in(2),
        count_include_pad: d.once_in(2),
        divisor_override: d.once_in(3).then_some(3),
    };
    case(vec![d.tensor(&shape, Any)], (kernel, options), move |x| vec![f(&x[0], kernel, options)])
}

fn max_pool<const N: usize>(
    d: &mut Draw,
    f: fn(&Tensor, [usize; N], f::MaxPoolOptions<N>) -> (Tensor, Tensor),
) -> Case {
    let shape = image::<N>(d, 3, if N == 3 { 3 } else { 4 });
    let kernel: [usize; N] = std::array::from_fn(|_| d.between(1, 2));
    let options = f::MaxPoolOptions {
        stride: d.once_in(2).then(|| std::array::from_fn(|_| d.between(1, 2))),
        padding: std::array::from_fn(|i| d.below(kernel[i] / 2 + 1)),
        dilation: std::array::from_fn(|_| d.between(1, 2)),
        ceil_mode: d.once_in(2),
    };
    case(vec![d.tensor(&shape, Distinct)], (kernel, options), move |x| {
        let (values, places) = f(&x[0], kernel, options);
        vec![values, places]
    })
}

fn adaptive<const N: usize, R: Into<Vec<Tensor>> + 'static>(
    d: &mut Draw,
    f: fn(&Tensor, [Option<usize>; N]) -> R,
) -> Case {
    let shape = image::<N>(d, 1, if N == 3 { 2 } else { 4 });
    let out = std::array::from_fn(|_| (!d.once_in(4)).then(|| d.between(1, 3)));
    case(vec![d.tensor(&shape, Distinct)], out, move |x| f(&x[0], out).into())
}

fn interpolate<const N: usize>(d: &mut Draw, modes: &[InterpolateMode], corners: bool) -> Case {
    let lead = d.pick(&[[1, 1], [2, 1], [0, 2]]);
    let shape: Vec<usize> = lead.into_iter().chain((0..N).map(|_| d.between(1, if N == 3 { 2 } else { 3 }))).collect();
    let by_size = d.once_in(2);
    let options = f::InterpolateOptions {
        size: if by_size { (0..N).map(|_| d.between(1, 4)).collect() } else { Vec::new() },
        scale_factor: if by_size { Vec::new() } else { vec![d.pick(&[2.0, 1.5, 1.0])] },
        mode: d.pick(modes),
        align_corners: corners && d.once_in(2),
        recompute_scale_factor: !by_size && d.once_in(3),
    };
    case(vec![d.tensor(&shape, Any)], options.clone(), move |x| vec![f::interpolate(&x[0], &options)])
}

/// Pads of some of the last axes, `most` elements at each end of an axis of `n`.
fn pad(d: &mut Draw, mode: PadMode, least: isize, most: impl Fn(usize) -> usize) -> Case {
    let free = matches!(mode, PadMode::Constant(_));
    let axes = if free { d.between(0, 3) } else { d.between(1, 2) };
    let shape = d.filled_shape(axes + if free { 0 } else { 1 }, if free { 4 } else { axes + 2 });
    let pads: Vec<isize> = (0..2 * axes)
        .map(|i| {
            let n = shape[shape.len() - 1 - i / 2];
            // Both ends together leave one element at least.
            let low = least.max(-((n as isize - 1) / 2));
            low + d.below((most(n) as isize - low) as usize + 1) as isize
        })
        .collect();
    case(vec![d.tensor(&shape, Any)], (pads.clone(), mode), move |x| vec![f::pad(&x[0], &pads, mode)])
}

fn windows() -> Vec<Row> {
    vec![
        row("nn.functional.conv1d", |d| conv(d, f::conv1d)),
        row("nn.functional.conv2d", |d| conv(d, f::conv2d)),
        row("nn.functional.conv3d", |d| conv(d, f::conv3d)),
        row("nn.functional.conv_transpose1d", |d| conv_transpose(d, f::conv_transpose1d)),
        row("nn.functional.conv_transpose2d", |d| conv_transpose(d, f::conv_transpose2d)),
        row("nn.functional.conv_transpose3d", |d| conv_transpose(d, f::conv_transpose3d)),
        row("nn.functional.avg_pool1d", |d| avg_pool(d, f::avg_pool1d)),
        row("nn.functional.avg_pool2d", |d| avg_pool(d, f::avg_pool2d)),
        row("nn.functional.avg_pool3d", |d| avg_pool(d, f::avg_pool3d)),
        row("nn.functional.max_pool1d", |d| max_pool(d, f::max_pool1d_with_indices)),
        row("nn.functional.max_pool2d", |d| max_pool(d, f::max_pool2d_with_indices)),
        row("nn.functional.max_pool3d", |d| max_pool(d, f::max_pool3d_with_indices)),
        row("nn.functional.adaptive_avg_pool1d", |d| adaptive(d, |x, n| [f::adaptive_avg_pool1d(x, n)])),
        row("nn.functional.adaptive_avg_pool2d", |d| adaptive(d, |x, n| [f::adaptive_avg_pool2d(x, n)])),
        row("nn.functional.adaptive_avg_pool3d", |d| adaptive(d, |x, n| [f::adaptive_avg_pool3d(x, n)])),
        row("nn.functional.adaptive_max_pool1d", |d| {
            adaptive(d, |x, n| <[Tensor; 2]>::from(f::adaptive_max_pool1d(x, n)))
        }),
        row("nn.functional.adaptive_max_pool2d", |d| {
            adaptive(d, |x, n| <[Tensor; 2]>::from(f::adaptive_max_pool2d(x, n)))
        }),
        row("nn.functional.unfold", |d| {
            let (kernel, options) = fold_options(d);
            let sizes: [usize; 2] = std::array::from_fn(|i| (kernel[i] - 1) * options.dilation[i] + 1 + d.below(2));
            let shape: Vec<usize> = d.pick(&[[1, 1], [2, 1], [0, 2]]).into_iter().chain(sizes).collect();
            case(vec![d.tensor(&shape, Any)], (kernel, options), move |x| vec![f::unfold(&x[0], kernel, options)])
        }),
        row("nn.functional.fold", |d| {
            let (kernel, options) = fold_options(d);
            let out: [usize; 2] = std::array::from_fn(|i| (kernel[i] - 1) * options.dilation[i] + 1 + d.below(2));
            let count = |i: usize| {
                (out[i] + 2 * options.padding[i] - (kernel[i] - 1) * options.dilation[i] - 1) / options.stride[i] + 1
            };
            let shape = [d.pick(&[1, 2, 0]), kernel[0] * kernel[1], count(0) * count(1)];
            let x = d.tensor(&shape, Any);
            case(vec![x], (out, kernel, options), move |x| vec![f::fold(&x[0], out, kernel, options)])
        }),
        row("nn.functional.pixel_shuffle", |d| {
            let shape = [d.pick(&[1, 2, 0]), 4, d.between(1, 2), d.between(0, 2)];
            case(vec![d.tensor(&shape, Any)], 2, |x| vec![f::pixel_shuffle(&x[0], 2)])
        }),
        row("nn.functional.pixel_unshuffle", |d| {
            let shape = [d.pick(&[1, 2, 0]), d.between(1, 2), 2 * d.between(1, 2), 2];
            case(vec![d.tensor(&shape, Any)], 2, |x| vec![f::pixel_unshuffle(&x[0], 2)])
        }),
        row("nn.functional.channel_shuffle", |d| {
            let shape = [d.pick(&[1, 2, 0]), 4, d.between(1, 3)];
            case(vec![d.tensor(&shape, Any)], 2, |x| vec![f::channel_shuffle(&x[0], 2)])
        }),
    ]
}

fn fold_options(d: &mut Draw) -> ([usize; 2], f::FoldOptions) {
    let mut two = |low| std::array::from_fn(|_| d.between(low, low + 1));
    (two(1), f::FoldOptions { dilation: two(1), padding: two(0), stride: two(1) })
}

fn resampling() -> Vec<Row> {
    vec![
        row("nn.functional.interpolate.nearest", |d| {
            interpolate::<2>(d, &[InterpolateMode::Nearest, InterpolateMode::NearestExact], false)
        }),
        row("nn.functional.interpolate.bilinear", |d| interpolate::<2>(d, &[InterpolateMode::Bilinear], true)),
        row("nn.functional.interpolate.linear", |d| interpolate::<1>(d, &[InterpolateMode::Linear], true)),
        row("nn.functional.interpolate.trilinear", |d| interpolate::<3>(d, &[InterpolateMode::Trilinear], true)),
        row("nn.functional.interpolate.bicubic", |d| interpolate::<2>(d, &[InterpolateMode::Bicubic], true)),
        row("nn.functional.interpolate.area", |d| interpolate::<2>(d, &[InterpolateMode::Area], false)),
        row("nn.functional.pad.constant", |d| pad(d, PadMode::Constant(1.5), 0, |_| 2)),
        row("nn.functional.pad.constant of negative pads", |d| pad(d, PadMode::Constant(1.5), -1, |_| 1)),
        row("nn.functional.pad.reflect", |d| pad(d, PadMode::Reflect, 0, |n| (n - 1).min(2))),
        row("nn.functional.pad.replicate", |d| pad(d, PadMode::Replicate, 0, |_| 2)),
        row("nn.functional.pad.replicate_negative", |d| pad(d, PadMode::Replicate, -1, |_| 1)),
        row("nn.functional.pad.circular", |d| pad(d, PadMode::Circular, 0, |n| n.min(2))),
    ]
}

/// A normalisation with perhaps a weight and perhaps a bias.
fn with_affine(
    d: &mut Draw,
    mut x: Vec<Tensor>,
    shape: &[usize],
    f: impl Fn(&[Tensor], f::NormOptions<'_>) -> Tensor + 'static,
) -> Case {
    let n = x.len();
    let weight = perhaps(d, &mut x, shape);
    let bias = perhaps(d, &mut x, shape);
    case(x, (weight, bias), move |x| {
        let weight_at = weight.then_some(n);
        let bias_at = bias.then_some(n + usize::from(weight));
        let options =
            f::NormOptions { weight: weight_at.map(|i| &x[i]), bias: bias_at.map(|i| &x[i]), ..Default::default() };
        vec![f(x, options)]
    })
}

/// Running statistics are read or left alone here; that they are changed is tested elsewhere.
fn by_channel(
    d: &mut Draw,
    least: usize,
    f: fn(&Tensor, Option<&Tensor>, Option<&Tensor>, f::BatchNormOptions<'_>) -> Tensor,
) -> Case {
    let c = d.between(1, 3);
    let training = !d.once_in(2);
    let mut shape = vec![2, c];
    shape.extend((0..least.max(d.below(2))).map(|_| 2));
    let x = vec![d.tensor(&shape, Distinct)];
    // A difference quotient calls the function often: the statistics must not follow.
    let (mean, var) = (d.tensor(&[c], Any).detach(), d.tensor(&[c], Positive).detach());
    with_affine(d, x, &[c], move |x, o| {
        let statistics = (!training).then_some((&mean, &var));
        let options = f::BatchNormOptions { weight: o.weight, bias: o.bias, training, ..Default::default() };
        f(&x[0], statistics.map(|s| s.0), statistics.map(|s| s.1), options)
    })
}

fn norms() -> Vec<Row> {
    vec![
        row("nn.functional.batch_norm", |d| by_channel(d, 0, f::batch_norm)),
        row("nn.functional.instance_norm", |d| by_channel(d, 1, f::instance_norm)),
        row("nn.functional.layer_norm", |d| {
            let mut shape = d.shape(1, 3);
            let from = d.below(shape.len());
            shape[from..].iter_mut().for_each(|n| *n = (*n).max(2));
            let last = shape[from..].to_vec();
            let x = vec![d.tensor(&shape, Distinct)];
            let own = last.clone();
            with_affine(d, x, &last, move |x, o| f::layer_norm(&x[0], &own, o))
        }),
        row("nn.functional.rms_norm", |d| {
            let mut shape = d.shape(1, 3);
            let from = d.below(shape.len());
            shape[from..].iter_mut().for_each(|n| *n = (*n).max(1));
            let last = shape[from..].to_vec();
            let mut x = vec![d.tensor(&shape, Away)];
            perhaps(d, &mut x, &last);
            let eps = d.pick(&[None, Some(0.1)]);
            case(x, (last.clone(), eps), move |x| vec![f::rms_norm(&x[0], &last, x.get(1), eps)])
        }),
        row("nn.functional.group_norm", |d| {
            let groups = d.between(1, 2);
            let c = groups * d.between(1, 2);
            let shape = [d.pick(&[1, 2]), c, 2];
            let x = vec![d.tensor(&shape, Distinct)];
            with_affine(d, x, &[c], move |x, o| f::group_norm(&x[0], groups, o))
        }),
        row("nn.functional.local_response_norm", |d| {
            let shape = [d.between(1, 2), d.between(1, 4), d.between(1, 2)];
            let size = d.between(1, 3);
            let x = d.tensor(&shape, Any);
            case(vec![x], size, move |x| vec![f::local_response_norm(&x[0], size, 0.5, 0.75, 1.0)])
        }),
        row("nn.functional.normalize", |d| {
            let shape = d.shape(0, 4);
            let (p, axis) = (d.pick(&[2.0, 1.0, 3.0]), d.axis(shape.len()));
            case(vec![d.tensor(&shape, Away)], (p, axis), move |x| vec![f::normalize(&x[0], p, axis, 1e-12)])
        }),
        row("nn.functional.cosine_similarity", |d| {
            let shape = d.shape(0, 4);
            let axis = d.axis(shape.len());
            let x = vec![d.tensor(&shape, Away), d.tensor(&shape, Away)];
            case(x, axis, move |x| vec![f::cosine_similarity(&x[0], &x[1], axis, 1e-8)])
        }),
        row("nn.functional.pairwise_distance", |d| {
            let shape = d.shape(0, 3);
            let (p, keepdim) = (d.pick(&[2.0, 1.0, 3.0]), d.once_in(2));
            let x = vec![d.tensor(&shape, Grid(0.0)), d.tensor(&shape, Grid(0.1))];
            case(x, (p, keepdim), move |x| vec![f::pairwise_distance(&x[0], &x[1], p, 1e-6, keepdim)])
        }),
    ]
}

fn products() -> Vec<Row> {
    vec![
        row("nn.functional.linear", |d| {
            let (ins, outs) = (d.between(0, 3), d.between(1, 3));
            let mut shape = d.shape(0, 2);
            shape.push(ins);
            let mut x = vec![d.tensor(&shape, Any), d.tensor(&[outs, ins], Any)];
            perhaps(d, &mut x, &[outs]);
            case(x, (), |x| vec![f::linear(&x[0], &x[1], x.get(2))])
        }),
        row("nn.functional.bilinear", |d| {
            let (a, b, outs) = (d.between(1, 2), d.between(1, 3), d.between(1, 2));
            let lead = d.shape(1, 1);
            let shape = |n: usize| lead.iter().copied().chain([n]).collect::<Vec<_>>();
            let mut x = vec![d.tensor(&shape(a), Any), d.tensor(&shape(b), Any), d.tensor(&[outs, a, b], Any)];
            perhaps(d, &mut x, &[outs]);
            case(x, (), |x| vec![f::bilinear(&x[0], &x[1], &x[2], x.get(3))])
        }),
        row("nn.functional.embedding", |d| {
            let (rows, width) = (d.between(1, 4), d.between(0, 3));
            let shape = d.shape(0, 2);
            // A row that is padding has no gradient, so differences would not agree where it is used.
            let padding = d.once_in(2).then_some(rows as isize);
            let index = d.index(&shape, rows);
            let weight = d.tensor(&[rows + 1, width], Any);
            case(vec![index, weight], padding, move |x| vec![f::embedding(&x[0], &x[1], padding)])
        }),
        row("nn.functional.scaled_dot_product_attention", |d| {
            let (l, s, e, v) = (d.between(1, 3), d.between(1, 3), d.between(1, 2), d.between(1, 2));
            let lead = d.pick(&[&[][..], &[2], &[1, 2], &[0]]);
            let shape = |a: usize, b: usize| lead.iter().copied().chain([a, b]).collect::<Vec<_>>();
            let mut x = vec![d.tensor(&shape(l, e), Any), d.tensor(&shape(s, e), Any), d.tensor(&shape(s, v), Any)];
            let causal = d.once_in(3);
            let masked = !causal && perhaps(d, &mut x, &[l, s]);
            let scale = d.pick(&[None, Some(0.7)]);
            case(x, (causal, masked, scale), move |x| {
                let options =
                    f::AttentionOptions { attn_mask: x.get(3), is_causal: causal, scale, ..Default::default() };
                vec![f::scaled_dot_product_attention(&x[0], &x[1], &x[2], options)]
            })
        }),
    ]
}

pub fn rows() -> Vec<Row> {
    [windows(), resampling(), norms(), products()].into_iter().flatten().collect()
}

#[test]
fn windows_of_images() {
    check_all(windows());
}

#[test]
fn interpolation_and_padding() {
    check_all(resampling());
}

#[test]
fn normalisations() {
    check_all(norms());
}

#[test]
fn linear_maps() {
    check_all(products());
}

/// Running statistics that all channels share move once for each; nothing to normalise is still multiplied by the weight. As in
/// PyTorch.
#[test]
fn batch_norm_at_the_edges() {
    let x = Tensor::arange(12).to(DType::F32).view(&[2, 3, 2]);
    let options = f::BatchNormOptions { training: true, momentum: 0.5, ..Default::default() };
    let shared = |n: f32| Tensor::full(&[1], n).expand(&[3]);
    let (mean, var) = (shared(0.25), shared(1.0));
    f::batch_norm(&(&x * &x), Some(&mean), Some(&var), options);
    assert_eq!((mean.to_vec::<f32>(), var.to_vec::<f32>()), (vec![45.34375; 3], vec![1846.75; 3]));
    assert!(f::try_instance_norm(&x, Some(&mean), None, options).is_err());
    for traced in [false, true] {
        let (weight, bias) = (Tensor::ones(&[3], DType::F32).requires_grad(), Tensor::ones(&[3], DType::F32));
        let call = |x: &Tensor, w: &Tensor, b: &Tensor| {
            f::batch_norm(x, None, None, f::BatchNormOptions { weight: Some(w), bias: Some(b), ..options })
        };
        let x = Tensor::zeros(&[0, 3, 2], DType::F32);
        let y = if traced { trace(call).call((&x, &weight, &bias)).unwrap() } else { call(&x, &weight, &bias) };
        assert!(y.is_requires_grad() && y.shape() == [0, 3, 2]);
        y.sum().backward();
        assert_eq!(weight.grad().unwrap().to_vec::<f32>(), [0.0; 3]);
    }
}

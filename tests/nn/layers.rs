//! Bad input of layers: a panic with its words at the caller's line, the same words from the `try_` form, and nothing changed.

use crate::quiet::{is_crash, quietly};
use allotrope::functional::Padding;
use allotrope::prelude::*;
use allotrope::tensor::random::get_rng_state;

/// Refused with these words, by a panic in this file and by an error.
macro_rules! refused {
    ($($words:literal)+: $panics:expr, $fails:expr) => {{
        let told = quietly(|| _ = $panics).err().unwrap_or_else(|| panic!("not refused: {}", stringify!($panics)));
        assert!(told.contains(concat!("(at ", file!(), ":")), "not at the caller's line: {told}");
        let error = $fails.err().unwrap_or_else(|| panic!("not refused: {}", stringify!($fails))).to_string();
        for text in [&told, &error] {
            assert!(!is_crash(text), "{text}");
            $(assert!(text.contains($words), "no {:?} in {text:?}", $words);)+
        }
    }};
}

/// Refused in both forms of a constructor, which draw nothing.
macro_rules! no_layer {
    ($($words:literal)+: $layer:ident($($arg:expr),*)) => {{
        let before = get_rng_state();
        refused!($($words)+: nn::$layer::new($($arg),*), nn::$layer::try_new($($arg),*));
        assert_eq!(get_rng_state(), before, "{} drew", stringify!($layer));
    }};
    ($($words:literal)+: $layer:ident($($arg:expr),*; $options:expr)) => {{
        let before = get_rng_state();
        refused!(
            $($words)+: nn::$layer::with_options($($arg,)* $options), nn::$layer::try_with_options($($arg,)* $options)
        );
        assert_eq!(get_rng_state(), before, "{} drew", stringify!($layer));
    }};
}

/// Refused in both forms of the forward pass, which change no parameter and no buffer.
macro_rules! no_value {
    ($($words:literal)+: $layer:expr, $x:expr) => {{
        let (layer, x) = ($layer, $x);
        let state = || -> Vec<Vec<f64>> {
            layer.state_dict().iter().map(|(_, t)| t.to(DType::F64).to_vec()).collect()
        };
        let (before, drawn) = (state(), get_rng_state());
        refused!($($words)+: layer.forward(&x), layer.try_forward(&x));
        assert_eq!(state(), before, "the layer changed");
        assert_eq!(get_rng_state(), drawn, "numbers were drawn");
    }};
}

fn floats(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32)
}

fn conv2d() -> nn::Conv2dOptions {
    nn::Conv2dOptions::default()
}

#[test]
fn layers_that_cannot_be() {
    let _alone = crate::alone();
    // One test, for all look at the one generator.
    manual_seed(1);
    no_layer!("Conv2d" "kernel_size" "at least": Conv2d(1, 1, 0));
    no_layer!("stride": Conv2d(1, 1, 3; nn::Conv2dOptions { stride: [0, 1], ..conv2d() }));
    no_layer!("dilation": Conv2d(1, 1, 3; nn::Conv2dOptions { dilation: [1, 0], ..conv2d() }));
    no_layer!("groups": Conv2d(4, 4, 3; nn::Conv2dOptions { groups: 0, ..conv2d() }));
    no_layer!("in_channels" "5" "2": Conv2d(5, 4, 3; nn::Conv2dOptions { groups: 2, ..conv2d() }));
    no_layer!("out_channels" "5" "2": Conv2d(4, 5, 3; nn::Conv2dOptions { groups: 2, ..conv2d() }));
    no_layer!("Same" "stride": Conv2d(4, 4, 3; nn::Conv2dOptions { padding: Padding::Same, stride: [2, 1], ..conv2d() }));
    no_layer!("floats" "i64": Conv2d(4, 4, 3; nn::Conv2dOptions { dtype: DType::I64, ..conv2d() }));
    no_layer!("kernel_size": ConvTranspose1d(1, 1, [0]));
    no_layer!("groups": ConvTranspose3d(4, 4, 3; nn::ConvTranspose3dOptions { groups: 3, ..Default::default() }));
    no_layer!("floats" "bool": Linear(2, 2; nn::LinearOptions { dtype: DType::Bool, bias: true }));
    no_layer!("in1_features": Bilinear(0, 2, 2));
    no_layer!("kernel_size": MaxPool1d(0));
    no_layer!("stride": MaxPool2d(2; nn::MaxPool2dOptions { stride: Some(0.into()), ..Default::default() }));
    no_layer!("divisor_override": AvgPool2d(2; nn::AvgPool2dOptions { divisor_override: Some(0), ..Default::default() }));
    no_layer!("norm_type": LpPool2d(0.0, 2));
    no_layer!("kernel_size": MaxUnpool2d([2, 0]));
    no_layer!("multiple" "4" "3": GroupNorm(3, 4));
    no_layer!("multiple" "0": GroupNorm(0, 4));
    no_layer!("one axis": LayerNorm(&[]));
    no_layer!("one axis": RmsNorm(&[]));
    no_layer!("size": LocalResponseNorm(0));
    no_layer!("probability" "1.5": Dropout(1.5));
    no_layer!("probability" "NaN": AlphaDropout(f64::NAN));
    no_layer!("padding_idx" "4" "-5": Embedding(4, 2; nn::EmbeddingOptions { padding_idx: Some(-5), ..Default::default() }));
    no_layer!("padding_idx": EmbeddingBag(4, 2; nn::EmbeddingBagOptions { padding_idx: Some(4), ..Default::default() }));
    no_layer!("upscale_factor": PixelShuffle(0));
    no_layer!("groups": ChannelShuffle(0));
    no_layer!("unflattened_size": Unflatten(0, &[]));
    no_layer!("kernel_size": Unfold(0));
    no_layer!("stride": Fold(4, 2; nn::FoldOptions { stride: 0.into(), ..Default::default() }));
    // Sizes that no memory holds.
    let huge = usize::MAX / 2;
    no_layer!("": Linear(huge, 3));
    no_layer!("": Linear(1 << 30, 1 << 30));
    no_layer!("": Bilinear(1 << 20, 1 << 20, 1 << 20));
    no_layer!("": Conv3d(1, 1, huge));
    no_layer!("": ConvTranspose2d(1 << 30, 1 << 30, 3));
    no_layer!("": BatchNorm1d(huge));
    no_layer!("": LayerNorm(&[1 << 31, 1 << 31]));
    no_layer!("": Embedding(huge, huge));

    // Inputs that do not fit.
    no_value!("linear" "4" "3": nn::Linear::new(3, 2), floats(&[5, 4]));
    no_value!("": nn::Linear::new(3, 2), floats(&[5, 3]).to(DType::I64));
    no_value!("conv1d": nn::Conv1d::new(3, 2, 3), floats(&[3]));
    no_value!("conv2d" "4": nn::Conv2d::new(3, 2, 3), floats(&[1, 4, 5, 5]));
    no_value!("conv2d": nn::Conv2d::new(3, 2, 3), floats(&[1, 3, 2, 5]));
    no_value!("conv2d": nn::Conv2d::new(3, 2, 3), floats(&[1, 3, 5, 5]).to(DType::F64));
    let reflected = || {
        nn::Conv2d::with_options(
            3,
            2,
            3,
            nn::Conv2dOptions { padding: [7, 7].into(), padding_mode: nn::PaddingMode::Reflect, ..conv2d() },
        )
    };
    no_value!("pad": reflected(), floats(&[1, 3, 5, 5]));
    no_value!("conv_transpose2d": nn::ConvTranspose2d::new(3, 2, 3), floats(&[1, 4, 5, 5]));
    let transposed = nn::ConvTranspose1d::new(3, 2, 3);
    refused!("output_size" "9" "7": transposed.forward_to(&floats(&[1, 3, 5]), [9]), transposed.try_forward_to(&floats(&[1, 3, 5]), [9]));
    no_value!("max_pool2d": nn::MaxPool2d::new(4), floats(&[1, 3, 3, 3]));
    no_value!("max_pool1d": nn::MaxPool1d::new(2), floats(&[3]));
    no_value!("avg_pool3d": nn::AvgPool3d::new(2), floats(&[3, 4]));
    no_value!("adaptive_avg_pool2d": nn::AdaptiveAvgPool2d::new(2), floats(&[3]));
    no_value!("": nn::AdaptiveMaxPool1d::new(huge), floats(&[1, 3, 4]));
    no_value!("BatchNorm1d" "2 or 3": nn::BatchNorm1d::new(3), floats(&[2, 3, 4, 5]));
    no_value!("BatchNorm2d" "3" "4": nn::BatchNorm2d::new(3), floats(&[2, 4, 2, 2]));
    no_value!("more than one": nn::BatchNorm1d::new(3), floats(&[1, 3]));
    no_value!("": nn::BatchNorm1d::new(3), floats(&[2, 3]).to(DType::I64));
    let average = || nn::BatchNorm1d::with_options(3, nn::BatchNormOptions { momentum: None, ..Default::default() });
    no_value!("more than one": average(), floats(&[1, 3, 1]));
    let instance = || {
        let options = nn::InstanceNormOptions { affine: true, track_running_stats: true, ..Default::default() };
        nn::InstanceNorm1d::with_options(3, options)
    };
    no_value!("InstanceNorm1d" "3": instance(), floats(&[2, 4, 5]));
    no_value!("more than one": instance(), floats(&[2, 3, 1]));
    no_value!("layer_norm" "[4]": nn::LayerNorm::new(&[4]), floats(&[2, 3]));
    no_value!("rms_norm": nn::RmsNorm::new(&[4]), floats(&[2, 3]));
    no_value!("GroupNorm" "6": nn::GroupNorm::new(2, 6), floats(&[2, 4, 3]));
    no_value!("local_response_norm": nn::LocalResponseNorm::new(2), floats(&[2, 4]));
    no_value!("CircularPad2d" "3 or 4": nn::CircularPad2d::new(1), floats(&[4, 4]));
    no_value!("pad": nn::ReflectionPad1d::new(4), floats(&[1, 1, 4]));
    no_value!("": nn::ZeroPad2d::new(isize::MAX), floats(&[1, 1, 4]));
    no_value!("": nn::ConstantPad1d::new(-3, 1.0), floats(&[1, 4]));
    no_value!("Dropout1d" "2 or 3": nn::Dropout1d::new(0.5), floats(&[4]));
    no_value!("embedding": nn::Embedding::new(4, 2), floats(&[3]));
    no_value!("embedding": nn::Embedding::new(4, 2), Tensor::from_vec(vec![1i64, 4], &[2]));
    let short =
        || nn::Embedding::with_options(4, 2, nn::EmbeddingOptions { max_norm: Some(1e-3), ..Default::default() });
    no_value!("embedding": short(), Tensor::from_vec(vec![1i64, 4], &[2]));
    no_value!("flatten": nn::Flatten::new(1, 5), floats(&[2, 3]));
    no_value!("unflatten": nn::Unflatten::new(1, &[2, 2]), floats(&[2, 3]));
    no_value!("pixel_shuffle": nn::PixelShuffle::new(2), floats(&[1, 3, 2, 2]));
    no_value!("fold": nn::Fold::new(4, 2), floats(&[1, 4, 8]));
    no_value!("interpolate": nn::Upsample::new(Default::default()), floats(&[1, 1, 4]));
    let bag = nn::EmbeddingBag::new(4, 2);
    let words = Tensor::from_vec(vec![0i64, 1, 2], &[3]);
    let wrong = Tensor::from_vec(vec![1i64, 2], &[2]);
    refused!("offsets": bag.forward(&words, None, None), bag.try_forward(&words, None, None));
    refused!("offsets": bag.forward(&words, Some(&wrong), None), bag.try_forward(&words, Some(&wrong), None));
    refused!("sums": bag.forward(&words, Some(&wrong), Some(&floats(&[3]))), bag.try_forward(&words, Some(&wrong), Some(&floats(&[3]))));
    let bilinear = nn::Bilinear::new(2, 3, 4);
    let (a, b) = (floats(&[5, 2]), floats(&[4, 3]));
    refused!("bilinear": bilinear.forward(&a, &b), bilinear.try_forward(&a, &b));
}

/// What fails in a compiled call leaves running statistics as they were, too.
#[test]
fn a_compiled_call_that_fails_changes_no_statistics() {
    let _alone = crate::alone();
    let norm = nn::BatchNorm1d::new(2);
    let table = nn::Embedding::new(4, 2);
    let f = trace(|words: &Tensor| norm.forward(&table.forward(words)));
    let words = |last: i64| Tensor::from_vec(vec![0, 1, last], &[3]);
    f.call(&words(2)).unwrap();
    let state = || norm.running_mean.as_ref().unwrap().to_vec::<f32>();
    let before = state();
    let error = f.call(&words(4)).unwrap_err().to_string();
    assert!(error.contains("embedding"), "{error}");
    assert_eq!(state(), before);
    assert_eq!(norm.num_batches_tracked.as_ref().unwrap().item::<i64>(), 1);
    f.call(&words(3)).unwrap();
    assert_ne!(state(), before);
}

/// A layer of another dtype computes in it, as PyTorch's does.
#[test]
fn layers_have_a_dtype() {
    let _alone = crate::alone();
    let dtype = DType::F64;
    let x = Tensor::ones(&[2, 4, 5], dtype);
    let conv = nn::Conv1d::with_options(4, 6, 3, nn::Conv1dOptions { dtype, ..Default::default() });
    let norm = nn::BatchNorm1d::with_options(6, nn::BatchNormOptions { dtype, ..Default::default() });
    let linear = nn::Linear::with_options(3, 2, nn::LinearOptions { dtype, bias: true });
    let net = nn::Sequential::new().append(conv).append(norm).append(linear);
    assert_eq!(net.forward(&x).dtype(), dtype);
    assert!(net.parameters().iter().all(|p| p.dtype() == dtype));
    let half = nn::Linear::with_options(3, 2, nn::LinearOptions { dtype: DType::BF16, bias: true });
    assert_eq!(half.forward(&Tensor::ones(&[1, 3], DType::BF16)).dtype(), DType::BF16);
}

/// A table that is there is used as it is, and trained if it is to be.
#[test]
fn a_table_that_is_there() {
    let _alone = crate::alone();
    let table = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    let second = Tensor::from_vec(vec![1i64], &[1]);
    for freeze in [true, false] {
        let layer = nn::Embedding::from_pretrained(&table, freeze, nn::EmbeddingOptions::default());
        let bags = nn::EmbeddingBag::from_pretrained(&table, freeze, nn::EmbeddingBagOptions::default());
        let (row, bag) = (layer.forward(&second), bags.forward(&second.unsqueeze(0), None, None));
        assert_eq!((row.to_vec::<f32>(), bag.to_vec::<f32>()), (vec![3.0, 4.0], vec![3.0, 4.0]));
        assert_eq!((row.is_requires_grad(), bag.is_requires_grad()), (!freeze, !freeze));
    }
    let options = nn::EmbeddingOptions { padding_idx: Some(2), ..Default::default() };
    let new = || nn::Embedding::try_from_pretrained(&table, true, options);
    refused!("padding_idx" "2 rows": nn::Embedding::from_pretrained(&table, true, options), new());
    let flat = table.reshape(&[-1]);
    let options = nn::EmbeddingOptions::default();
    let new = || nn::Embedding::try_from_pretrained(&flat, true, options);
    refused!("[n, d]" "[4]": nn::Embedding::from_pretrained(&flat, true, options), new());
}

/// Dropout in place changes its input in training, and gradients follow.
#[test]
fn dropout_in_place() {
    let _alone = crate::alone();
    manual_seed(2);
    let leaf = floats(&[32]).requires_grad();
    let layer = nn::Dropout::new(0.5).inplace(true);
    let x = &leaf * 3.0;
    let y = layer.forward(&x);
    assert_eq!(x.to_vec::<f32>(), y.to_vec::<f32>());
    y.sum().backward();
    let grads = leaf.grad().unwrap().to_vec::<f32>();
    assert!(grads.contains(&0.0) && grads.contains(&6.0) && grads.iter().all(|g| [0.0, 6.0].contains(g)), "{grads:?}");
    layer.eval();
    assert_eq!(layer.forward(&floats(&[3])).to_vec::<f32>(), [1.0; 3]);
}

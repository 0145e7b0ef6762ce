//! Attention and transformers where the cases of PyTorch's module database do not reach: compiled once for all sizes, several layers,
//! functions of one's own, and what does not fit.

use crate::alone;
use allotrope::nn::{
    DecoderMasks, EncoderMasks, MultiheadAttention, MultiheadForwardOptions, MultiheadOptions, Transformer,
    TransformerActivation, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    TransformerLayerOptions, TransformerMasks, TransformerOptions,
};
use allotrope::ops::grad;
use allotrope::prelude::*;

fn small() -> TransformerLayerOptions {
    TransformerLayerOptions { dim_feedforward: 8, dropout: 0.0, ..Default::default() }
}

fn bits(tensors: &[Tensor]) -> Vec<Vec<u32>> {
    tensors.iter().map(|t| t.detach().to_vec::<f32>().into_iter().map(f32::to_bits).collect()).collect()
}

fn with_gradients(y: Tensor, parameters: &[Tensor]) -> Vec<Tensor> {
    let loss = (&y * &y).sum();
    let grads = grad(&[&loss], &parameters.iter().collect::<Vec<_>>(), false).expect("gradients");
    [y].into_iter().chain(grads.into_iter().map(|g| g.expect("every parameter is used"))).collect()
}

#[test]
fn a_compiled_transformer_holds_for_all_lengths_and_batches() {
    let _drawing = alone();
    manual_seed(1);
    let layer = TransformerLayerOptions { activation: TransformerActivation::Gelu, ..small() };
    let options = TransformerOptions { num_encoder_layers: 2, num_decoder_layers: 1, layer };
    let model = Transformer::with_options(4, 2, options);
    let parameters = model.parameters();
    let step = |src: &Tensor, tgt: &Tensor, padding: &Tensor| {
        let causal = Transformer::generate_square_subsequent_mask(tgt.sizes()[0]);
        let masks = TransformerMasks {
            tgt_mask: Some(&causal),
            src_key_padding_mask: Some(padding),
            memory_key_padding_mask: Some(padding),
            ..Default::default()
        };
        with_gradients(model.forward(src, tgt, masks), &parameters)
    };
    let traced = trace(step);
    for (source, target, batch) in [(3, 4, 2), (5, 2, 3), (4, 6, 2)] {
        let (src, tgt) = (randn(&[source, batch, 4]), randn(&[target, batch, 4]));
        // The last step of the first sequence is there to fill up.
        let places: Vec<bool> = (0..source * batch).map(|i| i + 1 == source).collect();
        let padding = Tensor::from_vec(places, &[batch, source]);
        let got = traced.call((&src, &tgt, &padding)).expect("a call");
        assert_eq!(bits(&got), bits(&step(&src, &tgt, &padding)), "{source} {target} {batch}");
    }
    assert_eq!(traced.compilations(), 1);
}

#[test]
fn attention_weights_of_any_batch_come_from_one_compiled_function() {
    let _drawing = alone();
    manual_seed(2);
    let options =
        MultiheadOptions { add_bias_kv: true, add_zero_attn: true, kdim: Some(3), dropout: 0.3, ..Default::default() };
    let attention = MultiheadAttention::with_options(4, 2, options);
    let step = |q: &Tensor, k: &Tensor, v: &Tensor| {
        let options = MultiheadForwardOptions { average_attn_weights: false, ..Default::default() };
        let (out, weights) = attention.forward(q, k, v, options);
        vec![out, weights.expect("they were asked for")]
    };
    let traced = trace(step);
    for (target, source, batch) in [(3, 5, 2), (2, 2, 4)] {
        let (q, k, v) = (randn(&[target, batch, 4]), randn(&[source, batch, 3]), randn(&[source, batch, 4]));
        manual_seed(7);
        let eager = step(&q, &k, &v);
        assert_eq!(eager[1].shape(), [batch, 2, target, source + 2]);
        manual_seed(7);
        assert_eq!(bits(&traced.call((&q, &k, &v)).expect("a call")), bits(&eager));
    }
    assert_eq!(traced.compilations(), 1);
}

/// The numbers are PyTorch's, in evaluation without gradients, where it leaves the padded steps out.
#[test]
fn layers_of_an_encoder_begin_with_the_same_numbers_and_give_pytorchs() {
    let _drawing = alone();
    manual_seed(5);
    let layer = TransformerEncoderLayer::with_options(4, 2, TransformerLayerOptions { batch_first: true, ..small() });
    let encoder = TransformerEncoder::new(layer, 2, nn::LayerNorm::new(&[4]));
    encoder.eval();
    assert!(encoder.to_string().contains("(0-1): 2 x TransformerEncoderLayer("), "{encoder}");
    let [first, second] = [0, 1].map(|i| encoder.layers[i].linear1.weight.clone());
    assert_eq!(first.to_vec::<f32>(), second.to_vec::<f32>());
    let x = Tensor::from_vec((0..24).map(|i| (i * 5 % 17) as f32 / 8.0 - 1.0).collect(), &[2, 3, 4]);
    let padding = Tensor::from_vec(vec![false, false, false, false, true, true], &[2, 3]);
    let masks = EncoderMasks { src_key_padding_mask: Some(&padding), ..Default::default() };
    let y = no_grad(|| encoder.forward_with(&x, masks)).to_vec::<f32>();
    let want = [
        -0.9952202,
        0.77267,
        -0.98136246,
        1.2039127,
        -0.09222406,
        1.5071716,
        -0.10795296,
        -1.3069947,
        -0.083079055,
        1.5027643,
        -0.10693142,
        -1.3127539,
        -0.5653169,
        1.6416391,
        -0.9888072,
        -0.087514974,
    ];
    for (got, want) in y.iter().zip(want) {
        assert!((got - want).abs() < 1e-5, "{got}, wanted {want}");
    }
    no_grad(|| first.fill_(0.0));
    assert!(second.to_vec::<f32>().iter().any(|&w| w != 0.0), "each layer has weights of its own");
}

#[test]
fn a_function_of_ones_own_stands_between_the_products() {
    let _drawing = alone();
    let with = |activation| {
        manual_seed(3);
        let layer = TransformerEncoderLayer::with_options(4, 2, TransformerLayerOptions { activation, ..small() });
        layer.forward(&Tensor::ones(&[2, 1, 4], DType::F32)).detach().to_vec::<f32>()
    };
    assert_eq!(with(TransformerActivation::function(|x| x.relu())), with(TransformerActivation::Relu));
    assert_ne!(with(TransformerActivation::function(|x| x * 2.0)), with(TransformerActivation::Relu));
}

fn says<T>(result: allotrope::Result<T>, parts: &[&str]) {
    let text = result.err().expect("it does not fit").to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn what_does_not_fit_says_so() {
    let _drawing = alone();
    says(MultiheadAttention::try_with_options(6, 4, Default::default()), &["num_heads", "divide", "4 and 6"]);
    says(MultiheadAttention::try_with_options(0, 1, Default::default()), &["at least 1", "0 and 1"]);
    says(
        MultiheadAttention::try_with_options(4, 2, MultiheadOptions { dropout: -0.5, ..Default::default() }),
        &["dropout", "-0.5"],
    );
    says(TransformerEncoderLayer::try_with_options(4, 3, small()), &["num_heads", "3 and 4"]);
    let dropped = TransformerLayerOptions { dropout: 2.0, ..small() };
    says(TransformerDecoderLayer::try_with_options(4, 2, dropped), &["dropout", "0 to 1", "got 2"]);

    let attention = MultiheadAttention::with_options(4, 2, MultiheadOptions { vdim: Some(3), ..Default::default() });
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    let (q, k, v) = (zeros(&[5, 2, 4]), zeros(&[6, 2, 4]), zeros(&[6, 2, 3]));
    let plain = MultiheadForwardOptions::default();
    says(attention.try_forward(&zeros(&[4]), &k, &v, plain), &["query", "[time, batch, embed]", "[4]"]);
    says(attention.try_forward(&q, &k, &k, plain), &["value", "embed = 3", "[6, 2, 4]"]);
    says(attention.try_forward(&q, &zeros(&[6, 4]), &v, plain), &["key", "[time, batch, embed]", "[6, 4]"]);
    says(attention.try_forward(&q, &zeros(&[7, 2, 4]), &v, plain), &["[7, 2, 4]", "[6, 2, 3]", "as many"]);
    says(attention.try_forward(&zeros(&[5, 3, 4]), &k, &v, plain), &["one batch size", "[5, 3, 4]"]);
    says(attention.try_forward(&q.to(DType::F64), &k, &v, plain), &["f32", "f64"]);
    let with_mask = |mask: &Tensor| {
        attention.try_forward(&q, &k, &v, MultiheadForwardOptions { attn_mask: Some(mask), ..plain }).map(drop)
    };
    says(with_mask(&zeros(&[5, 5])), &["attn_mask", "[5, 6]", "[5, 5]"]);
    says(with_mask(&zeros(&[2, 5, 6])), &["attn_mask", "[4, 5, 6]", "[2, 5, 6]"]);
    says(with_mask(&Tensor::zeros(&[5, 6], DType::I64)), &["attn_mask", "bool", "i64"]);
    with_mask(&zeros(&[4, 5, 6])).expect("a mask for each batch and head");
    let padding = Tensor::zeros(&[6, 2], DType::Bool);
    let options = MultiheadForwardOptions { key_padding_mask: Some(&padding), ..plain };
    says(attention.try_forward(&q, &k, &v, options), &["key_padding_mask", "[2, 6]", "[6, 2]"]);
    let causal = MultiheadForwardOptions { is_causal: true, ..plain };
    says(attention.try_forward(&q, &k, &v, causal), &["is_causal", "attn_mask"]);

    let options = TransformerOptions { num_encoder_layers: 1, num_decoder_layers: 1, layer: small() };
    let model = Transformer::with_options(4, 2, options);
    let none = TransformerMasks::default();
    says(model.try_forward(&zeros(&[3, 2, 4]), &zeros(&[3, 1, 4]), none), &["transformer", "[3, 2, 4]", "[3, 1, 4]"]);
    says(model.try_forward(&zeros(&[3, 2, 5]), &zeros(&[3, 2, 5]), none), &["d_model = 4", "[3, 2, 5]"]);
    let decoder = TransformerDecoderLayer::with_options(4, 2, small());
    let encoder = TransformerEncoder::new(TransformerEncoderLayer::with_options(6, 2, small()), 1, None);
    let other = nn::TransformerDecoder::new(decoder, 1, None);
    says(Transformer::try_of(encoder, other), &["one d_model", "(6, false)", "(4, false)"]);
    let decoder = TransformerDecoderLayer::with_options(4, 2, small());
    let memory = zeros(&[3, 1, 4]);
    says(decoder.try_forward(&zeros(&[3, 2, 4]), &memory, DecoderMasks::default()), &["one batch size", "[3, 1, 4]"]);
}

//! A batch of another size runs the same compiled code, and what the call changes or refuses is the same in both modes.

use allotrope::functional as f;
use allotrope::ops::grad;
use allotrope::prelude::*;

fn numbers(shape: &[usize], k: usize) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| ((i * 37 + k * 101) % 257) as f32 / 64.0 - 2.0).collect(), shape)
}

/// Convolutions, pooling, norms and losses of a small network, with the gradients of its weights.
fn network(x: &Tensor, y: &Tensor, w: &[Tensor]) -> Vec<Tensor> {
    let same = f::ConvOptions { padding: f::Padding::Same, ..Default::default() };
    let h = f::conv2d(x, &w[0], Some(&w[1]), same);
    let h = f::batch_norm(&h, Some(&w[5]), Some(&w[6]), f::BatchNormOptions { training: true, ..Default::default() });
    let h = f::max_pool2d(&h.relu(), [2, 2], f::MaxPoolOptions::default());
    let h = f::conv_transpose2d(&h, &w[2], None, f::ConvTransposeOptions { stride: [2, 2], ..Default::default() });
    let h = f::group_norm(&h, 2, f::NormOptions::default());
    let h = f::adaptive_avg_pool2d(&f::avg_pool2d(&h, [3, 3], f::AvgPoolOptions::default()), [Some(1), Some(1)]);
    let h = f::linear(&h.flatten(1, 3), &w[3], Some(&w[4]));
    let loss = f::cross_entropy(&h, y, f::CrossEntropyOptions { label_smoothing: 0.1, ..Default::default() });
    let wanted: Vec<&Tensor> = w[..5].iter().collect();
    let grads = grad(&[&loss], &wanted, false).expect("a gradient");
    grads.into_iter().map(|g| g.expect("is used")).chain([h.detach(), loss.detach()]).collect()
}

fn parameters() -> Vec<Tensor> {
    let shapes: [&[usize]; 5] = [&[4, 2, 3, 3], &[4], &[4, 6, 2, 2], &[3, 6], &[3]];
    let mut w: Vec<Tensor> = shapes.iter().enumerate().map(|(i, s)| numbers(s, i + 1).requires_grad()).collect();
    w.push(Tensor::zeros(&[4], DType::F32));
    w.push(Tensor::ones(&[4], DType::F32));
    w
}

#[test]
fn the_batch_is_symbolic() {
    let (eager, inside) = (parameters(), parameters());
    let traced = trace(|x: &Tensor, y: &Tensor| network(x, y, &inside));
    for n in [2, 5, 3] {
        let x = numbers(&[n, 2, 6, 8], n);
        let y = Tensor::from_vec((0..n as i64).map(|i| i % 3).collect(), &[n]);
        let want = network(&x, &y, &eager);
        let got = traced.call((&x, &y)).expect("compiles");
        for (i, (a, b)) in got.iter().zip(&want).enumerate() {
            assert_eq!(a.to_vec::<f32>(), b.to_vec::<f32>(), "result {i} of a batch of {n}");
        }
        for (a, b) in inside[5..].iter().zip(&eager[5..]) {
            assert_eq!(a.to_vec::<f32>(), b.to_vec::<f32>(), "running statistics after a batch of {n}");
        }
    }
    assert_eq!(traced.compilations(), 1, "one compiled function for every batch");
}

#[test]
fn the_length_of_a_sequence_is_symbolic() {
    let w = [numbers(&[3, 2, 3], 1), numbers(&[3, 4, 2], 2)];
    let run = |x: &Tensor| {
        let h = f::conv1d(x, &w[0], None, f::ConvOptions { padding: [1].into(), ..Default::default() });
        let options = f::ConvTransposeOptions { stride: [2], ..Default::default() };
        let h = f::conv_transpose1d(&h, &w[1], None, options);
        let q = h.transpose(1, 2);
        f::scaled_dot_product_attention(&q, &q, &q, f::AttentionOptions { is_causal: true, ..Default::default() })
    };
    let traced = trace(run);
    for n in [5, 9, 4] {
        let x = numbers(&[2, 2, n], n);
        assert_eq!(traced.call(&x).expect("compiles").to_vec::<f32>(), run(&x).to_vec::<f32>());
    }
    assert_eq!(traced.compilations(), 1, "one compiled function for every length");
}

#[test]
fn a_target_that_is_no_class_is_refused_in_both_modes() {
    let x = numbers(&[2, 3], 0);
    let bad = Tensor::from_vec(vec![0i64, 3], &[2]);
    let loss = |x: &Tensor, y: &Tensor| f::cross_entropy(x, y, f::CrossEntropyOptions::default());
    let error = f::try_cross_entropy(&x, &bad, f::CrossEntropyOptions::default()).unwrap_err().to_string();
    assert_eq!(error, "cross_entropy: a target is not a class");
    let traced = trace(loss);
    assert!(traced.call((&x, &Tensor::from_vec(vec![0i64, 2], &[2]))).is_ok());
    assert_eq!(traced.call((&x, &bad)).unwrap_err().to_string(), error);
}

#[test]
fn wrong_arguments_say_what_would_fit() {
    let text = |r: allotrope::Result<Tensor>| r.unwrap_err().to_string();
    let x = numbers(&[2, 4, 5, 5], 0);
    let conv = |w: &[usize], o| text(f::try_conv2d(&x, &numbers(w, 0), None, o));
    let default = f::ConvOptions::default();
    assert!(conv(&[3, 3, 2, 2], default).contains("[o, c / groups, ..]"));
    assert!(conv(&[3, 4, 7, 2], default).contains("a window of 7 elements does not fit"));
    assert!(conv(&[3, 4, 2], default).contains("must have 4 axes"));
    let strided = f::ConvOptions { padding: f::Padding::Same, stride: [2, 1], ..default };
    assert!(conv(&[3, 4, 2, 2], strided).contains("needs a stride of 1"));
    assert!(text(f::try_dropout(&x, 1.5, true)).contains("0 to 1"));
    assert!(text(f::try_batch_norm(&x, None, None, Default::default())).contains("running mean"));
    assert!(text(f::try_pad(&x, &[9, 0], f::PadMode::Reflect)).contains("pad"));
}

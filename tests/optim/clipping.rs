//! Clipping of gradients against PyTorch's definition, in both modes.

use crate::common::{assert_same, copy, draw, panic_text};
use allotrope::optim::*;
use allotrope::prelude::*;

fn with_gradients() -> Vec<Tensor> {
    let p: Vec<Tensor> =
        [vec![2, 3], vec![4], vec![1]].iter().map(|s| Tensor::zeros(s, DType::F32).requires_grad()).collect();
    p[0].set_grad(Some(draw(1, &[2, 3])));
    p[1].set_grad(Some(draw(2, &[4])));
    p
}

#[test]
fn the_norm_is_that_of_all_elements() {
    for order in [1.0, 2.0, 3.0, f64::INFINITY] {
        for max in [0.5, 100.0] {
            let p = with_gradients();
            let elements: Vec<f64> =
                p[..2].iter().flat_map(|p| p.grad().unwrap().to_vec::<f32>()).map(f64::from).collect();
            let wanted = match order.is_infinite() {
                true => elements.iter().fold(0.0f64, |m, x| m.max(x.abs())),
                false => elements.iter().map(|x| x.abs().powf(order)).sum::<f64>().powf(1.0 / order),
            };
            let norm = clip_grad_norm_(&p, max, order, true).item::<f32>();
            assert!((f64::from(norm) - wanted).abs() < 1e-5 * wanted, "order {order}: {norm} and {wanted}");
            let after: Vec<f32> = p[..2].iter().flat_map(|p| p.grad().unwrap().to_vec::<f32>()).collect();
            let factor = (max / (wanted + 1e-6)).min(1.0);
            for (a, b) in after.iter().zip(&elements) {
                assert!((f64::from(*a) - b * factor).abs() < 1e-6, "order {order}, at most {max}");
            }
            let traced = with_gradients();
            let f = trace(|| clip_grad_norm_(&traced, max, order, false));
            assert_eq!(f.call(()).unwrap().item::<f32>().to_bits(), norm.to_bits());
            p[..2]
                .iter()
                .zip(&traced)
                .for_each(|(a, b)| assert_same("clipped", &a.grad().unwrap(), &b.grad().unwrap()));
        }
    }
}

#[test]
fn elements_within_bounds() {
    let p = with_gradients();
    let before = p[0].grad().unwrap().to_vec::<f32>();
    let f = trace(|| clip_grad_value_(&p, 0.25));
    f.call(()).unwrap();
    let wanted: Vec<f32> = before.iter().map(|x| x.clamp(-0.25, 0.25)).collect();
    assert_eq!(p[0].grad().unwrap().to_vec::<f32>(), wanted);
    assert!(panic_text(|| clip_grad_value_(&p, -1.0)).contains("at least 0"));
}

#[test]
fn a_norm_that_is_not_finite() {
    let p = with_gradients();
    p[1].set_grad(Some(Tensor::full(&[4], f32::INFINITY)));
    let before = copy(&p[0].grad().unwrap());
    let error = try_clip_grad_norm_(&p, 1.0, 2.0, true).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
    assert_same("unchanged", &before, &p[0].grad().unwrap());
    let f = trace(|| clip_grad_norm_(&p, 1.0, 2.0, true));
    assert!(f.call(()).unwrap_err().to_string().contains("error_if_nonfinite"));
    assert!(clip_grad_norm_(&p, 1.0, 2.0, false).item::<f32>().is_infinite());
    assert_eq!(clip_grad_norm_(&[], 1.0, 2.0, false).item::<f32>(), 0.0);
    assert!(try_clip_grad_norm_(&p, f64::NAN, 2.0, false).is_err());
}

//! Averages of weights, in both modes.

use crate::common::{assert_all_same, copy, draw};
use allotrope::optim::Ema;
use allotrope::prelude::*;

#[test]
fn averages_follow_the_weights() {
    let kinds: [fn(Vec<Tensor>) -> Ema; 3] = [|p| Ema::new(p, 0.9), |p| Ema::new(p, 0.25), Ema::swa];
    for (kind, make) in kinds.into_iter().enumerate() {
        let runs = [false, true].map(|traced| {
            let w = draw(1, &[3]).requires_grad();
            let ema = make(vec![w.clone()]);
            let mut wanted: Vec<f64> = Vec::new();
            let update = trace(|| ema.update());
            for i in 0..5 {
                no_grad(|| w.copy_(&draw(10 + i, &[3])));
                match traced {
                    true => update.call(()).unwrap(),
                    false => ema.update(),
                }
                let now = w.detach().to_vec::<f32>().into_iter().map(f64::from);
                wanted = match (i, kind) {
                    (0, _) => now.collect(),
                    (n, 2) => wanted.iter().zip(now).map(|(a, w)| a + (w - a) / (n + 1) as f64).collect(),
                    (_, kind) => {
                        let decay = [0.9, 0.25][kind];
                        wanted.iter().zip(now).map(|(a, w)| decay * a + (1.0 - decay) * w).collect()
                    }
                };
                for (a, b) in ema.averages()[0].to_vec::<f32>().iter().zip(&wanted) {
                    assert!((f64::from(*a) - b).abs() < 1e-6, "kind {kind}, step {i}: {a} and {b}");
                }
            }
            assert_eq!(ema.n_averaged().item::<f32>(), 5.0);
            assert!(!traced || update.compilations() == 1);
            copy(&ema.averages()[0])
        });
        assert_all_same("modes", &runs[..1], &runs[1..]);
    }
}

#[test]
fn averages_take_the_place_of_weights_and_give_it_back() {
    let w = draw(1, &[3]).requires_grad();
    let ema = Ema::new(vec![w.clone()], 0.5);
    ema.update();
    no_grad(|| w.copy_(&draw(2, &[3])));
    let (own, average) = (copy(&w), copy(&ema.averages()[0]));
    ema.swap();
    assert_all_same("swapped", &[w.detach(), ema.averages()[0].clone()], &[average.clone(), own.clone()]);
    ema.swap();
    assert_all_same("back", &[w.detach(), ema.averages()[0].clone()], &[own, average.clone()]);
    ema.apply();
    assert_all_same("applied", &[w.detach()], &[average]);
}

#[test]
fn averages_are_saved() {
    let w = draw(1, &[3]).requires_grad();
    let ema = Ema::new(vec![w.clone()], 0.5);
    ema.update();
    let saved = ema.state_dict().copy();
    no_grad(|| w.copy_(&draw(2, &[3])));
    ema.update();
    let bad = [("n_averaged".to_string(), Tensor::scalar(1.0f32)), ("0".to_string(), draw(1, &[2]))];
    let before = copy(&ema.averages()[0]);
    for bad in [bad[..1].to_vec(), bad.to_vec()] {
        assert!(ema.load_state_dict(&bad.into_iter().collect()).is_err());
    }
    assert_all_same("unchanged", &[before], ema.averages());
    ema.load_state_dict(&saved).unwrap();
    assert_all_same("loaded", &[saved.get("0").unwrap().clone()], ema.averages());
    assert_eq!(ema.n_averaged().item::<f32>(), 1.0);
    assert!(Ema::try_new(Vec::new(), 0.5).is_err() && Ema::try_new(vec![w], 1.5).is_err());
}

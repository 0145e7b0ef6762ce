//! Copies of hot code for sizes that keep coming: made in addition, with the same bits, and no compilation of their own.

use allotrope::prelude::*;
use allotrope::trace::SpecializeHot;

/// A training step over sequences, whose sizes stay for a while and change then.
fn losses(steps: usize, when: Option<SpecializeHot>) -> (Vec<u32>, usize) {
    manual_seed(4);
    let model = nn::Rnn::new(2, 5);
    let opt = optim::Adam::new(model.parameters(), 0.05);
    let step = |x: &Tensor, h: &Tensor| {
        let (all, h) = model.forward(x, h);
        let loss = all.square().mean();
        opt.zero_grad();
        loss.backward();
        opt.step();
        (loss.detach(), h.detach())
    };
    let traced = when.map(|when| trace(step).with_specialize_hot(when));
    let mut copies = 0;
    let losses = (0..steps).map(|i| {
        // Forty calls of one length, then of another, then of a mixture.
        let length = if i < 40 {
            7
        } else if i < 80 {
            4
        } else {
            1 + i % 3
        };
        let (x, h) = (randn(&[length, 1, 2]), Tensor::zeros(&[1, 1, 5], DType::F32));
        let (loss, _) = match &traced {
            None => step(&x, &h),
            Some(traced) => traced.call((&x, &h)).unwrap(),
        };
        if let Some(traced) = &traced {
            assert_eq!(traced.compilations(), 1);
            if let Some(copy) = traced.explain()[0].hot_copy() {
                assert_eq!(copy.sizes.contains(&length), i < 80, "{copy:?} for {length}");
                assert!(traced.explain()[0].to_string().contains("a copy for the sizes"));
                copies += 1;
            }
        }
        loss.item::<f32>().to_bits()
    });
    let losses = losses.collect();
    (losses, copies)
}

#[test]
fn a_copy_has_the_same_bits() {
    let (eager, _) = losses(100, None);
    let (never, none) = losses(100, Some(SpecializeHot::Never));
    let (copied, some) = losses(100, Some(SpecializeHot::AfterCalls(3)));
    assert_eq!(none, 0);
    // Three calls and twice sixteen trials go before; a mixture of lengths is never hot.
    assert!((2..20).contains(&some), "{some}");
    assert_eq!(eager, never);
    assert_eq!(eager, copied);
}

/// What fails in the copy fails as it does in the code for all sizes, and changes nothing.
#[test]
fn a_copy_checks_what_the_program_checks() {
    let table = Tensor::zeros(&[5], DType::F32);
    let add = trace(|at: &Tensor, by: &Tensor| {
        table.index_add_(0, at, by, 1.0);
    });
    let add = add.with_specialize_hot(SpecializeHot::AfterCalls(2));
    let good = Tensor::from_vec(vec![0i64, 4], &[2]);
    let bad = Tensor::from_vec(vec![0i64, 5], &[2]);
    let by = Tensor::ones(&[2], DType::F32);
    for i in 0..50 {
        add.call((&good, &by)).unwrap();
        let error = add.call((&bad, &by)).unwrap_err().to_string();
        assert!(error.contains("index_add"), "{error}");
        assert_eq!(table.to_vec::<f32>(), [i as f32 + 1.0, 0.0, 0.0, 0.0, i as f32 + 1.0]);
    }
    assert!(add.explain()[0].hot_copy().is_some());
}

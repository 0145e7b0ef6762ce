//! Convolutions in a trace read their windows where they lie: the bits of the eager mode, for every kind of window, and no
//! buffer that has the windows one after the other.

use crate::convolution_cases::{cases, numbers, program};
use allotrope::functional::*;
use allotrope::ops::grad;
use allotrope::prelude::*;

fn assert_bits(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.shape(), want.shape(), "{what}");
    let bits = |t: &Tensor| t.to(DType::F64).to_vec::<f64>().into_iter().map(f64::to_bits).collect::<Vec<_>>();
    assert!(bits(got) == bits(want), "{what}");
}

#[test]
fn a_trace_has_the_bits_of_the_eager_mode() {
    for dtype in [DType::F32, DType::F64] {
        for (i, (name, op, x, w, b)) in cases().into_iter().enumerate() {
            let (w, b) = (numbers(&w, 2, dtype), numbers(&[b], 3, dtype));
            let traced = trace(|x: &Tensor, w: &Tensor, b: &Tensor| program(&op, x, w, b));
            for more in [0, 2] {
                let mut shape = x.clone();
                shape[0] += more;
                let x = numbers(&shape, 1, dtype);
                let got = traced.call((&x, &w, &b)).expect("it compiles");
                for (j, (got, want)) in got.iter().zip(&program(&op, &x, &w, &b)).enumerate() {
                    assert_bits(&format!("{name}, case {i}, {dtype}, batch {more}, result {j}"), got, want);
                }
            }
        }
    }
}

#[test]
fn input_and_weights_lie_anywhere() {
    let (x, w) = (numbers(&[3, 9, 10, 4], 1, DType::F32), numbers(&[3, 3, 6, 4], 2, DType::F32));
    // Pixel by pixel, backwards, and every other channel.
    let run = |x: &Tensor, w: &Tensor| {
        let (x, w) = (x.permute(&[0, 3, 1, 2]).flip(&[2]), w.permute(&[2, 3, 0, 1]).flip(&[-1]));
        let y = conv2d(&x, &w, None, ConvOptions::default());
        [y, conv2d(&x.slice(1, None, None, 2), &w.slice(1, None, None, 2), None, ConvOptions::default())]
    };
    let traced = trace(|x: &Tensor, w: &Tensor| run(x, w).to_vec());
    for (got, want) in traced.call((&x, &w)).expect("it compiles").iter().zip(run(&x, &w)) {
        assert_bits("strided", got, &want);
    }
}

#[test]
fn windows_in_a_loop_are_those_of_the_iteration() {
    let (x, w) = (numbers(&[6, 2, 3, 8, 9], 1, DType::F32), numbers(&[4, 3, 3, 3], 2, DType::F32));
    let h = numbers(&[2, 4, 8, 9], 3, DType::F32);
    // One convolution of what comes in, and one of the carry, whose memory the iteration writes.
    let run = |x: &Tensor, h: &Tensor, w: &Tensor| {
        let same = ConvOptions { padding: Padding::Same, ..Default::default() };
        let inner = w.slice(1, Some(0), Some(1), 1).expand(&[4, 4, 3, 3]);
        let (last, all) = scan(h.clone(), x.clone(), |h: Tensor, x: Tensor| {
            let new = (&conv2d(&x, w, None, same) + &(&conv2d(&h, &inner, None, same) * 0.125)).tanh();
            (new.clone(), new)
        });
        vec![last, all]
    };
    let want = run(&x, &h, &w);
    let traced = trace(|x: &Tensor, h: &Tensor, w: &Tensor| run(x, h, w));
    for (got, want) in traced.call((&x, &h, &w)).expect("it compiles").iter().zip(&want) {
        assert_bits("scan", got, want);
    }
}

/// What the windows are of is changed by the same program, before and after.
#[test]
fn writes_to_what_windows_are_of_stay_in_order() {
    let w = numbers(&[4, 2, 3, 3], 2, DType::F32);
    let run = |state: &Tensor, x: &Tensor| {
        let before = conv2d(state, &w, None, ConvOptions::default());
        state.add_(x);
        let after = conv2d(state, &w, None, ConvOptions::default());
        state.mul_(0.5);
        vec![before, after]
    };
    let x = numbers(&[2, 2, 6, 7], 4, DType::F32);
    let (eager, inside) = (numbers(&[2, 2, 6, 7], 5, DType::F32), numbers(&[2, 2, 6, 7], 5, DType::F32));
    let traced = trace(|x: &Tensor| run(&inside, x));
    for call in 0..3 {
        let want = run(&eager, &x);
        for (got, want) in traced.call(&x).expect("it compiles").iter().zip(&want) {
            assert_bits(&format!("call {call}"), got, want);
        }
        assert_bits(&format!("the state after call {call}"), &inside, &eager);
    }
}

/// Bytes of the largest buffer that was planned, and of all results and buffers at the peak.
fn planned(run: impl Fn(&Tensor) -> Vec<Tensor>, x: &Tensor) -> (usize, usize) {
    let traced = trace(|x: &Tensor| run(x));
    traced.call(x).expect("it compiles");
    let explained = &traced.explain()[0];
    let sizes = explained.last_sizes().unwrap_or_default();
    let largest = explained.buffers().iter().map(|b| b.bytes.eval(&sizes)).max().unwrap_or(0);
    (largest, explained.peak_bytes(&sizes))
}

#[test]
fn no_buffer_holds_the_windows() {
    let w = numbers(&[32, 16, 5, 5], 2, DType::F32).requires_grad();
    let x = numbers(&[10, 16, 14, 14], 1, DType::F32);
    let options = ConvOptions { padding: Padding::Both([2, 2]), ..ConvOptions::default() };
    let windows = 16 * 25 * (10 * 14 * 14) * 4;
    let forward = |x: &Tensor| vec![conv2d(x, &w.detach(), None, options)];
    let (largest, peak) = planned(forward, &x);
    assert!(largest < windows / 4 && peak < windows / 2, "{largest} of {windows}, {peak} at the peak");
    // And the gradient of the weights.
    let both = |x: &Tensor| {
        let loss = conv2d(x, &w, None, options).tanh().sum();
        let gradient = grad(&[&loss], &[&w], false).expect("a gradient").remove(0);
        vec![loss.detach(), gradient.expect("is used")]
    };
    let (largest, peak) = planned(both, &x);
    assert!(largest < windows / 4 && peak < windows / 2, "{largest} of {windows}, {peak} at the peak");
}

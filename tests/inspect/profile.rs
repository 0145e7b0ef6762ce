//! Times of kernels: all of them, in the order in which they run, and nothing is changed by asking.

use crate::Training;
use allotrope::prelude::*;

#[test]
fn every_kernel_is_timed_and_nothing_is_changed() {
    let training = Training::new();
    let step = trace(training.step());
    let (x, y) = training.data(32);
    step.call((&x, &y)).unwrap();
    let before = training.state();
    let profile = step.profile((&x, &y)).unwrap();
    assert_eq!(training.state(), before);
    let explained = &step.explain()[0];
    assert_eq!(profile.kernels().count(), explained.kernels().len());
    for ((timed, time), known) in profile.kernels().zip(explained.kernels()) {
        assert_eq!((&timed.name, &timed.ops), (&known.name, &known.ops));
        assert_eq!(time.count, 1, "{}", timed.name);
    }
    let inside: f64 = profile.kernels().map(|(_, t)| t.total.as_secs_f64()).sum();
    assert!(inside > 0.0 && inside <= profile.total().as_secs_f64());
    let text = profile.to_string();
    assert!(text.contains("matmul") && text.contains("µs a call"), "{text}");
}

#[test]
fn kernels_of_a_loop_run_once_a_round() {
    let w = Tensor::ones(&[3, 3], DType::F32);
    let f = trace(|xs: &Tensor| {
        scan(Tensor::zeros(&[1, 3], DType::F32), xs.clone(), |h, x| {
            let h = (h.matmul(&w) + x).tanh();
            (h.clone(), h)
        })
        .1
    });
    for n in [1, 7] {
        let profile = f.profile(&Tensor::ones(&[n, 1, 3], DType::F32)).unwrap();
        let looped: Vec<usize> = profile.kernels().filter(|(k, _)| k.in_loop).map(|(_, t)| t.count).collect();
        assert!(!looped.is_empty() && looped.iter().all(|count| *count == n), "{looped:?}");
        let json: serde_json::Value = serde_json::from_str(&profile.chrome_trace()).unwrap();
        let events = json["traceEvents"].as_array().unwrap();
        let in_order = events[1..].windows(2).all(|e| e[0]["ts"].as_f64() <= e[1]["ts"].as_f64());
        assert!(in_order && events.len() > n);
    }
    assert_eq!(f.compilations(), 1);
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error() {
    let f = trace(|x: &Tensor| x.exp());
    let profile = f.profile(&Tensor::ones(&[2], DType::F32)).unwrap();
    let error = profile.write_chrome_trace("no such folder/trace.json").unwrap_err().to_string();
    assert!(error.contains("no such folder/trace.json: cannot be written"), "{error}");
}

//! What is told of a variant: why it was made, for which calls it stands, what it runs, and how much memory that takes.

use crate::Training;
use allotrope::prelude::*;

#[test]
fn reasons_and_guards_are_in_words() {
    let f = trace(|x: &Tensor| x * x.size(1) as f64);
    f.call(&Tensor::ones(&[2, 5], DType::F32)).unwrap();
    f.call(&Tensor::ones(&[3, 7], DType::F32)).unwrap();
    f.call(&Tensor::ones(&[3, 7], DType::F64)).unwrap();
    let reasons: Vec<String> = f.explain().iter().map(|v| v.reason().to_string()).collect();
    assert!(reasons[0].contains("argument 0 is f64, not f32"), "{reasons:?}");
    assert!(reasons[1].contains("axis 1 of argument 0 is 7, not 5"), "{reasons:?}");
    assert!(reasons[2].contains("first call"), "{reasons:?}");
    let text = f.explain()[1].to_string();
    assert!(text.contains("axis 0 of argument 0 is s0, any size"), "{text}");
    assert!(text.contains("axis 1 of argument 0 is 7"), "{text}");
    assert!(text.contains("size() was asked for as a number") && text.contains("tests/inspect/explain.rs"), "{text}");
}

#[test]
fn planned_memory_is_below_the_eager_modes() {
    let training = Training::new();
    let step = trace(training.step());
    // Places are rounded up to cache lines, which small programs feel.
    for n in [100, 1600] {
        let (x, y) = training.data(n);
        step.call((&x, &y)).unwrap();
        let explained = &step.explain()[0];
        let sizes = explained.last_sizes().unwrap();
        assert!(sizes.contains(&n));
        let (traced, eager) = (explained.peak_bytes(&sizes), explained.eager_peak_bytes(&sizes));
        // At most the eager mode's, but for places that are rounded up and what a step of any size has.
        assert!(traced > 0 && traced < eager + 1024, "{traced} of {eager} bytes for {n}");
    }
    let explained = &step.explain()[0];
    assert!(!explained.buffers().is_empty());
    let text = explained.to_string();
    assert!(text.contains("the eager mode at least") && text.contains("KiB"), "{text}");
    let all: f64 = explained.phases().iter().map(|(_, t)| t.as_secs_f64() * 1e3).sum();
    assert!(text.contains(&format!("in all: {all:.2} ms")), "{text}");
}

//! Compiled code is freed with its function: ten thousand functions made, called and dropped leave the memory of the
//! process where one thousand left it. Alone in its process, as others would disturb it.

use allotrope::prelude::*;

/// Bytes of the process that are in memory.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

/// One of several kinds of functions, made, called and dropped.
fn one(i: usize, x: &Tensor, w: &Tensor) {
    let factor = 1.0 + (i % 97) as f64;
    match i % 32 {
        // Loops, gradients and states.
        0 => {
            let step = |x: &Tensor| {
                let (h, _) = scan(w.clone(), x.clone(), |h, x| ((&h * &x).tanh(), h));
                let loss = (h * factor).sum();
                w.set_grad(None);
                loss.backward();
                no_grad(|| w.sub_(&(w.grad().expect("the loss depends on it") * 1e-3)));
                loss.detach()
            };
            trace(step).call(x).expect("it compiles");
        }
        // A check, and random numbers.
        1 => {
            let index = Tensor::from_vec(vec![0i64, 2], &[2]);
            trace(|x: &Tensor| dropout(x, 0.5, true).index_select(0, &index)).call(x).expect("it compiles");
        }
        // Recording fails.
        2 => assert!(trace(|x: &Tensor| x * x.sum().item::<f32>() as f64).call(x).is_err()),
        _ => {
            let y = trace(|x: &Tensor| x * factor + 1.0).call(x).expect("it compiles");
            assert_eq!(y.to_vec::<f32>()[0], (x.to_vec::<f32>()[0] * factor as f32) + 1.0);
        }
    }
}

#[test]
fn functions_that_are_dropped_leave_nothing() {
    if resident().is_none() {
        return println!("skipped: there is no /proc/self/statm to read");
    }
    // The messages of the failing ones are not needed.
    std::panic::set_hook(Box::new(|_| {}));
    let x = Tensor::from_vec((0..12).map(|i| i as f32 * 0.1).collect(), &[3, 4]);
    let w = Tensor::ones(&[4], DType::F32).requires_grad();
    (0..1_000).for_each(|i| one(i, &x, &w));
    let early = resident().expect("read before");
    (1_000..10_000).for_each(|i| one(i, &x, &w));
    let late = resident().expect("read before");
    let _ = std::panic::take_hook();
    println!("{early} bytes after 1,000 functions, {late} after 10,000");
    // A page for each function would be 36 MiB.
    assert!(late < early + (2 << 20), "{early} bytes after 1,000 functions, {late} after 10,000");
}

//! Random programs whose forward pass is traced, in a program around that uses their inputs before, and their inputs and
//! some of their results after: the same bits as without the trace, for first and second derivatives.

use crate::common::difference;
use crate::generate::{Case, Kind, cases};
use crate::program::{Derivative, extend};
use allotrope::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    Config { cases, max_shrink_iters: 2000, failure_persistence: None, ..Config::default() }
}

/// Runs the program around, whose inner function is `call`. `used` says which results, and which inputs have a history.
fn around(case: &Case, used: u8, leaves: &[Tensor; 4], call: impl Fn(&[Tensor]) -> Vec<Tensor>) -> Vec<Tensor> {
    let wanted: Vec<&Tensor> = leaves.iter().filter(|x| x.is_requires_grad()).collect();
    let args: Vec<Tensor> = (leaves.iter().enumerate())
        .map(|(i, x)| if used >> (4 + i) & 1 == 1 && x.is_requires_grad() { x * 1.5 } else { x.clone() })
        .collect();
    let wide = |x: &Tensor| x.to(DType::F64);
    let before: Vec<Tensor> = args.iter().filter(|x| x.is_requires_grad()).map(|x| wide(x).sin().sum()).collect();
    let mut results = call(&args);
    results.extend(call(&args));
    let mut parts: Vec<Tensor> = Vec::new();
    for (i, y) in results.iter().enumerate().filter(|(_, y)| y.is_requires_grad()) {
        if used >> (i % 4) & 1 == 1 {
            parts.push((wide(y) * (i as f64 + 0.25)).sum());
        }
    }
    parts.extend(args.iter().filter(|x| x.is_requires_grad()).map(|x| wide(x).square().sum()));
    parts.extend(before);
    let mut out: Vec<Tensor> = results.iter().map(Tensor::detach).collect();
    let Some(loss) = parts.into_iter().reduce(|a, b| a + b) else { return out };
    match case.program.derivative {
        Derivative::Second => {
            let first: Vec<Tensor> = grad(&[&loss], &wanted, true).unwrap().into_iter().flatten().collect();
            let squares = first.iter().map(|g| wide(g).square().sum()).reduce(|a, b| a + b);
            if let Some(l) = squares.filter(Tensor::is_requires_grad) {
                out.extend(grad(&[&l], &wanted, false).unwrap().into_iter().flatten());
            }
            out.extend(first.iter().map(Tensor::detach));
        }
        Derivative::Grad => out.extend(grad(&[&loss], &wanted, false).unwrap().into_iter().flatten()),
        _ => {
            loss.backward();
            out.extend(wanted.iter().filter_map(|x| x.grad()));
        }
    }
    out
}

/// The results of the inner function; some inputs are captured.
fn inner(case: &Case, outside: &[Tensor], args: &[Tensor]) -> Vec<Tensor> {
    let program = &case.program;
    let mut pool: Vec<Tensor> =
        (0..4).map(|i| if program.outside[i] { outside[i].clone() } else { args[i].clone() }).collect();
    extend(&program.steps, &mut pool).expect("the steps have run before");
    pool[pool.len() - program.kept..].to_vec()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_program_around_sees_no_difference(case in cases(Kind::Any), used in any::<u8>()) {
        let leaves = case.tensors();
        let eager = around(&case, used, &leaves, |args| inner(&case, &leaves, args));
        let leaves = case.tensors();
        let f = trace(|args: &[Tensor]| inner(&case, &leaves, args));
        // An input that is an argument and outside at once is refused, where both need gradients.
        let plain: Vec<Tensor> = leaves.iter().map(|_| Tensor::scalar(0.0f32)).collect();
        let outside = case.program.outside;
        let traced = around(&case, used, &leaves, |args| {
            let args: Vec<Tensor> =
                args.iter().zip(&plain).zip(outside).map(|((x, p), out)| if out { p.clone() } else { x.clone() }).collect();
            f.call(&args).unwrap()
        });
        prop_assert_eq!(eager.len(), traced.len());
        for (i, (a, b)) in eager.iter().zip(&traced).enumerate() {
            if let Some(d) = difference(a, b) {
                return Err(TestCaseError::fail(format!("result {i}: {d}")));
            }
        }
    }
}

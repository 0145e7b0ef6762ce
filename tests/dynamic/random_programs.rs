//! Random programs of which the host draws, on each call, how far they go and what they derive: eager and dynamic calls give
//! equal bits, whatever was recorded before.

use crate::common::{copy, difference};
use crate::generate::{Case, Kind, cases};
use crate::program::{Derivative, Program};
use crate::seed;
use crate::structure::host;
use allotrope::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

/// The programs that a case's can be cut to.
fn parts(case: &Case) -> Vec<Program> {
    let whole = &case.program;
    let all = whole.steps.len();
    let lengths = [all, all / 2, all.saturating_sub(1), all.min(1)];
    let mut parts: Vec<Program> = Vec::new();
    for (i, n) in lengths.into_iter().enumerate() {
        let values = 4 + n;
        parts.push(Program {
            steps: whole.steps[..n].to_vec(),
            kept: whole.kept.min(values),
            derivative: if i == 2 { Derivative::None } else { whole.derivative },
            update: whole.update.filter(|(_, value)| *value < values),
            outside: whole.outside,
        });
    }
    parts
}

fn left_behind(outside: &[Tensor; 4], args: &[Tensor; 4]) -> Vec<Tensor> {
    outside.iter().map(copy).chain(outside.iter().chain(args).filter_map(Tensor::grad).map(|g| copy(&g))).collect()
}

fn run(case: &Case, parts: &[Program], seed: u64, dynamic: bool) -> Result<(Vec<Tensor>, usize), TestCaseError> {
    let (outside, args) = (case.tensors(), case.tensors());
    let [a, b, c, d] = args.each_ref();
    let mut next = host(seed);
    let mut program = |args: [&Tensor; 4]| parts[next(parts.len())].run(&outside, args);
    let mut all = Vec::new();
    let mut compilations = 0;
    if dynamic {
        let f = trace_dynamic(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| program([a, b, c, d]));
        for _ in 0..10 {
            let results = f.call((a, b, c, d)).map_err(|e| TestCaseError::fail(format!("dynamic call: {e}")))?;
            all.extend(results.iter().map(copy));
        }
        compilations = f.compilations();
    } else {
        (0..10).for_each(|_| all.extend(program([a, b, c, d]).iter().map(copy)));
    }
    all.extend(left_behind(&outside, &args));
    Ok((all, compilations))
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 500, ..seed::config(150) })]

    #[test]
    fn eager_and_dynamic(case in cases(Kind::Any), seed in any::<u64>()) {
        let parts = parts(&case);
        let (eager, _) = run(&case, &parts, seed, false)?;
        let (dynamic, compilations) = run(&case, &parts, seed, true)?;
        prop_assert_eq!(eager.len(), dynamic.len());
        for (i, (x, y)) in eager.iter().zip(&dynamic).enumerate() {
            if let Some(d) = difference(x, y) {
                return Err(TestCaseError::fail(format!("result {i}: {d}")));
            }
        }
        // Gradients that are there or not make two of each.
        prop_assert!(compilations <= 2 * parts.len(), "{} compilations", compilations);
    }
}

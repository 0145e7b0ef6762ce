//! The same programs on the CPU and on the second device, eagerly and traced: equal bits, and equal states of the
//! generators.

use super::backend::{CASES, EAGER, slow};
use crate::common::{assert_all_same, bits, copy, difference, seeded};
use crate::generate::{Case, Kind, cases};
use crate::seed;
use allotrope::functional::dropout;
use allotrope::ir::passes::Passes;
use allotrope::prelude::*;
use allotrope::tensor::random::get_rng_state;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// What calls give, and leave behind.
type Seen = Vec<Vec<Tensor>>;

fn left_behind(outside: &[Tensor; 4], args: &[Tensor; 4]) -> Vec<Tensor> {
    let values = outside.iter().map(Tensor::detach);
    values.chain(outside.iter().chain(args).filter_map(Tensor::grad)).collect()
}

fn eagerly(case: &Case) -> Seen {
    let (outside, args) = (case.tensors(), case.tensors());
    let each = |_| case.program.run(&outside, args.each_ref()).iter().map(copy).collect();
    let mut all: Seen = (0..2).map(each).collect();
    all.push(left_behind(&outside, &args));
    all
}

fn traced(case: &Case, passes: Passes) -> Result<Seen, TestCaseError> {
    let (outside, args) = (case.tensors(), case.tensors());
    let [a, b, c, d] = args.each_ref();
    let f = trace(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| case.program.run(&outside, [a, b, c, d]))
        .with_passes(passes);
    let mut all = Vec::new();
    for _ in 0..2 {
        let results = f.call((a, b, c, d)).map_err(|e| TestCaseError::fail(format!("traced call: {e}")))?;
        prop_assert!(results.iter().all(|t| t.device() == a.device()), "a result is on another device");
        all.push(results.iter().map(copy).collect());
    }
    all.push(left_behind(&outside, &args));
    Ok(all)
}

fn same(what: &str, a: &Seen, b: &Seen) -> Result<(), TestCaseError> {
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        prop_assert_eq!(a.len(), b.len(), "{}, call {}: numbers of results", what, i);
        for (j, (x, y)) in a.iter().zip(b).enumerate() {
            if let Some(d) = difference(x, y) {
                return Err(TestCaseError::fail(format!("{what}, call {i}, result {j}: {d}")));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(seed::config(CASES))]

    #[test]
    fn random_programs(case in cases(Kind::Any)) {
        let expected = eagerly(&case);
        with_device(slow(), || {
            if EAGER {
                same("eager", &expected, &eagerly(&case))?;
            }
            for passes in [Passes::ALL, Passes::from_bits(case.passes[0])] {
                same("traced", &expected, &traced(&case, passes)?)?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

/// Runs a program on both devices, eagerly and traced: `program` makes what it begins with, and gives a closure to be called
/// several times.
#[track_caller]
fn agree<F>(program: impl Fn() -> F)
where
    F: Fn(&Tensor) -> Vec<Tensor> + 'static,
{
    let _drawing = seeded(5);
    let run = |device: Device, compiled: bool| {
        with_device(device, || {
            manual_seed(5);
            let f = program();
            let arguments: Vec<Tensor> = [3, 5, 3, 1].iter().map(|&n| randn(&[n, 4])).collect();
            let mut seen: Seen = Vec::new();
            if compiled {
                let f = trace(f);
                seen.extend(arguments.iter().map(|x| f.call(x).unwrap()));
            } else {
                seen.extend(arguments.iter().map(f));
            }
            assert!(seen.iter().flatten().all(|t| t.device() == device));
            (seen.iter().map(|call| call.iter().map(copy).collect()).collect::<Seen>(), get_rng_state())
        })
    };
    let (expected, state) = run(Device::Cpu, false);
    for (device, compiled) in [(slow(), false), (slow(), true), (Device::Cpu, true)] {
        if !compiled && !EAGER {
            continue;
        }
        let (seen, after) = run(device, compiled);
        for (i, (a, b)) in expected.iter().zip(&seen).enumerate() {
            assert_all_same(&format!("{device}, traced {compiled}, call {i}"), a, b);
        }
        assert!(after == state, "{device}, traced {compiled}: the generator");
    }
}

#[test]
fn a_training_step() {
    agree(|| {
        let model = nn::Linear::new(4, 3);
        let opt = optim::Adam::new(model.parameters(), 0.05);
        let parameters = model.parameters();
        move |x| {
            let loss = model.forward(x).tanh().square().mean();
            opt.zero_grad();
            loss.backward();
            opt.step();
            let mut seen = vec![loss.detach()];
            seen.extend(parameters.iter().map(|p| p.detach() * 1.0));
            seen
        }
    });
}

#[test]
fn random_numbers() {
    agree(|| {
        |x| {
            let y = x * 0.0;
            y.uniform_(-1.0, 1.0);
            y.narrow(1, 0, 2).bernoulli_(0.25);
            vec![dropout(x, 0.5, true), x + rand(&[4]), randint(0, 9, &[5]), randperm(6), y]
        }
    });
}

#[test]
fn loops_and_branches() {
    agree(|| {
        |x| {
            let (last, all) = scan(x.select(0, 0), x.clone(), |h: Tensor, x: Tensor| (h.tanh() + &x, &h * &x));
            let n = while_loop(|n: Tensor| n.sum().lt(20.0), |n: Tensor| &n * 1.5 + 1.0, x.abs());
            let c = cond(&x.sum().gt(0.0), |x: Tensor| x.exp(), |x: Tensor| &x * 3.0, x.clone());
            vec![last, all, n, c]
        }
    });
}

/// Branches of several results, one of which is what was given, with gradients, in a loop and after one.
#[test]
fn branches_with_results() {
    agree(|| {
        |x| {
            let w = x.detach().requires_grad();
            let (a, b) = cond(
                &x.sum().gt(0.0),
                |x: Tensor| ((&x * &w).exp(), x),
                |x: Tensor| (x.clone(), (&x * 2.0 + &w).sin()),
                x * 0.5,
            );
            (a.sum() + (&b * &b).sum()).backward();
            let step = |h: Tensor, x: Tensor| {
                let h = cond(&h.sum().lt(1.0), |h: Tensor| &h + &x, |h: Tensor| &h * 0.25, h);
                (h.clone(), h)
            };
            let (last, all) = scan(x.select(0, 0), x.clone(), step);
            vec![a.detach(), b.detach(), w.grad().expect("a gradient") * 1.0, last, all]
        }
    });
}

#[test]
fn state_changed_in_place() {
    agree(|| {
        let (count, running) = (Tensor::zeros(&[], DType::I64), Tensor::zeros(&[4], DType::F32));
        move |x| {
            count.add_(1);
            running.mul_(0.9);
            running.narrow(0, 1, 2).add_(&x.sum_dim(&[0], false).narrow(0, 1, 2));
            vec![count.clone() + 0, &running * 1.0, x.argsort(-1, true), x.cumsum(1), x.amax(&[], false)]
        }
    });
}

#[test]
fn gradients_from_outside_of_a_trace() {
    let run = |device: Device| {
        with_device(device, || {
            let w = Tensor::from_vec(vec![0.5f32, -1.25, 2.0], &[3]).requires_grad();
            let f = trace(|x: &Tensor| (x * &w).tanh());
            let x = Tensor::from_vec(vec![1.0f32, 0.25, -0.75], &[3]).requires_grad();
            f.call(&x).unwrap().square().sum().backward();
            (bits(&x.grad().unwrap()), bits(&w.grad().unwrap()))
        })
    };
    assert_eq!(run(Device::Cpu), run(slow()));
}

#[test]
fn closures_that_are_recorded_on_every_call() {
    let run = |device: Device| {
        with_device(device, || {
            let mut calls = 0;
            let f = trace_dynamic(move |x: &Tensor| {
                calls += 1;
                (0..calls % 3).fold(x.clone(), |h, i| (&h * f64::from(i + 2)).sin())
            });
            let x = Tensor::from_vec(vec![1.0f32, 0.25, -0.75], &[3]);
            (0..7).map(|_| bits(&f.call(&x).unwrap())).collect::<Vec<_>>()
        })
    };
    assert_eq!(run(Device::Cpu), run(slow()));
}

#[test]
fn failed_checks_and_errors_say_the_same() {
    let run = |device: Device| {
        with_device(device, || {
            let table = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
            let i = Tensor::from_vec(vec![0i64, 7], &[2]);
            let f = trace(|i: &Tensor| table.take(i));
            (table.try_take(&i).unwrap_err().to_string(), f.call(&i).unwrap_err().to_string())
        })
    };
    assert_eq!(run(Device::Cpu), run(slow()));
}

//! The test of the test: adapters that do something wrong, each of which must be noticed.

use crate::case::{Case, KEYWORD};
use crate::corpus::{Data, Given, Host, Operator, Sample};
use crate::run::{Adapter, Tally, operator};
use allotrope::{DType, Error, Result, Tensor};

fn host(data: [f32; 2]) -> Host {
    Host { dtype: DType::F32, shape: vec![2], data: Data::F32(data.to_vec()) }
}

/// `x + alpha`, with a gradient.
fn case() -> Operator {
    let mut s = Sample::call("op", vec![Given::Tensor("x".into())], vec![("alpha".into(), Given::Int(1))]);
    s.outputs = vec!["y".into()];
    s.grad_outputs = vec![Some("g".into())];
    s.input_grads = vec![("x".into(), "gx".into())];
    let (x, y, g) = (host([1.0, f32::NAN]), host([2.0, f32::NAN]), host([3.0, 4.0]));
    let tensors = [("x", x), ("y", y), ("g", g.clone()), ("gx", g)];
    Operator { samples: vec![s], tensors: tensors.map(|(k, t)| (k.to_string(), t)).into() }
}

fn bad_input() -> Operator {
    let mut op = case();
    op.samples[0].error = Some("refused".into());
    op
}

fn good(c: &Case) -> Result<Vec<Tensor>> {
    Ok(vec![c.tensor(0, "input")?.try_add(c.arg(KEYWORD, "alpha")?)?])
}

/// Runs it; every count of passed and failed cases: eager, its gradients, traced, traced with gradients.
fn run(op: &Operator, adapter: Adapter) -> ([usize; 4], [usize; 4], Tally) {
    let t = operator(op, Some(adapter));
    let counts = [t.eager, t.eager_grad, t.traced, t.traced_grad];
    (counts.map(|c| c.passed), counts.map(|c| c.failed), t)
}

#[track_caller]
fn says(t: &Tally, what: &str) {
    assert!(t.failures.iter().any(|f| f.contains(what)), "{what:?} is not in {:?}", t.failures);
}

#[test]
fn a_right_adapter_passes() {
    let (passed, failed, t) = run(&case(), good);
    assert_eq!((passed, failed), ([1; 4], [0; 4]), "{:?}", t.failures);
}

#[test]
fn wrong_results_are_noticed() {
    let (_, failed, t) = run(&case(), |c| Ok(vec![good(c)?[0].try_mul(1.0001)?]));
    assert_eq!(failed, [1; 4]);
    says(&t, "result 0: at [0]");
    let (_, failed, t) = run(&case(), |c| Ok(vec![good(c)?[0].to(DType::F64)]));
    assert_eq!(failed, [1; 4]);
    says(&t, "f64[2], wanted f32[2]");
    let (_, failed, t) = run(&case(), |c| Ok(vec![good(c)?[0].unsqueeze(0)]));
    assert_eq!(failed, [1; 4]);
    says(&t, "f32[1, 2], wanted f32[2]");
    let (_, failed, t) = run(&case(), |c| Ok([good(c)?, good(c)?].concat()));
    assert_eq!(failed, [1; 4]);
    says(&t, "2 results, wanted 1");
}

#[test]
fn wrong_gradients_are_noticed() {
    let twice = |c: &Case| {
        let x = c.tensor(0, "input")?;
        Ok(vec![good(c)?[0].try_add(&x.try_sub(&x.detach())?)?])
    };
    let (passed, failed, t) = run(&case(), twice);
    assert_eq!((passed, failed), ([0, 0, 1, 0], [1, 1, 0, 1]));
    says(&t, "gradient 0: at [0] got 6.0, wanted 3.0");
    let (_, failed, t) = run(&case(), |c| Ok(vec![good(c)?[0].detach()]));
    assert_eq!(failed, [1, 1, 0, 1]);
    says(&t, "needs no gradient");
}

#[test]
fn arguments_must_be_used() {
    let (_, failed, t) = run(&case(), |c| Ok(vec![c.tensor(0, "input")?.try_add(1.0)?]));
    assert_eq!(failed, [1; 4]);
    says(&t, "argument alpha not used");
}

#[test]
fn one_panic_does_not_stop_the_rest() {
    let (_, failed, t) = run(&case(), |c| panic!("on purpose, {} arguments", c.len()));
    assert_eq!(failed, [1; 4]);
    says(&t, "on purpose, 1 arguments");
}

#[test]
fn differing_bits_are_noticed() {
    // Within every tolerance, so only the bits tell. How a tensor prints distinguishes the modes.
    let (passed, _, t) = run(&case(), |c| {
        let is_eager = !c.tensor(0, "input")?.try_select(0, 0)?.to_string().contains("traced");
        Ok(vec![good(c)?[0].try_mul(if is_eager { 1.000_001 } else { 1.0 })?])
    });
    assert_eq!((passed, t.bits), ([1; 4], 1));
    says(&t, "bits: result 0: at [0]");
}

#[test]
fn changed_inputs_are_noticed() {
    let (_, failed, t) = run(&case(), |c| {
        let y = good(c)?;
        c.tensor(0, "input")?.detach().try_add_(1.0)?;
        Ok(y)
    });
    assert!(failed[0] == 1 && failed[2] == 1);
    says(&t, "input x was changed");
}

#[test]
fn bad_input_must_be_refused() {
    let (_, failed, t) = run(&bad_input(), good);
    assert_eq!(failed, [1, 0, 1, 0]);
    says(&t, "not refused; PyTorch says: refused");
    let (passed, failed, t) = run(&bad_input(), |_| Err(Error::Argument("it does not fit".into())));
    assert_eq!((passed, failed), ([1, 0, 1, 0], [0; 4]));
    assert_eq!((t.refusals.library, t.refusals.types, t.refusals.panics), (2, 0, 0));
    let (passed, _, t) = run(&bad_input(), |c| c.int(0, "input").map(|_| Vec::new()));
    assert_eq!((passed, t.refusals.types), ([1, 0, 1, 0], 2));
    let (passed, _, t) = run(&bad_input(), |_| panic!("it does not fit"));
    assert_eq!((passed, t.refusals.panics), ([1, 0, 1, 0], 2));
    let (_, failed, t) = run(&bad_input(), |c| Ok(vec![[c.tensor(0, "input")?.clone()][c.len()].clone()]));
    assert_eq!(failed, [1, 0, 1, 0]);
    says(&t, "crash instead of a refusal: index out of bounds");
}

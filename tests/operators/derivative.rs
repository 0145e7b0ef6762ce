//! The property of every row: first derivatives as differences give them, second ones in some draws, the same bits whatever
//! the layout of the inputs, and the same bits when traced. It knows no operator; the tables are beside it.

use crate::common::{difference, numbers};
use crate::draw::{Domain, Draw};
use crate::seed;
use allotrope::gradcheck::GradCheck;
use allotrope::ops::{GradOptions, grad_with};
use allotrope::prelude::trace;
use allotrope::{DType, Tensor};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An operator with drawn arguments: a function of the inputs.
pub type Call = Box<dyn Fn(&[Tensor]) -> Vec<Tensor>>;

/// One draw.
pub struct Case {
    pub inputs: Vec<Tensor>,
    /// The arguments, for the message of a failure.
    pub about: String,
    pub call: Call,
}

/// An operator by PyTorch's name, and how to draw its cases.
pub struct Row {
    pub name: &'static str,
    pub draw: Box<dyn Fn(&mut Draw) -> Case>,
}

/// A row.
pub fn row(name: &'static str, draw: impl Fn(&mut Draw) -> Case + 'static) -> Row {
    Row { name, draw: Box::new(draw) }
}

/// A case with arguments to show.
pub fn case(
    inputs: Vec<Tensor>,
    about: impl std::fmt::Debug,
    call: impl Fn(&[Tensor]) -> Vec<Tensor> + 'static,
) -> Case {
    Case { inputs, about: format!("{about:?}"), call: Box::new(call) }
}

/// A row of a function of one tensor of any shape.
pub fn unary(name: &'static str, domain: Domain, f: impl Fn(&Tensor) -> Tensor + Copy + 'static) -> Row {
    row(name, move |d| {
        let shape = d.shape(0, 4);
        case(vec![d.tensor(&shape, domain)], (), move |x| vec![f(&x[0])])
    })
}

/// A row of a function of two tensors that broadcast with each other.
pub fn binary(
    name: &'static str,
    domains: [Domain; 2],
    f: impl Fn(&Tensor, &Tensor) -> Tensor + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let [a, b] = d.partners();
        case(vec![d.tensor(&a, domains[0]), d.tensor(&b, domains[1])], (), move |x| vec![f(&x[0], &x[1])])
    })
}

/// Draws of each row. A quarter of them is traced, about a third differentiated twice.
const DRAWS: u32 = 20;

fn config() -> Config {
    Config { max_shrink_iters: 200, ..seed::config(DRAWS) }
}

/// Checks every row of a table.
pub fn check_all(rows: Vec<Row>) {
    let config = config();
    let failures: Vec<String> = rows.iter().filter_map(|row| failure(row, &config)).collect();
    assert!(failures.is_empty(), "{} of {} operators:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

/// What is wrong with a row, in the smallest case found.
fn failure(row: &Row, config: &Config) -> Option<String> {
    if std::env::var("ALLOTROPE_OPERATOR").is_ok_and(|only| only != row.name) {
        return None;
    }
    let found = TestRunner::new(config.clone()).run(&vec(any::<u32>(), 40), |choices| {
        catch_unwind(AssertUnwindSafe(|| check(row, &choices))).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
            Err(TestCaseError::fail(format!("panic: {}", text.unwrap_or_default())))
        })
    });
    found.err().map(|e| match e {
        proptest::test_runner::TestError::Fail(why, choices) => {
            let about = catch_unwind(AssertUnwindSafe(|| describe(row, &choices))).unwrap_or_default();
            format!("{}: {why}\n    of {about}", row.name)
        }
        other => format!("{}: {other}", row.name),
    })
}

fn describe(row: &Row, choices: &[u32]) -> String {
    let mut d = Draw::new(choices);
    let case = (row.draw)(&mut d);
    let shown = |x: &Tensor| format!("{}{:?} {:?}", x.dtype(), x.shape(), numbers(x));
    let inputs: Vec<String> = case.inputs.iter().map(shown).collect();
    format!("{}\n    arguments {}, layouts {:?}", inputs.join(", "), case.about, d.layouts)
}

fn check(row: &Row, choices: &[u32]) -> Result<(), TestCaseError> {
    let mut d = Draw::new(choices);
    let Case { inputs, call, .. } = (row.draw)(&mut d);
    let (traced, twice) = (d.once_in(4), d.once_in(3));
    let plain: Vec<Tensor> = inputs.iter().map(contiguous).collect();
    let wrong = |what: &'static str| move |e: String| TestCaseError::fail(format!("{what}: {e}"));

    let want = program(&call, &plain, traced);
    same(&program(&call, &inputs, traced), &want).map_err(wrong("with other layouts"))?;

    let refs: Vec<&Tensor> = plain.iter().collect();
    let how = GradCheck::default();
    how.first(&call, &refs).map_err(|e| TestCaseError::fail(format!("first derivative: {e}")))?;
    if twice {
        how.second(&call, &refs).map_err(|e| TestCaseError::fail(format!("second derivative: {e}")))?;
    }
    if traced {
        let compiled = trace(|x: &[Tensor]| program(&call, x, true));
        let got = compiled.call(&inputs).map_err(|e| TestCaseError::fail(format!("traced: {e}")))?;
        same(&got, &want).map_err(wrong("traced"))?;
    }
    Ok(())
}

/// The results, then the gradients, then the gradients of those; those of what has none are zeros.
fn program(call: &Call, x: &[Tensor], twice: bool) -> Vec<Tensor> {
    let mut all = call(x);
    let results: Vec<Tensor> = all.clone();
    let first = gradients(&results, x, twice);
    all.extend(first.iter().cloned());
    if twice {
        all.extend(gradients(&first, x, false));
    }
    all.iter().map(Tensor::detach).collect()
}

/// The gradients of the results with weights that differ from element to element.
fn gradients(results: &[Tensor], x: &[Tensor], create_graph: bool) -> Vec<Tensor> {
    let roots: Vec<&Tensor> = results.iter().filter(|y| y.is_requires_grad()).collect();
    if roots.is_empty() {
        return Vec::new();
    }
    let seeds: Vec<Tensor> = roots.iter().map(|y| weights(y)).collect();
    let seeds: Vec<Option<&Tensor>> = seeds.iter().map(Some).collect();
    let targets: Vec<&Tensor> = x.iter().filter(|x| x.is_requires_grad()).collect();
    let how = GradOptions { grad_outputs: &seeds, create_graph, materialize_grads: true, ..GradOptions::default() };
    grad_with(&roots, &targets, how).expect("a gradient").into_iter().flatten().collect()
}

/// Numbers that differ from place to place, made of the shape alone: a trace of symbolic sizes makes them too.
fn weights(y: &Tensor) -> Tensor {
    let ones = y.detach().ones_like();
    let places = (0..y.dim() as isize).fold(ones.clone(), |sum, axis| sum * (ones.cumsum(axis) + axis as f64 * 0.3));
    places.sin()
}

fn contiguous(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::F64 if x.is_requires_grad() => Tensor::from_vec(numbers(x), x.shape()).requires_grad(),
        DType::F64 => Tensor::from_vec(numbers(x), x.shape()),
        _ => x.clone(),
    }
}

fn same(got: &[Tensor], want: &[Tensor]) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} results instead of {}", got.len(), want.len()));
    }
    let differ = |(i, (a, b)): (usize, (&Tensor, &Tensor))| Some(format!("result {i}: {}", difference(a, b)?));
    got.iter().zip(want).enumerate().find_map(differ).map_or(Ok(()), Err)
}

#[test]
fn a_wrong_derivative_is_found() {
    let half = unary("half of a square", Domain::Positive, |x| x * x.detach());
    let why = failure(&half, &config()).expect("its derivative is half of the right one");
    assert!(why.contains("first derivative: gradcheck: the derivative of output 0"), "{why}");
    let host = row("a program that depends on the layout", |d| {
        let x = d.tensor(&[3, 4], Domain::Any);
        case(vec![x], (), |x| vec![&x[0] * x[0].strides()[0] as f64])
    });
    let why = failure(&host, &config()).expect("its numbers depend on strides");
    assert!(why.contains("with other layouts") || why.contains("traced"), "{why}");
}

//! Runs a recorded program here: eagerly, a step at a time, or whole in a trace. A step that fails leaves its results out,
//! and the program goes on without them, as in PyTorch. Nothing is compared here.

use crate::bits::Bits;
use crate::calls;
use crate::case::Case;
use crate::corpus::Sample;
use crate::program::{Call, Leaf, Program, Step, variable};
use crate::quiet::quietly;
use crate::run::Adapter;
use allotrope::{Tensor, autograd::no_grad};
use std::collections::HashMap;

/// The call of every name.
pub struct Calls(HashMap<&'static str, Adapter>);

impl Calls {
    /// Those of the corpus and of this test.
    pub fn all() -> Calls {
        Calls(crate::adapters::adapters().into_iter().chain(calls::adapters()).collect())
    }
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done,
    Refused(String),
    Panicked(String),
    /// An argument is missing, because the step that makes it failed here only.
    Skipped,
}

/// Makes a leaf with its layout in memory of its own.
pub fn leaf(l: &Leaf) -> Tensor {
    let size = l.memory.0.len() / crate::bits::width(l.dtype);
    let memory = l.memory.tensor(l.dtype, &[size]);
    laid_out(&memory, &l.shape, &l.strides, l.offset, l.requires_grad)
}

fn laid_out(memory: &Tensor, shape: &[usize], strides: &[usize], offset: usize, requires_grad: bool) -> Tensor {
    let t = memory.as_strided(shape, strides, offset).detach();
    if requires_grad { t.requires_grad() } else { t }
}

/// A tensor of these elements with these strides, and nothing that it shares.
pub fn rebuilt(
    bits: &Bits,
    dtype: allotrope::DType,
    shape: &[usize],
    strides: &[isize],
    requires_grad: bool,
) -> Tensor {
    let dense = bits.tensor(dtype, shape);
    let strides: Vec<usize> = strides.iter().map(|&s| s.max(0) as usize).collect();
    let reach: usize = shape.iter().zip(&strides).map(|(n, s)| n.saturating_sub(1) * s).sum();
    let memory = Tensor::zeros(&[reach + 1], dtype);
    let t = memory.as_strided(shape, &strides, 0);
    let overlaps = shape.iter().zip(&strides).any(|(&n, &s)| n > 1 && s == 0);
    if overlaps {
        let narrow: Vec<usize> = shape.iter().zip(&strides).map(|(&n, &s)| if s == 0 { n.min(1) } else { n }).collect();
        let parts = (0..shape.len()).filter(|&i| narrow[i] != shape[i]);
        let source = parts.fold(dense, |d, i| d.narrow(i as isize, 0, 1));
        if memory.as_strided(&narrow, &strides, 0).try_copy_(&source).is_err() {
            return bits.tensor(dtype, shape);
        }
    } else if t.try_copy_(&dense).is_err() {
        // Elements that share memory in another way.
        return bits.tensor(dtype, shape);
    }
    let t = t.detach();
    if requires_grad { t.requires_grad() } else { t }
}

/// Runs one call on the variables.
pub fn call(calls: &Calls, c: &Call, variables: &[Option<Tensor>]) -> (Outcome, Vec<Option<Tensor>>) {
    run(calls, &c.sample, c.no_grad, variables)
}

fn run(
    calls: &Calls,
    sample: &Sample,
    without_grad: bool,
    variables: &[Option<Tensor>],
) -> (Outcome, Vec<Option<Tensor>>) {
    let Some(adapter) = calls.0.get(sample.op.as_str()) else { panic!("no adapter for {}", sample.op) };
    let mut tensors = Vec::new();
    for key in sample.inputs() {
        let Some(t) = &variables[variable(key)] else { return (Outcome::Skipped, Vec::new()) };
        tensors.push((key, t.clone()));
    }
    let case = Case::new(sample, tensors);
    let call = || match sample.op.as_str() {
        // Its results may be none, each at its place.
        "grad" => calls::grads(&case),
        _ => adapter(&case).map(|list| list.into_iter().map(Some).collect()),
    };
    match quietly(|| if without_grad { no_grad(call) } else { call() }) {
        Ok(Ok(found)) => {
            if let [first, ..] = &case.unused()[..] {
                return (Outcome::Panicked(format!("argument {first} is not used by the adapter")), Vec::new());
            }
            (Outcome::Done, found)
        }
        Ok(Err(e)) => (Outcome::Refused(e.to_string()), Vec::new()),
        Err(text) if crate::quiet::is_crash(&text) => (Outcome::Panicked(text), Vec::new()),
        Err(text) => (Outcome::Refused(text), Vec::new()),
    }
}

/// Runs a whole program on its leaves, without the calls `left_out`. `told` hears of each call when it begins, and what it came
/// to. The variables at the end.
pub fn whole(
    calls: &Calls,
    program: &Program,
    left_out: &[usize],
    leaves: &mut dyn Iterator<Item = Tensor>,
    mut told: impl FnMut(usize, Option<&Outcome>),
) -> Vec<Option<Tensor>> {
    let mut variables: Vec<Option<Tensor>> = Vec::with_capacity(program.variables);
    for (at, step) in program.steps.iter().enumerate() {
        match step {
            Step::Leaf(_) => variables.push(leaves.next()),
            Step::Call(c) => {
                told(at, None);
                let (outcome, found) = match left_out.contains(&at) {
                    true => (Outcome::Skipped, Vec::new()),
                    false => call(calls, c, &variables),
                };
                told(at, Some(&outcome));
                let mut found = found.into_iter();
                variables.extend((0..c.results.len()).map(|_| found.next().flatten()));
            }
        }
    }
    variables
}

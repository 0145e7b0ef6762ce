//! What the tape holds of every operator, against PyTorch's: the names of the nodes that made its results, which operands and
//! results a backward pass refuses to find changed in place, and whether a second pass is refused. The answers are in
//! `tests/data/saved_tensors.json`; each call is asked eagerly, and in a trace that has the backward pass inside.

use crate::case::Case;
use crate::corpus::{Operator, sample};
use crate::quiet::quietly;
use crate::report::in_parallel;
use crate::{adapters, forms};
use allotrope::ops::{GradOptions, grad_with};
use allotrope::prelude::{manual_seed, no_grad, trace};
use allotrope::{DType, Error, Result, Tensor};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

#[path = "../functional/cases.rs"]
#[allow(dead_code, reason = "the values are the other target's")]
mod cases;

/// As the cases of functions are called.
pub type Call = fn(&[Tensor]) -> Result<Vec<Tensor>>;

/// A tensor of the file: its dtype's name, shape and elements.
struct Given {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Given {
    fn read(v: &Value) -> Given {
        let list = |key: &str| v[key].as_array().expect("a list");
        let dtype = match v["dtype"].as_str() {
            Some("float64") => DType::F64,
            Some("float16") => DType::F16,
            Some("int64") => DType::I64,
            None if v["int"].as_bool() == Some(true) => DType::I64,
            _ => DType::F32,
        };
        let number =
            |x: &Value| x.as_f64().unwrap_or_else(|| x.as_str().expect("a number").parse().expect("inf or nan"));
        Given {
            dtype,
            shape: list("shape").iter().map(|n| n.as_u64().expect("a size") as usize).collect(),
            data: list("data").iter().map(number).collect(),
        }
    }

    fn tensor(&self) -> Tensor {
        Tensor::from_vec(self.data.clone(), &self.shape).to(self.dtype)
    }
}

/// Where a call comes from.
enum Source<'a> {
    Database(&'a Operator, &'a crate::corpus::Sample, crate::run::Adapter),
    Call(Vec<Tensor>, Call),
}

/// A call of which PyTorch said what its tape holds.
struct Asked<'a> {
    source: Source<'a>,
    line: &'a Value,
}

/// What a program does with the results before the backward pass.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Nothing,
    Input(usize),
    Output(usize),
    /// Nothing, and a second backward pass.
    Again,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Passed,
    Refused,
    /// There was nothing to be changed in place so.
    Unchanged,
    Broken(String),
}

impl<'a> Asked<'a> {
    fn inputs(&self) -> Vec<Tensor> {
        match &self.source {
            Source::Database(op, sample, _) => sample.inputs().iter().map(|key| op.tensors[*key].tensor()).collect(),
            Source::Call(inputs, _) => inputs.iter().map(|t| t.detach() * 1).collect(),
        }
    }

    fn needs(&self) -> Vec<usize> {
        let list = self.line["needs"].as_array().expect("a list");
        list.iter().map(|v| self.place(v)).collect()
    }

    /// The input that the file means.
    fn place(&self, v: &Value) -> usize {
        match (&self.source, v) {
            (Source::Database(_, sample, _), Value::String(key)) => {
                sample.inputs().iter().position(|k| k == key).expect("an input")
            }
            (_, v) => v.as_u64().expect("a place") as usize,
        }
    }

    fn call(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        match &self.source {
            Source::Call(_, call) => call(inputs),
            Source::Database(_, sample, adapter) => {
                let named = sample.inputs().into_iter().zip(inputs.iter().cloned()).collect();
                adapter(&Case::new(sample, named))
            }
        }
    }

    /// The program: names of nodes, and how the backward pass went.
    fn program(&self, inputs: &[Tensor], change: Change) -> Result<(Vec<Option<String>>, Answer)> {
        manual_seed(0);
        let results = self.call(inputs)?;
        let names = results.iter().map(Tensor::grad_fn_name).collect();
        let leaves: Vec<&Tensor> = self.needs().into_iter().map(|i| &inputs[i]).collect();
        let ends: Vec<&Tensor> = results.iter().filter(|y| y.is_requires_grad() && !y.is_leaf()).collect();
        let weights: Vec<Tensor> = ends.iter().map(|y| y.ones_like()).collect();
        let weights: Vec<Option<&Tensor>> = weights.iter().map(Some).collect();
        let changed = match change {
            Change::Input(i) => no_grad(|| inputs[i].try_zero_().map(drop)),
            Change::Output(i) => no_grad(|| results[i].try_zero_().map(drop)),
            Change::Nothing | Change::Again => Ok(()),
        };
        if changed.is_err() {
            return Ok((names, Answer::Unchanged));
        }
        let options = GradOptions { grad_outputs: &weights, allow_unused: true, ..Default::default() };
        let pass = || match grad_with(&ends, &leaves, options) {
            Ok(_) => Answer::Passed,
            Err(e) if is_refusal(&e) => Answer::Refused,
            Err(e) => Answer::Broken(e.to_string()),
        };
        let mut answer = pass();
        if change == Change::Again && answer == Answer::Passed {
            answer = pass();
        }
        Ok((names, answer))
    }

    fn eager(&self, change: Change) -> (Vec<Option<String>>, Answer) {
        let inputs = self.leaves();
        let done = quietly(|| self.program(&inputs, change));
        match done {
            Ok(Ok(found)) => found,
            Ok(Err(e)) => (Vec::new(), Answer::Broken(e.to_string())),
            Err(text) => (Vec::new(), Answer::Broken(text)),
        }
    }

    fn leaves(&self) -> Vec<Tensor> {
        let inputs = self.inputs();
        self.needs().into_iter().for_each(|i| inputs[i].set_requires_grad(true));
        inputs
    }

    fn traced(&self, change: Change) -> (Vec<Option<String>>, Answer) {
        let inputs = self.leaves();
        let found = RefCell::new(None);
        let f = trace(|xs: &[Tensor]| {
            *found.borrow_mut() = Some(self.program(xs, change));
            // Nothing is to be compiled.
            std::panic::resume_unwind(Box::new("recorded"));
            #[allow(unreachable_code, reason = "says what the closure would give")]
            Vec::<Tensor>::new()
        });
        let _ended = quietly(|| f.call(&inputs));
        match found.take() {
            Some(Ok(found)) => found,
            Some(Err(e)) => (Vec::new(), Answer::Broken(e.to_string())),
            None => (Vec::new(), Answer::Broken("the closure was not run".into())),
        }
    }

    /// What differs from what PyTorch says.
    fn differences(&self) -> Vec<String> {
        let mut out = Vec::new();
        let names: Vec<Option<String>> =
            (self.line["names"].as_array().expect("a list").iter()).map(|v| v.as_str().map(str::to_string)).collect();
        type Run<'a, 'b> = &'b dyn Fn(Change) -> (Vec<Option<String>>, Answer);
        let runs: [(&str, Run); 2] = [("eager", &|c| self.eager(c)), ("traced", &|c| self.traced(c))];
        for (mode, run) in runs {
            let (found, answer) = run(Change::Nothing);
            if found != names {
                out.push(format!("{mode}: names {found:?}, PyTorch has {names:?}"));
            }
            let has_none = self.line["has no derivative"].as_bool() == Some(true);
            match (answer, has_none) {
                (Answer::Broken(what), _) => {
                    out.push(format!("{mode}: {what}"));
                    continue;
                }
                (Answer::Refused, true) => continue,
                (_, true) => {
                    out.push(format!("{mode}: has a derivative, PyTorch has none"));
                    continue;
                }
                (Answer::Passed, false) => {}
                (other, false) => out.push(format!("{mode}: {other:?}")),
            }
            let mut check = |change: Change, what: String, refused: bool| match (run(change).1, refused) {
                (Answer::Refused, true) | (Answer::Passed, false) | (Answer::Unchanged, _) => {}
                (Answer::Refused, false) => out.push(format!("{mode}: {what} is refused")),
                (Answer::Passed, true) => out.push(format!("{mode}: {what} is not refused")),
                (Answer::Broken(e), _) => out.push(format!("{mode}: {what}: {e}")),
            };
            let saved = self.line["saved"].as_array().expect("a list");
            // The inputs come first; a form says both by number, so the results are what is not in order any more.
            let (inputs, results) = self.saved(saved);
            if self.line["asked"].as_bool() == Some(true) {
                for i in 0..self.inputs().len() {
                    check(Change::Input(i), format!("input {i} changed"), inputs.contains(&i));
                }
                for i in 0..names.len() {
                    check(Change::Output(i), format!("result {i} changed"), results.contains(&i));
                }
            }
            check(Change::Again, "a second pass".into(), self.line["again"].as_bool() != Some(true));
        }
        out
    }

    /// The places of inputs and of results in a list that has the inputs first.
    fn saved(&self, list: &[Value]) -> (Vec<usize>, Vec<usize>) {
        let (mut inputs, mut results) = (Vec::new(), Vec::new());
        for v in list {
            match v.as_array() {
                Some(result) => results.push(result[0].as_u64().expect("a place") as usize),
                None => inputs.push(self.place(v)),
            }
        }
        (inputs, results)
    }
}

/// Calls of which something is otherwise, by how their lines begin, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("cat/s005f", "a vector without elements among tensors of more axes is left out of the tape, too"),
    ("clamp/s003f", "a clamp with one bound is clamp_max here"),
    ("clamp/s004f", "a clamp with one bound is clamp_min here"),
    ("einsum/s010f", "the operands need no product of matrices here"),
    ("form/cumprod_ ", "the result in place is not watched"),
    ("form/floor_divide", "backward says that there is no derivative, and goes no further"),
    ("form/number % x", "backward says that there is no derivative, and goes no further"),
    ("sort/", "every sort is the stable one"),
    ("form/sort", "every sort is the stable one"),
    ("form/elu_", "the derivative is that of the plain form"),
    ("form/leaky_relu_", "the derivative is that of the plain form"),
    ("form/matmul 1 3", BATCH),
    ("form/matmul 2 3", BATCH),
    ("form/matmul 4 3", BATCH),
    ("matmul/s008f", BATCH),
    ("functional/attention", BATCH),
    ("nn.functional.scaled_dot_product_attention/s021f", BATCH),
    ("form/mul_ itself", "both operands are kept as they were before the change"),
    ("form/multilabel_soft_margin_loss [1]", "one node, which keeps both operands"),
    ("functional/instance_norm", "its parts are on the tape"),
    ("nn.functional.instance_norm", "its parts are on the tape"),
    ("functional/kl_div", "the target is kept only where a derivative needs it"),
    ("nn.functional.kl_div", "the target is kept only where a derivative needs it"),
    ("functional/poisson_nll_loss", "the target is kept only where a derivative needs it"),
    ("nn.functional.conv2d/s013f", "the input is kept as it was given, not as it was padded"),
    ("nn.functional.cross_entropy/s01", "the weight is kept only where a derivative needs it"),
    ("form/number ** x [0]: traced", "a power of a number is put together of other operations in a trace"),
    ("pow/r091f", "a power of a number is put together of other operations in a trace"),
    ("take_along_dim/s003f", "the index is kept as it is broadcast"),
    ("functional/bce_with_logits [0,1,2]", WEIGHT),
    ("functional/cross_entropy_smooth", WEIGHT),
    ("functional/multi_margin_loss", WEIGHT),
    ("form/[mask]", BY_VALUES),
    ("form/masked_select", BY_VALUES),
    ("form/repeat_interleave_by", BY_VALUES),
];

const BATCH: &str = "a batch that broadcasting repeats is not copied, so it must not be changed";
const WEIGHT: &str = "a weight that wants a gradient, which it does not get, is refused";
const BY_VALUES: &str = "a trace has no result whose size depends on values";

fn is_refusal(e: &Error) -> bool {
    let text = e.to_string();
    text.contains("changed in place since") || text.contains("a second time") || text.contains("is not implemented")
}

#[test]
fn the_tape_holds_what_pytorchs_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/saved_tensors.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the file")).expect("its form");
    let functional = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/functional.json");
    let functional: Value =
        serde_json::from_str(&std::fs::read_to_string(functional).expect("the file")).expect("its form");
    let only = crate::report::only();
    let mut by_operator: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for line in file["calls"].as_array().expect("a list") {
        let case = line["case"].as_str().expect("a name");
        let (group, rest) = case.split_once('/').expect("two parts");
        let group = if matches!(group, "form" | "functional") { format!("{group}/{rest}") } else { group.to_string() };
        by_operator.entry(group).or_default().push(line);
    }
    let names: Vec<String> = by_operator.keys().cloned().collect();
    let (adapters, forms) = (adapters(), forms::forms());
    let found = in_parallel(&names, |name| {
        if only.as_ref().is_some_and(|only| !only.iter().any(|o| o == name)) {
            return Vec::new();
        }
        let mut out = Vec::new();
        let mut run = |line: &Value, source: Source<'_>| {
            let asked = Asked { source, line };
            for what in asked.differences() {
                out.push(format!("{} {}: {what}", line["case"].as_str().expect("a name"), line["needs"]));
            }
        };
        let given = |v: &Value| v.as_array().expect("a list").iter().map(|v| Given::read(v).tensor()).collect();
        for line in &by_operator[name] {
            let case = line["case"].as_str().expect("a name");
            if let Some(form) = case.strip_prefix("form/") {
                match forms.iter().find(|(n, _)| *n == form) {
                    Some((_, call)) => run(line, Source::Call(given(&file["inputs"][case]), *call)),
                    None => println!("no form {form}"),
                }
            } else if let Some(function) = case.strip_prefix("functional/") {
                let list = functional.as_array().expect("a list");
                let entry = list.iter().find(|c| c["name"].as_str() == Some(function)).expect("a case");
                let calls = cases::calls();
                let (_, call) = calls.iter().find(|(n, _)| *n == function).expect("a call");
                run(line, Source::Call(given(&entry["inputs"]), *call));
            } else {
                let op = Operator::read(&sample(), name);
                let sample = op.samples.iter().find(|s| s.id == case).expect("the case");
                let (_, adapter) = adapters.iter().find(|(n, _)| *n == name).expect("an adapter");
                run(line, Source::Database(&op, sample, *adapter));
            }
        }
        out
    });
    let is_known = |what: &String| OTHERWISE.iter().any(|(begin, _)| what.starts_with(begin));
    let found: Vec<String> = found.into_iter().flat_map(|(_, list)| list).filter(|what| !is_known(what)).collect();
    found.iter().for_each(|what| println!("{what}"));
    assert!(found.is_empty(), "{} differences", found.len());
}

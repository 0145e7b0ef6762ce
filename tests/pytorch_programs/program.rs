//! A recorded program as the file has it: leaves, steps, and what PyTorch saw after each step. Nothing is run here.

use crate::bits::{self, Bits};
use crate::corpus::{Sample, value};
use allotrope::DType;
use serde_json::Value;

/// One program.
pub struct Program {
    pub seed: u64,
    pub steps: Vec<Step>,
    /// Variables that it makes.
    pub variables: usize,
}

pub enum Step {
    Leaf(Leaf),
    Call(Box<Call>),
}

/// A tensor that the program begins with.
pub struct Leaf {
    pub variable: usize,
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
    /// All of the memory that it lies in.
    pub memory: Bits,
    pub requires_grad: bool,
}

/// One operation.
pub struct Call {
    pub sample: Sample,
    pub no_grad: bool,
    /// PyTorch's message, where it refuses.
    pub error: Option<String>,
    /// The variable of the first result; the others follow.
    pub first: usize,
    pub results: Vec<Option<Record>>,
    /// What else changed.
    pub changed: Vec<(usize, Changed)>,
    /// Gradients that became others; none where one is gone.
    pub grads: Vec<(usize, Option<Gradient>)>,
}

/// What is recorded of a result.
pub enum Record {
    /// It is an earlier variable itself.
    Same(usize),
    New(Seen),
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
    pub offset: isize,
    pub bits: Bits,
    /// PyTorch's result in double precision, rounded once, where its own is not near that.
    pub exact: Option<Bits>,
    pub mark: Mark,
    /// The first variable that lies in the same memory, if it is another one.
    pub memory: Option<usize>,
}

/// The place of a tensor in the graph of gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub requires_grad: bool,
    pub is_leaf: bool,
    pub grad_fn: Option<String>,
}

#[derive(Default)]
pub struct Changed {
    pub bits: Option<Bits>,
    pub mark: Option<Mark>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
    pub bits: Bits,
    pub requires_grad: bool,
}

impl Program {
    /// Reads one line of a file.
    ///
    /// # Panics
    /// When it is not as the format says.
    pub fn read(line: &str) -> Program {
        let v: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("not a program: {e}"));
        let mut variables = 0;
        let steps = v["steps"].as_array().expect("steps").iter().map(|s| step(s, &mut variables)).collect();
        Program { seed: v["seed"].as_u64().expect("seed"), steps, variables }
    }
}

fn step(v: &Value, variables: &mut usize) -> Step {
    let first = *variables;
    let op = v["op"].as_str().expect("op");
    if op == "leaf" {
        *variables += 1;
        return Step::Leaf(Leaf {
            variable: first,
            dtype: dtype(v),
            shape: numbers(&v["s"]),
            strides: numbers(&v["st"]),
            offset: v["o"].as_u64().expect("offset") as usize,
            memory: bits(&v["m"]),
            requires_grad: !v["g"].is_null(),
        });
    }
    let results: Vec<Option<Record>> = list(&v["r"]).iter().map(record).collect();
    *variables += results.len();
    let args = list(&v["a"]).iter().map(value).collect();
    let kwargs = v["k"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), value(v))).collect();
    let at = |k: &String| k.parse().expect("a variable");
    Step::Call(Box::new(Call {
        sample: Sample::call(op, args, kwargs),
        no_grad: !v["n"].is_null(),
        error: v["e"].as_str().map(str::to_string),
        first,
        results,
        changed: v["c"].as_object().into_iter().flatten().map(|(k, v)| (at(k), changed(v))).collect(),
        grads: v["d"].as_object().into_iter().flatten().map(|(k, v)| (at(k), gradient(v))).collect(),
    }))
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map_or(&[], Vec::as_slice)
}

fn numbers<T: TryFrom<i64>>(v: &Value) -> Vec<T> {
    let number = |v: &Value| T::try_from(v.as_i64().expect("a number")).ok().expect("in range");
    list(v).iter().map(number).collect()
}

fn dtype(v: &Value) -> DType {
    bits::dtype(v["t"].as_str().expect("a dtype"))
}

fn bits(v: &Value) -> Bits {
    Bits::read(v.as_str().expect("base64"))
}

fn mark(v: &Value) -> Option<Mark> {
    Some(Mark {
        requires_grad: v["g"].as_i64()? == 1,
        is_leaf: v["l"].as_i64()? == 1,
        grad_fn: v["f"].as_str().map(str::to_string),
    })
}

fn record(v: &Value) -> Option<Record> {
    if v.is_null() {
        return None;
    }
    if let Some(i) = v["is"].as_u64() {
        return Some(Record::Same(i as usize));
    }
    Some(Record::New(Seen {
        dtype: dtype(v),
        shape: numbers(&v["s"]),
        strides: numbers(&v["st"]),
        offset: v["o"].as_i64().expect("offset") as isize,
        bits: bits(&v["v"]),
        exact: v["x"].as_str().map(Bits::read),
        mark: mark(v).expect("a mark"),
        memory: v["m"].as_u64().map(|m| m as usize),
    }))
}

fn changed(v: &Value) -> Changed {
    Changed { bits: v["v"].as_str().map(Bits::read), mark: mark(v) }
}

fn gradient(v: &Value) -> Option<Gradient> {
    (!v.is_null()).then(|| Gradient {
        dtype: dtype(v),
        shape: numbers(&v["s"]),
        strides: numbers(&v["st"]),
        bits: bits(&v["v"]),
        requires_grad: v["g"] == 1,
    })
}

impl Call {
    pub fn op(&self) -> &str {
        &self.sample.op
    }

    /// The variables that it takes.
    pub fn inputs(&self) -> Vec<usize> {
        self.sample.inputs().into_iter().map(variable).collect()
    }

    /// Whether it draws random numbers.
    pub fn draws(&self) -> bool {
        let op = self.op();
        op.starts_with("rand")
            || op.contains("normal") && !op.contains("normalize")
            || op.contains("bernoulli")
            || op.contains("dropout")
            || ["uniform_", "exponential_", "random_"].contains(&op)
    }

    /// Whether it may change what exists.
    pub fn is_changing(&self) -> bool {
        let op = self.op();
        op.ends_with('_')
            || op.starts_with("diagonal.")
            || ["setitem", "backward", "grad", "drop_grad", "retain_grad"].contains(&op)
            || !self.changed.is_empty()
    }
}

/// The number in the name of a variable.
pub fn variable(name: &str) -> usize {
    name[1..].parse().expect("a variable")
}

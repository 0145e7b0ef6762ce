//! Launches as kernel functions of their own. When and with which arguments they run is the matter of who launches them.

use crate::backend::opencl::source::body::{Launch, Range, c_type};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::program::{Program, each_launch, live};
use crate::schedule::{BufId, Schedule};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// What a kernel function takes, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// The memory of a buffer and the byte at which it begins.
    Buffer(BufId),
    /// The same of all scratch memory, of the state in it, and of the temporaries.
    Scratch,
    State,
    Temporaries,
    Symbol(u32),
    /// A number that the host computes.
    Number(Number),
    /// How many items there are.
    Items,
}

/// How a launch calls a kernel function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its place among the kernel functions.
    pub kernel: usize,
    pub parameters: Vec<Parameter>,
}

/// The name of a kernel function.
pub fn name(kernel: usize) -> String {
    format!("at_k{kernel}")
}

/// The functions of all launches, by their numbers; the number of kernel functions, and their text without what they call.
/// Launches that differ in buffers and arguments only share one.
pub fn functions(schedule: &Schedule, program: &Program) -> (Vec<Function>, usize, String) {
    let mut functions = Vec::new();
    let mut text = String::new();
    let mut kernels: FxHashMap<String, usize> = FxHashMap::default();
    each_launch(&program.steps, &mut |launch| {
        let (parameters, [attribute, rest]) = function(schedule, launch);
        let next = kernels.len();
        let kernel = *kernels.entry(format!("{attribute}{rest}")).or_insert_with(|| {
            text.push_str(&format!("__kernel {attribute}void {}{rest}", name(next)));
            next
        });
        functions.push(Function { kernel, parameters });
    });
    (functions, kernels.len(), text)
}

/// Its parameters, and its text before and after its name. Buffers are named by their place among those that it uses.
fn function(schedule: &Schedule, launch: &Launch) -> (Vec<Parameter>, [String; 2]) {
    let uses = &launch.uses;
    let mut parameters: Vec<Parameter> = uses.buffers.iter().map(|b| Parameter::Buffer(*b)).collect();
    if uses.state {
        parameters.push(Parameter::State);
    }
    if uses.temporaries {
        parameters.push(Parameter::Temporaries);
    }
    parameters.extend(uses.symbols.iter().map(|s| Parameter::Symbol(*s)));
    parameters.extend(uses.arguments.iter().map(|n| Parameter::Number(n.clone())));
    let size = match launch.range {
        Range::Items(_) => {
            parameters.push(Parameter::Items);
            None
        }
        Range::Groups { size, .. } => Some(size),
    };
    let (mut declared, mut prologue) = (Vec::new(), String::new());
    let (mut buffers, mut numbers) = (0.., 0..);
    for parameter in &parameters {
        match parameter {
            Parameter::Buffer(b) => {
                let (i, ty) = (buffers.next().expect("no end"), c_type(schedule.buffer(*b).dtype));
                declared.push(format!("__global uchar *m{i}, const long o{i}"));
                prologue.push_str(&format!("__global {ty} *const b{i} = (__global {ty} *)(m{i} + o{i});\n"));
            }
            Parameter::Scratch => {
                declared.push("__global uchar *mr, const long om".to_string());
                prologue.push_str("__global uchar *const scratch = mr + om;\n");
            }
            Parameter::State => {
                declared.push("__global uchar *ms, const long os".to_string());
                prologue.push_str("__global uchar *const state = ms + os;\n");
            }
            Parameter::Temporaries => {
                declared.push("__global uchar *mt, const long ot".to_string());
                prologue.push_str("__global uchar *const temporaries = mt + ot;\n");
            }
            Parameter::Symbol(s) => declared.push(format!("const long s{s}")),
            Parameter::Number(_) => declared.push(format!("const long q{}", numbers.next().expect("no end"))),
            Parameter::Items => {
                declared.push("const long items".to_string());
                prologue.push_str("const long item = get_global_id(0);\nif (item >= items) return;\n");
            }
        }
    }
    if let Some(l) = launch.live {
        prologue.push_str(&format!("if (!*(__global const int *)(state + {})) return;\n", live(schedule, l)));
    }
    let attribute = match size {
        Some(size) => {
            prologue.push_str("const long group = get_group_id(0);\nconst int lane = get_local_id(0);\n");
            format!("__attribute__((reqd_work_group_size({size}, 1, 1)))\n")
        }
        None => String::new(),
    };
    let local: String = uses.local.iter().map(|l| format!("{l}\n")).collect();
    let body = renamed(&launch.text, &uses.buffers);
    (parameters, [attribute, format!("({}) {{\n{local}{prologue}{{\n{body}}}\n}}\n\n", declared.join(", "))])
}

/// A text in which buffers `bN` have their places in the set for numbers.
fn renamed(text: &str, buffers: &BTreeSet<BufId>) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (name, other) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        let number = name.strip_prefix('b').and_then(|n| n.parse().ok()).map(BufId);
        match number.and_then(|b| buffers.iter().position(|a| *a == b)) {
            Some(place) => result.push_str(&format!("b{place}")),
            None => result.push_str(name),
        }
        let (between, next) = other.split_at(other.find(is_name).unwrap_or(other.len()));
        result.push_str(between);
        rest = next;
    }
    result
}

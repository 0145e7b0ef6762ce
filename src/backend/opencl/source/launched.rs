//! Launches as kernel functions of their own. When and with which arguments they run is the matter of who launches them.

use crate::backend::opencl::source::body::{Launch, Range, c_type};
use crate::backend::opencl::source::program::{Program, each_launch, live};
use crate::schedule::Schedule;

/// What a kernel function takes, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// The memory of a buffer and the byte at which it begins.
    Buffer(crate::schedule::BufId),
    /// The same of all scratch memory, of the state in it, and of the temporaries.
    Scratch,
    State,
    Temporaries,
    Symbol(u32),
    /// How many items there are.
    Items,
}

/// A kernel function.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<Parameter>,
}

/// The functions of all launches, by their numbers, and their text without what they call.
pub fn functions(schedule: &Schedule, program: &Program) -> (Vec<Function>, String) {
    let mut functions = Vec::new();
    let mut text = String::new();
    each_launch(&program.steps, &mut |launch| {
        let (function, body) = function(schedule, launch);
        functions.push(function);
        text.push_str(&body);
    });
    (functions, text)
}

fn function(schedule: &Schedule, launch: &Launch) -> (Function, String) {
    let uses = &launch.uses;
    let mut parameters: Vec<Parameter> = uses.buffers.iter().map(|b| Parameter::Buffer(*b)).collect();
    if uses.state {
        parameters.push(Parameter::State);
    }
    if uses.temporaries {
        parameters.push(Parameter::Temporaries);
    }
    parameters.extend(uses.symbols.iter().map(|s| Parameter::Symbol(*s)));
    let size = match launch.range {
        Range::Items(_) => {
            parameters.push(Parameter::Items);
            None
        }
        Range::Groups { size, .. } => Some(size),
    };
    let name = format!("at_k{}", launch.number);
    let (mut declared, mut prologue) = (Vec::new(), String::new());
    for parameter in &parameters {
        match parameter {
            Parameter::Buffer(b) => {
                let (i, ty) = (b.0, c_type(schedule.buffer(*b).dtype));
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
    let text = format!(
        "__kernel {attribute}void {name}({}) {{\n{local}{prologue}{{\n{}}}\n}}\n\n",
        declared.join(", "),
        launch.text
    );
    (Function { name, parameters }, text)
}

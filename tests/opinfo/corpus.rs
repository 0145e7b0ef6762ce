//! Reads the operator cases: `NAME.json` with one case on each line, `NAME.safetensors` with the tensors. Nothing is
//! computed here.

use allotrope::{DType, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where the cases are: what the variable says, else the whole corpus where it lies beside the repository, else the
/// sample in the repository.
pub fn folder() -> PathBuf {
    if let Some(dir) = std::env::var_os("ALLOTROPE_OPINFO") {
        return dir.into();
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opinfo");
    if beside.is_dir() { beside } else { sample() }
}

/// The part of the corpus that lies in the repository.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/opinfo")
}

/// The operators in a folder, by name, in order.
pub fn operators(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("no cases in {}: {e}", dir.display()));
    let mut names: Vec<String> = entries
        .filter_map(|e| Some(e.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_string()))
        .filter(|name| dir.join(format!("{name}.safetensors")).is_file())
        .collect();
    names.sort();
    names
}

/// An argument as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    Tensor(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(String),
    None,
    DType(DType),
    List(Vec<Given>),
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Given::Tensor(key) => write!(f, "{key}"),
            Given::Int(i) => write!(f, "{i}"),
            Given::Float(x) => write!(f, "{x:?}"),
            Given::Bool(b) => write!(f, "{b}"),
            Given::Str(s) => write!(f, "{s:?}"),
            Given::None => write!(f, "None"),
            Given::DType(t) => write!(f, "{t}"),
            Given::List(list) => {
                let each: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", each.join(", "))
            }
        }
    }
}

impl Given {
    /// The keys of the tensors in it, in order.
    pub fn keys<'a>(&'a self, out: &mut Vec<&'a str>) {
        match self {
            Given::Tensor(key) if !out.contains(&key.as_str()) => out.push(key),
            Given::List(list) => list.iter().for_each(|v| v.keys(out)),
            _ => {}
        }
    }
}

/// Elements of a tensor.
#[derive(Clone, Debug)]
pub enum Data {
    Bool(Vec<bool>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A tensor on the host: what a file holds or a call gave.
#[derive(Clone, Debug)]
pub struct Host {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub data: Data,
}

impl Host {
    /// A tensor of its own, cast where the elements are of another kind than the dtype.
    pub fn tensor(&self) -> Tensor {
        let t = match &self.data {
            Data::Bool(v) => Tensor::from_slice(v, &self.shape),
            Data::I64(v) => Tensor::from_slice(v, &self.shape),
            Data::F32(v) => Tensor::from_slice(v, &self.shape),
            Data::F64(v) => Tensor::from_slice(v, &self.shape),
        };
        t.to(self.dtype)
    }

    /// The elements of a tensor; those of dtypes that Rust has no type for as wider ones, which keeps them.
    pub fn of(t: &Tensor) -> Host {
        let data = match t.dtype() {
            DType::Bool => Data::Bool(t.to_vec()),
            DType::I64 => Data::I64(t.to_vec()),
            DType::F32 => Data::F32(t.to_vec()),
            DType::F64 => Data::F64(t.to_vec()),
            #[allow(unreachable_patterns, reason = "covers dtypes to come")]
            other if other.is_float() => Data::F64(t.detach().to(DType::F64).to_vec()),
            #[allow(unreachable_patterns, reason = "covers dtypes to come")]
            _ => Data::I64(t.to(DType::I64).to_vec()),
        };
        Host { dtype: t.dtype(), shape: t.shape().to_vec(), data }
    }
}

/// One case of one operator.
pub struct Sample {
    pub id: String,
    pub op: String,
    pub args: Vec<Given>,
    pub kwargs: Vec<(String, Given)>,
    pub outputs: Vec<String>,
    pub grad_outputs: Vec<Option<String>>,
    /// Input, its gradient.
    pub input_grads: Vec<(String, String)>,
    /// Input, its value after the call.
    pub mutated: Vec<(String, String)>,
    /// PyTorch's message, where the call must be refused.
    pub error: Option<String>,
}

impl Sample {
    /// The keys of the input tensors, each once, in the order of the arguments.
    pub fn inputs(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        self.args.iter().chain(self.kwargs.iter().map(|(_, v)| v)).for_each(|v| v.keys(&mut keys));
        keys
    }

    /// The keys of all of its tensors.
    pub fn keys(&self) -> Vec<&str> {
        let pairs = self.input_grads.iter().chain(&self.mutated).map(|(_, key)| key);
        let results = self.outputs.iter().chain(self.grad_outputs.iter().flatten()).chain(pairs);
        self.inputs().into_iter().chain(results.map(String::as_str)).collect()
    }

    /// A call that nothing is expected of.
    pub fn call(op: &str, args: Vec<Given>, kwargs: Vec<(String, Given)>) -> Sample {
        Sample {
            id: format!("{op}/call"),
            op: op.to_string(),
            args,
            kwargs,
            outputs: Vec::new(),
            grad_outputs: Vec::new(),
            input_grads: Vec::new(),
            mutated: Vec::new(),
            error: None,
        }
    }

    /// Whether the case has expected gradients.
    pub fn has_grads(&self) -> bool {
        !self.input_grads.is_empty()
    }
}

/// The cases of one operator with their tensors.
pub struct Operator {
    pub samples: Vec<Sample>,
    pub tensors: HashMap<String, Host>,
}

impl Operator {
    /// Reads both files.
    ///
    /// # Panics
    /// When they are not as the format says.
    pub fn read(dir: &Path, name: &str) -> Operator {
        let path = |suffix| dir.join(format!("{name}.{suffix}"));
        let text = std::fs::read_to_string(path("json")).unwrap_or_else(|e| panic!("{name}.json: {e}"));
        let list: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}.json: {e}"));
        Operator { samples: list.iter().map(sample_of).collect(), tensors: tensors(&path("safetensors")) }
    }
}

/// The tensors of a file by their keys.
///
/// # Panics
/// When it is not as the format says.
pub fn tensors(path: &Path) -> HashMap<String, Host> {
    let name = path.display();
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    file.iter().map(|(key, view)| (key.to_string(), host(&view))).collect()
}

fn host(view: &safetensors::tensor::TensorView<'_>) -> Host {
    let bytes = view.data();
    let (dtype, data) = match view.dtype() {
        Dtype::BOOL => (DType::Bool, Data::Bool(bytes.iter().map(|&b| b != 0).collect())),
        Dtype::I64 => (DType::I64, Data::I64(bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect())),
        Dtype::F32 => (DType::F32, Data::F32(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())),
        other => panic!("a dtype that the format does not have: {other:?}"),
    };
    Host { dtype, shape: view.shape().to_vec(), data }
}

fn sample_of(case: &Value) -> Sample {
    let text = |v: &Value| v.as_str().unwrap_or_else(|| panic!("not a text: {v}")).to_string();
    let list = |key: &str| case[key].as_array().unwrap_or_else(|| panic!("no list {key} in {case}"));
    let map = |key: &str| case[key].as_object().unwrap_or_else(|| panic!("no object {key} in {case}"));
    let pairs = |m: &Map<String, Value>| m.iter().map(|(k, v)| (k.clone(), text(v))).collect();
    Sample {
        id: text(&case["id"]),
        op: text(&case["op"]),
        args: list("args").iter().map(value).collect(),
        kwargs: map("kwargs").iter().map(|(k, v)| (k.clone(), value(v))).collect(),
        outputs: list("outputs").iter().map(text).collect(),
        grad_outputs: list("grad_outputs").iter().map(|v| v.as_str().map(str::to_string)).collect(),
        input_grads: pairs(map("input_grads")),
        mutated: pairs(map("mutated")),
        error: case["error"].as_str().map(str::to_string),
    }
}

/// An argument as the format writes it.
///
/// # Panics
/// When it is none.
pub fn value(v: &Value) -> Given {
    let bad = || -> ! { panic!("not an argument: {v}") };
    let Some((kind, v)) = v.as_object().and_then(|o| o.iter().next()) else { bad() };
    let parsed = match kind.as_str() {
        "tensor" => v.as_str().map(|s| Given::Tensor(s.to_string())),
        "int" => v.as_i64().map(Given::Int),
        "float" => match v {
            Value::String(s) => s.parse().ok().map(Given::Float),
            v => v.as_f64().map(Given::Float),
        },
        "bool" => v.as_bool().map(Given::Bool),
        "str" => v.as_str().map(|s| Given::Str(s.to_string())),
        "none" => Some(Given::None),
        "dtype" => v.as_str().and_then(dtype).map(Given::DType),
        "list" => v.as_array().map(|l| Given::List(l.iter().map(value).collect())),
        _ => None,
    };
    parsed.unwrap_or_else(|| bad())
}

/// The dtype of PyTorch's name.
pub fn dtype(name: &str) -> Option<DType> {
    match name {
        "float32" => Some(DType::F32),
        "float64" => Some(DType::F64),
        "float16" => Some(DType::F16),
        "bfloat16" => Some(DType::BF16),
        "int64" => Some(DType::I64),
        "int32" => Some(DType::I32),
        "uint8" => Some(DType::U8),
        "bool" => Some(DType::Bool),
        _ => None,
    }
}

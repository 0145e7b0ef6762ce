//! Tensors, numbers and calls as `tests/data/number_cases.json` writes them. Nothing is computed here.

use allotrope::ops::{Arg, Number};
use allotrope::{DType, Tensor};
use serde_json::Value;

/// An argument of a call.
#[derive(Clone)]
pub enum Given {
    Tensor(Tensor),
    Number(Number),
    Text(String),
    List(Vec<isize>),
    None,
}

/// One call and what PyTorch makes of it.
pub struct Case {
    pub op: String,
    pub args: Vec<Given>,
    /// The results, or that it is refused.
    pub out: Result<Vec<Tensor>, String>,
    /// The gradient of each float operand, where there are gradients.
    pub grads: Vec<Tensor>,
    /// The line, to name it by.
    pub line: String,
}

fn float(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// `f32[2,1] 0.5 -inf`.
fn tensor(text: &str) -> Tensor {
    let bad = || panic!("no tensor: {text}");
    let (head, elements) = text.split_once(']').unwrap_or_else(bad);
    let (dtype, shape) = head.split_once('[').unwrap_or_else(bad);
    let dtype = DType::from_name(dtype).unwrap_or_else(|| panic!("no dtype: {text}"));
    let shape: Vec<usize> = shape.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().expect("a size")).collect();
    let elements = elements.split_whitespace();
    match dtype.is_float() {
        true => Tensor::from_vec(elements.map(float).collect(), &shape).to(dtype),
        false => Tensor::from_vec(elements.map(|x| x.parse::<i64>().expect("an integer")).collect(), &shape).to(dtype),
    }
}

fn given(v: &Value) -> Given {
    match v {
        Value::Null => Given::None,
        Value::Bool(b) => Given::Number(Number::Bool(*b)),
        Value::Number(n) => Given::Number(match n.as_i64() {
            Some(i) => Number::Int(i),
            None => Number::Float(n.as_f64().expect("a number")),
        }),
        Value::String(s) if s.contains('[') => Given::Tensor(tensor(s)),
        Value::String(s) => match s.parse::<f64>() {
            Ok(x) => Given::Number(Number::Float(x)),
            Err(_) => Given::Text(s.clone()),
        },
        Value::Array(list) => Given::List(list.iter().map(|n| n.as_i64().expect("an integer") as isize).collect()),
        Value::Object(_) => panic!("no argument: {v}"),
    }
}

fn tensors(v: &Value) -> Vec<Tensor> {
    v.as_array().expect("a list").iter().map(|t| tensor(t.as_str().expect("a tensor"))).collect()
}

impl Case {
    /// `["clamp", [args], [results] or "message", [gradients]]`.
    pub fn read(line: &str) -> Case {
        let v: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let out = match v[2].as_str() {
            Some(message) => Err(message.to_string()),
            None => Ok(tensors(&v[2])),
        };
        Case {
            op: v[0].as_str().expect("a name").to_string(),
            args: v[1].as_array().expect("arguments").iter().map(given).collect(),
            out,
            grads: v.get(3).map(tensors).unwrap_or_default(),
            line: line.trim().trim_end_matches(',').to_string(),
        }
    }
}

impl Given {
    pub fn tensor(&self) -> &Tensor {
        match self {
            Given::Tensor(t) => t,
            _ => panic!("a tensor is wanted"),
        }
    }

    pub fn tensor_opt(&self) -> Option<&Tensor> {
        match self {
            Given::Tensor(t) => Some(t),
            _ => None,
        }
    }

    pub fn arg(&self) -> Arg<'_> {
        match self {
            Given::Tensor(t) => Arg::Tensor(t),
            Given::Number(n) => Arg::Number(*n),
            _ => panic!("a tensor or a number is wanted"),
        }
    }

    pub fn number(&self) -> Number {
        match self {
            Given::Number(n) => *n,
            _ => panic!("a number is wanted"),
        }
    }

    pub fn float(&self) -> f64 {
        self.number().to_f64()
    }

    pub fn int(&self) -> isize {
        match self.number() {
            Number::Int(i) => i as isize,
            Number::Bool(b) => isize::from(b),
            Number::Float(_) => panic!("a whole number is wanted"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Given::Text(s) => s,
            _ => panic!("a text is wanted"),
        }
    }

    pub fn axes(&self) -> &[isize] {
        match self {
            Given::List(list) => list,
            _ => panic!("a list is wanted"),
        }
    }
}

//! A nested value: what PyTorch pickles for an optimizer's state, a scheduler's or a whole checkpoint.

use super::StateDict;
use crate::tensor::Tensor;

/// Numbers, text and tensors in lists and dictionaries.
///
/// ```
/// use allotrope::{prelude::*, state::Value};
/// let checkpoint = Value::dict([("epoch", Value::from(3)), ("weight", Value::from(randn(&[2])))]);
/// assert_eq!(checkpoint.get("epoch").and_then(Value::as_int), Some(3));
/// assert!(checkpoint.get("optimizer").is_none());
/// ```
#[derive(Clone, Debug)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Tensor(Tensor),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    /// Keys and values in order; keys are text or whole numbers.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// A dictionary with text for keys.
    pub fn dict<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Dict(entries.into_iter().map(|(key, value)| (Value::Str(key.into()), value)).collect())
    }

    /// What a dictionary has under a text.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(|k| matches!(k, Value::Str(text) if text == key))
    }

    /// What a dictionary has under a number.
    pub fn at(&self, key: i64) -> Option<&Value> {
        self.find(|k| matches!(k, Value::Int(number) if *number == key))
    }

    fn find(&self, fits: impl Fn(&Value) -> bool) -> Option<&Value> {
        let Value::Dict(entries) = self else { return None };
        entries.iter().find(|(key, _)| fits(key)).map(|(_, value)| value)
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }

    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }

    /// A number, whole or not.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(x) => Some(*x),
            Value::Int(n) => Some(*n as f64),
            Value::None
            | Value::Bool(_)
            | Value::Str(_)
            | Value::Tensor(_)
            | Value::List(_)
            | Value::Tuple(_)
            | Value::Dict(_) => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Value::Str(text) = self { Some(text) } else { None }
    }

    pub fn as_tensor(&self) -> Option<&Tensor> {
        if let Value::Tensor(t) = self { Some(t) } else { None }
    }

    /// The elements of a list or a tuple.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(all) | Value::Tuple(all) = self { Some(all) } else { None }
    }

    /// Keys and values of a dictionary.
    pub fn as_dict(&self) -> Option<&[(Value, Value)]> {
        if let Value::Dict(entries) = self { Some(entries) } else { None }
    }

    /// The dictionary as named tensors, if all of it is text and tensors.
    pub fn to_state_dict(&self) -> Option<StateDict> {
        let entries = self.as_dict()?.iter();
        entries.map(|(key, value)| Some((key.as_str()?.to_string(), value.as_tensor()?.clone()))).collect()
    }

    /// The same with tensors of their own, which nothing changes any more.
    pub fn copy(&self) -> Value {
        let all = |values: &[Value]| values.iter().map(Value::copy).collect();
        match self {
            Value::Tensor(t) => Value::Tensor(t.detach().copy()),
            Value::List(values) => Value::List(all(values)),
            Value::Tuple(values) => Value::Tuple(all(values)),
            Value::Dict(entries) => Value::Dict(entries.iter().map(|(k, v)| (k.copy(), v.copy())).collect()),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => self.clone(),
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Value {
        Value::Float(x)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_string())
    }
}

impl From<Tensor> for Value {
    fn from(t: Tensor) -> Value {
        Value::Tensor(t)
    }
}

impl From<StateDict> for Value {
    fn from(state: StateDict) -> Value {
        Value::dict(state.into_iter().map(|(name, t)| (name, Value::Tensor(t))))
    }
}

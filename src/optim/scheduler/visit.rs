//! The state of a scheduler, named once for saving and for loading.

use crate::error::{Error, Result};
use crate::optim::options::number;
use crate::state::Value;

/// Is shown each value of a scheduler's state under PyTorch's name, and takes it or puts a saved one in its place.
pub struct Visit<'a> {
    of: &'static str,
    from: Option<&'a Value>,
    saved: Vec<(String, Value)>,
    error: Option<Error>,
}

impl<'a> Visit<'a> {
    pub(super) fn saving(of: &'static str) -> Visit<'a> {
        Visit { of, from: None, saved: Vec::new(), error: None }
    }

    pub(super) fn loading(of: &'static str, from: &'a Value) -> Result<Visit<'a>> {
        match from.as_dict() {
            Some(_) => Ok(Visit { of, from: Some(from), saved: Vec::new(), error: None }),
            None => Err(Error::argument(format!("{of}: the state is no dictionary"))),
        }
    }

    pub(super) fn saved(self) -> Value {
        Value::dict(self.saved)
    }

    /// Whether everything was there.
    pub(super) fn finish(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }

    fn value<T>(&mut self, name: &str, place: &mut T, save: impl Fn(&T) -> Value, load: impl Fn(&Value) -> Option<T>) {
        let Some(from) = self.from else {
            self.saved.push((name.to_string(), save(place)));
            return;
        };
        match from.get(name).and_then(load) {
            Some(value) => *place = value,
            None if self.error.is_none() => {
                let found = if from.get(name).is_some() { "of another kind" } else { "not there" };
                let text = format!("{}: {name} of the state is {found}; nothing was changed", self.of);
                self.error = Some(Error::argument(text));
            }
            None => {}
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str, place: &mut f64) {
        self.value(name, place, |x| Value::Float(*x), number);
    }

    /// A number that may be absent.
    pub fn optional(&mut self, name: &str, place: &mut Option<f64>) {
        let save = |x: &Option<f64>| x.map_or(Value::None, Value::Float);
        self.value(name, place, save, |v| match v {
            Value::None => Some(None),
            v => number(v).map(Some),
        });
    }

    /// A whole number.
    pub fn int(&mut self, name: &str, place: &mut i64) {
        self.value(name, place, |n| Value::Int(*n), |v| number(v).filter(|x| x.fract() == 0.0).map(|x| x as i64));
    }

    /// A switch.
    pub fn flag(&mut self, name: &str, place: &mut bool) {
        self.value(name, place, |b| Value::Bool(*b), Value::as_bool);
    }

    /// A list of numbers, as long as it is.
    pub fn numbers(&mut self, name: &str, place: &mut Vec<f64>) {
        let len = place.len();
        let save = |all: &Vec<f64>| Value::List(all.iter().copied().map(Value::Float).collect());
        self.value(name, place, save, |v| {
            let all = v.as_list()?.iter().map(number).collect::<Option<Vec<f64>>>()?;
            (all.len() == len).then_some(all)
        });
    }

    /// How often each of some epochs is named.
    pub fn counts(&mut self, name: &str, place: &mut Vec<(i64, i64)>) {
        let save =
            |all: &Vec<(i64, i64)>| Value::Dict(all.iter().map(|(k, n)| (Value::Int(*k), Value::Int(*n))).collect());
        self.value(name, place, save, |v| v.as_dict()?.iter().map(|(k, n)| Some((k.as_int()?, n.as_int()?))).collect());
    }

    /// One of some words.
    pub fn word<T: Copy + PartialEq>(&mut self, name: &str, place: &mut T, words: &[(&'static str, T)]) {
        let save = |x: &T| words.iter().find(|(_, t)| t == x).map_or(Value::None, |(word, _)| Value::from(*word));
        self.value(name, place, save, |v| {
            let text = v.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, t)| *t)
        });
    }

    /// What PyTorch has in the state, and nothing here reads.
    pub fn fixed(&mut self, name: &str, value: Value) {
        if self.from.is_none() {
            self.saved.push((name.to_string(), value));
        }
    }
}

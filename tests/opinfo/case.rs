//! One case as an adapter sees it: arguments by position or by PyTorch's parameter name, tensors of the mode that is
//! running. An argument that the adapter never looks at is found, so that no keyword is silently ignored.

use crate::corpus::{Given, Sample};
use allotrope::ops::{Arg, Number};
use allotrope::{DType, Error, Result, Tensor};
use std::cell::RefCell;

/// Begins the text of an error that an accessor here gives: the argument cannot even be written in Rust's types.
pub const BY_TYPE: &str = "argument types";

/// In place of a position: the argument is given by keyword only.
pub const KEYWORD: usize = usize::MAX;

/// The result of an operator that gives one tensor.
pub fn one(result: Result<Tensor>) -> Result<Vec<Tensor>> {
    Ok(vec![result?])
}

/// The arguments of one case in one mode.
pub struct Case<'a> {
    sample: &'a Sample,
    tensors: Vec<(&'a str, Tensor)>,
    /// Whether each argument was looked at: the positional ones, then those by keyword.
    used: RefCell<Vec<bool>>,
}

impl<'a> Case<'a> {
    /// A case with these tensors for its keys.
    pub fn new(sample: &'a Sample, tensors: Vec<(&'a str, Tensor)>) -> Case<'a> {
        let used = RefCell::new(vec![false; sample.args.len() + sample.kwargs.len()]);
        Case { sample, tensors, used }
    }

    /// The operator's name in the corpus, with its variant.
    pub fn op(&self) -> &'a str {
        &self.sample.op
    }

    /// The number of positional arguments.
    pub fn len(&self) -> usize {
        self.sample.args.len()
    }

    /// Whether the argument is given by keyword. It does not count as used by this.
    pub fn has(&self, name: &str) -> bool {
        self.sample.kwargs.iter().any(|(n, _)| n == name)
    }

    /// The argument at position `i` ([`KEYWORD`]: none) or named `name`, as the file has it.
    pub fn given(&self, i: usize, name: &str) -> Option<&'a Given> {
        if let Some(v) = self.sample.args.get(i) {
            self.used.borrow_mut()[i] = true;
            return Some(v);
        }
        let at = self.sample.kwargs.iter().position(|(n, _)| n == name)?;
        self.used.borrow_mut()[self.len() + at] = true;
        Some(&self.sample.kwargs[at].1)
    }

    /// The arguments that nobody asked for.
    pub fn unused(&self) -> Vec<String> {
        let names = (0..self.len()).map(|i| i.to_string()).chain(self.sample.kwargs.iter().map(|(n, _)| n.clone()));
        names.zip(self.used.borrow().iter()).filter(|(_, used)| !**used).map(|(name, _)| name).collect()
    }

    /// Whether the argument is `None`. It counts as used.
    pub fn is_none(&self, i: usize, name: &str) -> bool {
        matches!(self.given(i, name), Some(Given::None))
    }

    fn required(&self, i: usize, name: &str) -> Result<&'a Given> {
        self.given(i, name).ok_or_else(|| Error::Argument(format!("{BY_TYPE}: {name} is not given")))
    }

    /// The argument unless it is missing or `None`.
    fn optional(&self, i: usize, name: &str) -> Option<&'a Given> {
        self.given(i, name).filter(|v| **v != Given::None)
    }

    fn find(&self, key: &str) -> &Tensor {
        let found = self.tensors.iter().find(|(k, _)| *k == key);
        &found.unwrap_or_else(|| panic!("the case has no tensor {key}")).1
    }

    fn to_tensor(&self, v: &'a Given, name: &str) -> Result<&Tensor> {
        match v {
            Given::Tensor(key) => Ok(self.find(key)),
            v => Err(wrong(v, name, "a tensor")),
        }
    }

    /// A tensor.
    pub fn tensor(&self, i: usize, name: &str) -> Result<&Tensor> {
        self.to_tensor(self.required(i, name)?, name)
    }

    /// A tensor, unless it is missing or `None`.
    pub fn tensor_opt(&self, i: usize, name: &str) -> Result<Option<&Tensor>> {
        self.optional(i, name).map(|v| self.to_tensor(v, name)).transpose()
    }

    /// A list of tensors.
    pub fn tensors(&self, i: usize, name: &str) -> Result<Vec<&Tensor>> {
        match self.required(i, name)? {
            Given::List(list) => list.iter().map(|v| self.to_tensor(v, name)).collect(),
            v => Err(wrong(v, name, "a list of tensors")),
        }
    }

    fn to_arg(&self, v: &'a Given, name: &str) -> Result<Arg<'_>> {
        Ok(match v {
            Given::Tensor(key) => Arg::Tensor(self.find(key)),
            Given::Int(i) => Arg::Number(Number::Int(*i)),
            Given::Float(x) => Arg::Number(Number::Float(*x)),
            Given::Bool(b) => Arg::Number(Number::Bool(*b)),
            v => return Err(wrong(v, name, "a tensor or a number")),
        })
    }

    /// A tensor or a number.
    pub fn arg(&self, i: usize, name: &str) -> Result<Arg<'_>> {
        self.to_arg(self.required(i, name)?, name)
    }

    /// A tensor or a number, unless it is missing or `None`.
    pub fn arg_opt(&self, i: usize, name: &str) -> Result<Option<Arg<'_>>> {
        self.optional(i, name).map(|v| self.to_arg(v, name)).transpose()
    }

    /// A whole number.
    pub fn int(&self, i: usize, name: &str) -> Result<isize> {
        to_int(self.required(i, name)?, name)
    }

    /// A whole number, `default` where it is missing or `None`.
    pub fn int_or(&self, i: usize, name: &str, default: isize) -> Result<isize> {
        Ok(self.int_opt(i, name)?.unwrap_or(default))
    }

    /// A whole number, unless it is missing or `None`.
    pub fn int_opt(&self, i: usize, name: &str) -> Result<Option<isize>> {
        self.optional(i, name).map(|v| to_int(v, name)).transpose()
    }

    /// A whole number that is not negative: a size or a count.
    pub fn size(&self, i: usize, name: &str) -> Result<usize> {
        to_size(self.int(i, name)?, name)
    }

    /// As [`Case::size`], `default` where it is missing or `None`.
    pub fn size_or(&self, i: usize, name: &str, default: usize) -> Result<usize> {
        self.int_opt(i, name)?.map_or(Ok(default), |n| to_size(n, name))
    }

    /// As [`Case::size`], unless it is missing or `None`.
    pub fn size_opt(&self, i: usize, name: &str) -> Result<Option<usize>> {
        self.int_opt(i, name)?.map(|n| to_size(n, name)).transpose()
    }

    /// Whole numbers: a list, or one alone.
    pub fn ints(&self, i: usize, name: &str) -> Result<Vec<isize>> {
        to_ints(self.required(i, name)?, name)
    }

    /// As [`Case::ints`], unless it is missing or `None`.
    pub fn ints_opt(&self, i: usize, name: &str) -> Result<Option<Vec<isize>>> {
        self.optional(i, name).map(|v| to_ints(v, name)).transpose()
    }

    /// As [`Case::ints`], none negative.
    pub fn sizes(&self, i: usize, name: &str) -> Result<Vec<usize>> {
        self.ints(i, name)?.into_iter().map(|n| to_size(n, name)).collect()
    }

    /// As [`Case::sizes`], unless it is missing or `None`.
    pub fn sizes_opt(&self, i: usize, name: &str) -> Result<Option<Vec<usize>>> {
        self.ints_opt(i, name)?.map(|list| list.into_iter().map(|n| to_size(n, name)).collect()).transpose()
    }

    /// Every positional argument from `i` on as whole numbers: `f(2, 3)` or `f((2, 3))`; by keyword `name` otherwise.
    pub fn rest(&self, i: usize, name: &str) -> Result<Vec<isize>> {
        if self.len() <= i + 1 {
            return self.ints(i, name);
        }
        (i..self.len()).map(|i| self.int(i, name)).collect()
    }

    /// A number as a float.
    pub fn float(&self, i: usize, name: &str) -> Result<f64> {
        to_float(self.required(i, name)?, name)
    }

    /// A number as a float, `default` where it is missing or `None`.
    pub fn float_or(&self, i: usize, name: &str, default: f64) -> Result<f64> {
        Ok(self.float_opt(i, name)?.unwrap_or(default))
    }

    /// A number as a float, unless it is missing or `None`.
    pub fn float_opt(&self, i: usize, name: &str) -> Result<Option<f64>> {
        self.optional(i, name).map(|v| to_float(v, name)).transpose()
    }

    /// A bool, `default` where it is missing or `None`.
    pub fn bool_or(&self, i: usize, name: &str, default: bool) -> Result<bool> {
        Ok(self.bool_opt(i, name)?.unwrap_or(default))
    }

    /// A bool, unless it is missing or `None`.
    pub fn bool_opt(&self, i: usize, name: &str) -> Result<Option<bool>> {
        let to_bool = |v: &Given| match v {
            Given::Bool(b) => Ok(*b),
            v => Err(wrong(v, name, "a bool")),
        };
        self.optional(i, name).map(to_bool).transpose()
    }

    /// A text, `default` where it is missing or `None`.
    pub fn str_or(&self, i: usize, name: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.str_opt(i, name)?.unwrap_or(default))
    }

    /// A text, unless it is missing or `None`.
    pub fn str_opt(&self, i: usize, name: &str) -> Result<Option<&'a str>> {
        let to_str = |v: &'a Given| match v {
            Given::Str(s) => Ok(s.as_str()),
            v => Err(wrong(v, name, "a text")),
        };
        self.optional(i, name).map(to_str).transpose()
    }

    /// A dtype, unless it is missing or `None`.
    pub fn dtype_opt(&self, i: usize, name: &str) -> Result<Option<DType>> {
        let to_dtype = |v: &Given| match v {
            Given::DType(t) => Ok(*t),
            v => Err(wrong(v, name, "a dtype")),
        };
        self.optional(i, name).map(to_dtype).transpose()
    }
}

fn wrong(v: &Given, name: &str, wanted: &str) -> Error {
    Error::Argument(format!("{BY_TYPE}: {name} is {v}, wanted {wanted}"))
}

fn to_int(v: &Given, name: &str) -> Result<isize> {
    match v {
        Given::Int(i) => Ok(*i as isize),
        v => Err(wrong(v, name, "a whole number")),
    }
}

fn to_size(n: isize, name: &str) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::Argument(format!("{BY_TYPE}: {name} is {n}, wanted a size")))
}

fn to_ints(v: &Given, name: &str) -> Result<Vec<isize>> {
    match v {
        Given::List(list) => list.iter().map(|v| to_int(v, name)).collect(),
        v => Ok(vec![to_int(v, name)?]),
    }
}

fn to_float(v: &Given, name: &str) -> Result<f64> {
    match v {
        Given::Int(i) => Ok(*i as f64),
        Given::Float(x) => Ok(*x),
        v => Err(wrong(v, name, "a number")),
    }
}

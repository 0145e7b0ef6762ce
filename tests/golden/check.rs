//! What a run leaves, held against a file and against the other mode.

use allotrope::prelude::*;
use serde_json::Value;
use std::cell::Cell;

thread_local! {
    /// The seed of the nudge of the runs of this thread.
    static NUDGE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs a program with its initial weights changed by about an ulp, as the files' own tolerances were found.
pub fn nudged<T>(seed: u64, run: impl FnOnce() -> T) -> T {
    NUDGE.set(Some(seed));
    let result = run();
    NUDGE.set(None);
    result
}

/// What each program calls with its initial weights.
pub fn nudge(weights: &[Tensor]) {
    let Some(seed) = NUDGE.get() else { return };
    let generator = Generator::new(seed);
    no_grad(|| {
        for w in weights {
            w.mul_(&(1.0 + generator.randn(w.shape(), DType::F32) * 3e-7));
        }
    });
}

/// How far the losses of runs part from those of the first, relative, so far at each step.
pub fn spread(first: &Outcome, others: &[Outcome]) -> Vec<f64> {
    let mut largest = 0.0f64;
    let at = |i: usize| {
        let part = |run: &Outcome| (run.losses[i] - first.losses[i]).abs() / first.losses[i].abs().max(1e-12);
        largest = others.iter().map(part).fold(largest, f64::max);
        largest
    };
    (0..first.losses.len()).map(at).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Eager,
    Traced,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Mode::Eager => "eager",
            Mode::Traced => "traced",
        })
    }
}

/// How a value must agree with the file's.
#[derive(Clone, Copy)]
pub enum By {
    /// Relative, by this much.
    Relative(f64),
    /// By the tolerance of the last loss, relative to the largest of the values: predictions go through zero.
    LastLoss,
    /// Absolutely, by this much.
    Absolute(f64),
    Exactly,
}

/// What a program leaves.
#[derive(Default)]
pub struct Outcome {
    /// In the file's order, all steps; compared by `rtol_by_step`.
    pub losses: Vec<f64>,
    /// Numbers of the file under a key (`a.b` for one inside of another).
    pub numbers: Vec<(String, Vec<f64>, By)>,
    /// Texts of the file under a key.
    pub texts: Vec<(String, Value)>,
    /// Parameters and states, for the comparison of the modes.
    pub left: Vec<Tensor>,
}

pub struct Compared {
    /// The largest deviation as a part of what is allowed.
    pub largest: f64,
    pub wrong: Vec<String>,
}

pub fn list(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(list).collect(),
        Value::Object(items) => items.values().flat_map(list).collect(),
        v => vec![v.as_f64().unwrap_or_else(|| panic!("a number, got {v}"))],
    }
}

/// All numbers of a tensor.
pub fn numbers(t: &Tensor) -> Vec<f64> {
    t.detach().to(DType::F64).to_vec()
}

impl Outcome {
    pub fn number(mut self, key: &str, values: Vec<f64>, by: By) -> Outcome {
        self.numbers.push((key.to_string(), values, by));
        self
    }

    pub fn text(mut self, key: &str, value: impl Into<Value>) -> Outcome {
        self.texts.push((key.to_string(), value.into()));
        self
    }

    /// Where the two part, bit by bit.
    pub fn difference(&self, other: &Outcome) -> Option<String> {
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        if let Some(i) = self.losses.iter().zip(&other.losses).position(|(a, b)| a.to_bits() != b.to_bits()) {
            return Some(format!("loss {i}: {} and {}", self.losses[i], other.losses[i]));
        }
        let parted = self.numbers.iter().zip(&other.numbers).find(|(a, b)| bits(&a.1) != bits(&b.1));
        if let Some((a, _)) = parted {
            return Some(a.0.clone());
        }
        let left = self.left.iter().zip(&other.left);
        let parted = left.enumerate().find(|(_, (a, b))| bits(&numbers(a)) != bits(&numbers(b)));
        parted.map(|(i, _)| format!("tensor {i} of those left"))
    }
}

/// The file's value under a key, which may have dots itself.
fn at<'a>(file: &'a Value, key: &str) -> &'a Value {
    match key.split_once('.') {
        Some((first, rest)) if file.get(key).is_none() => at(&file[first], rest),
        _ => &file[key],
    }
}

/// By the file's tolerances, or `least` where that is more.
pub fn compare(file: &Value, run: &Outcome, least: &[f64]) -> Compared {
    let mut all = Compared { largest: 0.0, wrong: Vec::new() };
    let mut tolerances = if file["rtol_by_step"].is_null() { Vec::new() } else { list(&file["rtol_by_step"]) };
    tolerances.iter_mut().zip(least).for_each(|(tolerance, least)| *tolerance = tolerance.max(*least));
    let key = ["losses", "losses_by_optimizer"].into_iter().find(|key| !file[*key].is_null());
    if let Some(key) = key {
        let want = list(&file[key]);
        let relative = |got: &f64, want: &f64| (got - want).abs() / want.abs().max(1e-12);
        let parts = run.losses.iter().zip(&want).zip(&tolerances).map(|((g, w), may)| relative(g, w) / may);
        all.take(key, run.losses.len() == want.len(), parts.collect());
    }
    for (key, got, by) in &run.numbers {
        let want = list(at(file, key));
        let size = want.iter().fold(1e-12f64, |a, b| a.max(b.abs()));
        let last = tolerances.last().copied().unwrap_or(2e-5);
        let part = |(g, w): (&f64, &f64)| match by {
            By::Relative(may) => (g - w).abs() / w.abs().max(1e-12) / may,
            By::LastLoss => (g - w).abs() / size / last,
            By::Absolute(may) => (g - w).abs() / may,
            By::Exactly if g.to_bits() == w.to_bits() => 0.0,
            By::Exactly => f64::INFINITY,
        };
        all.take(key, got.len() == want.len(), got.iter().zip(&want).map(part).collect());
    }
    for (key, got) in &run.texts {
        if at(file, key) != got {
            all.wrong.push(format!("{key}: {got} where PyTorch has {}", at(file, key)));
        }
    }
    all
}

impl Compared {
    fn take(&mut self, what: &str, as_many: bool, parts: Vec<f64>) {
        if !as_many {
            self.wrong.push(format!("{what}: another number of values"));
            return;
        }
        // A NaN is no agreement.
        if let Some(i) = parts.iter().position(|part| *part > 1.0 || part.is_nan()) {
            self.wrong.push(format!("{what}, number {i}: off by {:.3} times the tolerance", parts[i]));
        }
        self.largest = parts.into_iter().fold(self.largest, |a, b| if b.is_nan() { f64::INFINITY } else { a.max(b) });
    }
}

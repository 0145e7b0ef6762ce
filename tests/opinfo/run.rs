//! One case in every mode: eager and traced, forward alone and with gradients, as PyTorch says and with equal bits. It
//! knows no operator.

use crate::case::{BY_TYPE, Case};
use crate::compare::{self, GRADIENTS};
use crate::corpus::{Host, Operator, Sample};
use crate::quiet::{has_panicked, is_crash, quietly, with_place};
use allotrope::ops::grad;
use allotrope::prelude::{stack, trace};
use allotrope::{Error, Tensor};
use std::cell::RefCell;

/// Calls the operator that a case means.
pub type Adapter = fn(&Case) -> allotrope::Result<Vec<Tensor>>;

/// How an operator did in one mode.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
}

impl Count {
    fn add(&mut self, passed: bool) {
        if passed { self.passed += 1 } else { self.failed += 1 }
    }
}

/// How bad inputs were refused.
#[derive(Clone, Copy, Default)]
pub struct Refusals {
    /// With an error.
    pub library: usize,
    /// The arguments could not be written in Rust's types.
    pub types: usize,
    /// With a panic, where an error was asked for.
    pub panics: usize,
    /// By a trace, because the result's shape is known only from the elements: the right answer of that mode.
    pub by_shape: usize,
}

/// What a trace says of an operator whose result has a shape that only the elements tell.
pub const BY_SHAPE: &str = "the shape of the result depends on the elements";

/// How the cases of one operator went.
#[derive(Default)]
pub struct Tally {
    /// Values and, where the case has them, gradients.
    pub eager: Count,
    pub traced: Count,
    /// Cases with gradients only.
    pub traced_grad: Count,
    /// The eager cases that have gradients.
    pub eager_grad: Count,
    /// Cases whose two modes differ in a bit.
    pub bits: usize,
    pub refusals: Refusals,
    /// Whether nobody says how to call the operator; all of its cases count as failed.
    pub no_adapter: bool,
    /// What went wrong, a case each.
    pub failures: Vec<String>,
}

/// What a call gave.
pub struct Outcome {
    pub outputs: Vec<Host>,
    /// By the order of `input_grads`.
    pub grads: Vec<Host>,
    /// By the order of `mutated`.
    pub mutated: Vec<Host>,
}

/// A call without a result.
pub enum Stop {
    /// An error.
    Refused(String),
    /// A panic.
    Panicked(String),
}

impl Stop {
    /// What stopped it, for a report.
    pub fn text(&self) -> String {
        match self {
            Stop::Refused(text) => format!("error: {text}"),
            Stop::Panicked(text) => format!("panic: {text}"),
        }
    }
}

type Done = Result<Outcome, Stop>;

/// Runs every case of one operator.
pub fn operator(op: &Operator, adapter: Option<Adapter>) -> Tally {
    let mut tally = Tally::default();
    let Some(adapter) = adapter else {
        let grads = op.samples.iter().filter(|s| s.has_grads()).count();
        tally.eager.failed = op.samples.len();
        tally.traced.failed = op.samples.len();
        (tally.eager_grad.failed, tally.traced_grad.failed) = (grads, grads);
        tally.no_adapter = true;
        tally.failures.push("no adapter".to_string());
        return tally;
    };
    for sample in &op.samples {
        let mut problems = Problems::default();
        Run { op, sample, adapter }.all(&mut tally, &mut problems);
        if !problems.0.is_empty() {
            let args = sample.args.iter().map(|v| describe(op, v));
            let kwargs = sample.kwargs.iter().map(|(n, v)| format!("{n}={}", describe(op, v)));
            let list = args.chain(kwargs).collect::<Vec<_>>().join(", ");
            tally.failures.push(format!("{}({list}){problems}", sample.id));
        }
    }
    tally
}

/// What went wrong in one case, and in which modes.
#[derive(Default)]
struct Problems(Vec<(String, String)>);

impl Problems {
    fn add(&mut self, mode: &str, what: String) {
        match self.0.iter_mut().find(|(_, w)| *w == what) {
            Some((modes, _)) => *modes += &format!(", {mode}"),
            None => self.0.push((mode.to_string(), what)),
        }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(modes, what)| write!(f, "\n      {modes}: {what}"))
    }
}

/// An argument with the types of its tensors.
fn describe(op: &Operator, v: &crate::corpus::Given) -> String {
    use crate::corpus::Given;
    match v {
        Given::Tensor(key) => op.tensors.get(key).map_or_else(|| key.clone(), |t| format!("{}{:?}", t.dtype, t.shape)),
        Given::List(list) => format!("[{}]", list.iter().map(|v| describe(op, v)).collect::<Vec<_>>().join(", ")),
        v => v.to_string(),
    }
}

/// One case.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub op: &'a Operator,
    pub sample: &'a Sample,
    pub adapter: Adapter,
}

impl<'a> Run<'a> {
    fn all(self, tally: &mut Tally, problems: &mut Problems) {
        let (eager, traced) = (self.eager(false), self.traced(false));
        if self.sample.error.is_some() {
            let refused = self.refused(&eager, "eager", tally, problems);
            tally.eager.add(refused);
            let refused = self.refused(&traced, "traced", tally, problems);
            tally.traced.add(refused);
            return;
        }
        let mut strided_same = true;
        let has_grads = self.sample.has_grads();
        let (with_grad, traced_grad) = (has_grads.then(|| self.eager(true)), has_grads.then(|| self.traced(true)));
        for (grads, done) in [(false, Some(&eager)), (true, with_grad.as_ref())] {
            let Some(what) = done.and_then(|done| self.strided_difference(done, grads)) else { continue };
            problems.add("eager", format!("otherwise on inputs that are not contiguous: {what}"));
            strided_same = false;
        }
        let mut right = |done: &Done, mode: &str, grads: bool| match self.wrong(done, grads) {
            Some(what) => {
                problems.add(mode, what);
                false
            }
            None => true,
        };
        let mut eager_right = right(&eager, "eager", false) && strided_same;
        let by_shape = matches!(&traced, Err(Stop::Refused(text)) if text.contains(BY_SHAPE));
        tally.refusals.by_shape += usize::from(by_shape);
        let traced_right = by_shape || right(&traced, "traced", false);
        tally.traced.add(traced_right);
        let mut different = if by_shape { None } else { differ(&eager, &traced) };
        if let (Some(with_grad), Some(traced_grad)) = (&with_grad, &traced_grad) {
            let grad_right = right(with_grad, "eager+grad", true);
            tally.eager_grad.add(grad_right);
            eager_right &= grad_right;
            let traced_right = right(traced_grad, "traced+grad", true);
            tally.traced_grad.add(traced_right);
            different = different.or_else(|| differ(with_grad, traced_grad));
        }
        tally.eager.add(eager_right);
        if let Some(what) = different {
            tally.bits += 1;
            problems.add("bits", what);
        }
    }

    /// What becomes otherwise where no input is contiguous.
    fn strided_difference(self, contiguous: &Done, grads: bool) -> Option<String> {
        // A view of such a tensor may be impossible.
        if contiguous.is_err() || matches!(self.sample.op.as_str(), "view" | "take_along_dim") {
            return None;
        }
        let strided = |(key, t): (&'a str, Tensor)| match self.is_mutated(key) {
            true => (key, t),
            false => (key, spread(&t)),
        };
        match self.eager_on(self.leaves(grads).into_iter().map(strided).collect(), grads) {
            Err(stop) => Some(stop.text()),
            strided => differ(contiguous, &strided),
        }
    }

    /// Whether a bad input was refused as it should be.
    fn refused(self, done: &Done, mode: &str, tally: &mut Tally, problems: &mut Problems) -> bool {
        let text = match done {
            Ok(_) => {
                let theirs = self.sample.error.as_deref().unwrap_or_default();
                problems.add(mode, format!("not refused; PyTorch says: {theirs}"));
                return false;
            }
            Err(Stop::Refused(text)) if text.contains(BY_TYPE) => {
                tally.refusals.types += 1;
                text
            }
            Err(Stop::Refused(text)) => {
                tally.refusals.library += 1;
                text
            }
            Err(Stop::Panicked(text)) => {
                tally.refusals.panics += 1;
                text
            }
        };
        let crash = is_crash(text);
        if crash {
            problems.add(mode, format!("crash instead of a refusal: {text}"));
        }
        !crash
    }

    /// What is not as PyTorch says.
    fn wrong(self, done: &Done, grads: bool) -> Option<String> {
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(stop) => return Some(stop.text()),
        };
        let s = self.sample;
        if outcome.outputs.len() != s.outputs.len() {
            return Some(format!("{} results, wanted {}", outcome.outputs.len(), s.outputs.len()));
        }
        let outputs = compare::for_outputs(&s.op);
        let part = |what: &str, got: &[Host], want: Vec<&String>, tolerance| {
            let mut pairs = got.iter().zip(want).enumerate();
            pairs.find_map(|(i, (got, key))| {
                Some(format!("{what} {i}: {}", compare::close(got, &self.op.tensors[key], tolerance).err()?))
            })
        };
        let found = part("result", &outcome.outputs, s.outputs.iter().collect(), outputs);
        let found =
            found.or_else(|| part("mutated", &outcome.mutated, s.mutated.iter().map(|m| &m.1).collect(), outputs));
        if !grads {
            return found;
        }
        found.or_else(|| part("gradient", &outcome.grads, s.input_grads.iter().map(|g| &g.1).collect(), GRADIENTS))
    }

    /// New tensors for the inputs.
    fn leaves(self, grads: bool) -> Vec<(&'a str, Tensor)> {
        let wants = |key: &str| grads && self.sample.input_grads.iter().any(|(k, _)| k == key);
        let leaf = |key: &'a str| {
            let t = self.op.tensors[key].tensor();
            (key, if wants(key) { t.requires_grad() } else { t })
        };
        self.sample.inputs().into_iter().map(leaf).collect()
    }

    /// The gradients to send back, `None` where there is none.
    fn grad_outputs(self) -> Vec<Option<Tensor>> {
        let tensor = |key: &Option<String>| key.as_ref().map(|key| self.op.tensors[key].tensor());
        self.sample.grad_outputs.iter().map(tensor).collect()
    }

    fn is_mutated(self, key: &str) -> bool {
        self.sample.mutated.iter().any(|(k, _)| k == key)
    }

    /// The values after the call of what it is to change.
    fn mutated(self, leaves: &[(&str, Tensor)]) -> Vec<Host> {
        let find = |key: &str| Host::of(&leaves.iter().find(|(k, _)| *k == key).expect("an input").1);
        self.sample.mutated.iter().map(|(key, _)| find(key)).collect()
    }

    /// The program that both modes run: results, and gradients where gradients to send back are given.
    fn program(
        self,
        tensors: Vec<(&'a str, Tensor)>,
        grad_outputs: Option<&[Option<Tensor>]>,
    ) -> allotrope::Result<(Vec<Tensor>, Vec<Option<Tensor>>)> {
        let inputs: Vec<Tensor> = {
            let find = |key: &str| tensors.iter().find(|(k, _)| *k == key).expect("an input").1.clone();
            self.sample.input_grads.iter().map(|(key, _)| find(key)).collect()
        };
        let case = Case::new(self.sample, tensors);
        let outputs = (self.adapter)(&case)?;
        if let [first, ..] = &case.unused()[..] {
            return Err(Error::Argument(format!("argument {first} not used by the adapter")));
        }
        let Some(grad_outputs) = grad_outputs else { return Ok((outputs, Vec::new())) };
        if outputs.len() != grad_outputs.len() {
            return Ok((outputs, Vec::new()));
        }
        let terms = outputs.iter().zip(grad_outputs).filter_map(|(y, g)| Some((y, g.as_ref()?)));
        let terms = terms.map(|(y, g)| y.try_mul(g)?.try_sum()).collect::<Result<Vec<_>, _>>()?;
        let grads = grad(&terms.iter().collect::<Vec<_>>(), &inputs.iter().collect::<Vec<_>>(), false)?;
        Ok((outputs, grads))
    }

    /// A gradient that nothing flowed to is 0.
    fn grads(self, found: Vec<Option<Tensor>>) -> Vec<Host> {
        let zeros = |key: &str| Host::of(&self.op.tensors[key].tensor().zeros_like());
        let pairs = found.iter().zip(&self.sample.input_grads);
        pairs.map(|(g, (key, _))| g.as_ref().map_or_else(|| zeros(key), Host::of)).collect()
    }

    /// Eagerly.
    pub fn eager(self, grads: bool) -> Done {
        self.eager_on(self.leaves(grads), grads)
    }

    fn eager_on(self, leaves: Vec<(&'a str, Tensor)>, grads: bool) -> Done {
        let run = || {
            let back = if grads { Some(self.grad_outputs()) } else { None };
            let (outputs, found) = self.program(leaves.clone(), back.as_deref()).map_err(refusal)?;
            for (key, t) in leaves.iter().filter(|(key, _)| !self.is_mutated(key)) {
                compare::same_bits(&Host::of(t), &Host::of(&self.op.tensors[*key].tensor()))
                    .map_err(|e| Stop::Refused(format!("input {key} was changed: {e}")))?;
            }
            let outputs = outputs.iter().map(Host::of).collect();
            Ok(Outcome { outputs, grads: self.grads(found), mutated: self.mutated(&leaves) })
        };
        quietly(run).unwrap_or_else(|text| Err(Stop::Panicked(text)))
    }

    /// In a trace, called twice. What the call changes in place is captured, all else is an argument.
    pub fn traced(self, grads: bool) -> Done {
        let run = || {
            let leaves = self.leaves(grads);
            let (state, args): (Vec<_>, Vec<_>) = leaves.into_iter().partition(|(key, _)| self.is_mutated(key));
            let back = if grads { self.grad_outputs() } else { Vec::new() };
            let tensors: Vec<Tensor> =
                args.iter().map(|(_, t)| t.clone()).chain(back.iter().flatten().cloned()).collect();
            // The closure gives tensors only, so an error of the program waits here.
            let refused = RefCell::new(None);
            let traced = trace(|xs: &[Tensor]| {
                let (xs, gs) = xs.split_at(args.len());
                let mut gs = gs.iter().cloned();
                let back: Vec<_> = back.iter().map(|g| g.as_ref().and_then(|_| gs.next())).collect();
                let tensors = args.iter().zip(xs).map(|((key, _), x)| (*key, x.clone())).chain(state.clone());
                let result = self.program(tensors.collect(), if grads { Some(&back) } else { None });
                result.unwrap_or_else(|e| {
                    *refused.borrow_mut() = Some(e.to_string());
                    std::panic::resume_unwind(Box::new(e.to_string()))
                })
            });
            let call = || {
                for (key, t) in &state {
                    t.copy_(&self.op.tensors[*key].tensor());
                }
                let (outputs, found) = traced.call(&tensors).map_err(|e| match refused.take() {
                    Some(text) => Stop::Refused(text),
                    // A panic in the closure comes as an error of the call.
                    None if has_panicked() => Stop::Panicked(with_place(e.to_string())),
                    None => refusal(e),
                })?;
                let outputs = outputs.iter().map(Host::of).collect();
                Ok(Outcome { outputs, grads: self.grads(found), mutated: self.mutated(&state) })
            };
            let first = call()?;
            let second = call()?;
            if let Some(what) = differs(&first, &second) {
                return Err(Stop::Refused(format!("the second call differs from the first: {what}")));
            }
            Ok(second)
        };
        quietly(run).unwrap_or_else(|text| Err(Stop::Panicked(text)))
    }
}

/// The same elements, turned and every second one of the storage, where the axes allow it.
fn spread(t: &Tensor) -> Tensor {
    let turned: Vec<isize> = (0..t.dim() as isize).rev().collect();
    let last = t.dim() as isize;
    let values = t.detach().permute(&turned).contiguous();
    let view = stack(&[&values, &values], last).select(last, 1).permute(&turned).detach();
    if t.is_requires_grad() { view.requires_grad() } else { view }
}

fn refusal(e: Error) -> Stop {
    Stop::Refused(e.to_string())
}

/// Where the bits of two outcomes differ, if there are two.
pub fn differ(eager: &Done, traced: &Done) -> Option<String> {
    match (eager, traced) {
        (Ok(eager), Ok(traced)) => differs(traced, eager),
        _ => None,
    }
}

fn differs(got: &Outcome, want: &Outcome) -> Option<String> {
    let part = |what: &str, got: &[Host], want: &[Host]| {
        if got.len() != want.len() {
            return Some(format!("{} and {} of {what}", got.len(), want.len()));
        }
        let mut pairs = got.iter().zip(want).enumerate();
        pairs.find_map(|(i, (a, b))| Some(format!("{what} {i}: {}", compare::same_bits(a, b).err()?)))
    };
    part("result", &got.outputs, &want.outputs)
        .or_else(|| part("gradient", &got.grads, &want.grads))
        .or_else(|| part("mutated", &got.mutated, &want.mutated))
}

//! Plays a program in one mode and writes down everything that can be seen after each call and each action; the
//! records of two modes must be equal. What a trace refuses must be one of the documented refusals, and must leave
//! everything as it was.

use crate::common::{bits, numbers};
use crate::program::{Action, Program};
use crate::world::World;
use allotrope::Result;
use allotrope::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One tensor as it is seen from outside.
#[derive(Clone, PartialEq)]
pub struct Seen {
    what: String,
    bits: Vec<u64>,
    shown: Vec<f64>,
}

impl Seen {
    fn of(name: &str, t: &Tensor) -> Vec<Seen> {
        let history = if t.try_is_leaf().unwrap_or(false) { "a leaf" } else { "computed" };
        let grad = if t.is_requires_grad() { "requires a gradient" } else { "requires none" };
        let what = format!("{name}: {}{:?}, strides {:?}, {history}, {grad}", t.dtype(), t.shape(), seen_strides(t));
        let mut all = vec![Seen { what, bits: bits(&t.detach()), shown: numbers(t) }];
        if let Some(g) = t
            .try_is_leaf()
            .unwrap_or(false)
            .then(|| t.grad())
            .flatten()
            .or_else(|| t.retains_grad().then(|| t.grad()).flatten())
        {
            all.extend(Seen::of(&format!("gradient of {name}"), &g));
        }
        all
    }

    fn difference(&self, other: &Seen) -> Option<String> {
        if self.what != other.what {
            return Some(format!("{} against {}", self.what, other.what));
        }
        let differ = || format!("{}: {:?} against {:?}", self.what, self.shown, other.shown);
        (self.bits != other.bits).then(differ)
    }
}

/// Strides along axes that have two elements: others address nothing.
fn seen_strides(t: &Tensor) -> Vec<isize> {
    let strides = t.strides();
    let wide = t.shape().iter().zip(&strides).filter(|(n, _)| **n > 1 && t.numel() > 0);
    wide.map(|(_, s)| *s).collect()
}

/// What is written down at one moment.
pub struct Record {
    moment: String,
    all: Vec<Seen>,
}

/// What `trace_dynamic` says of tensors that a call has changed in place by what has a derivative.
pub const HISTORY_ENDS: &str = "whose history ended with the call";

/// The call that failed, where one did.
pub struct Failure {
    call: usize,
    message: String,
    /// What it has changed all the same.
    changed: Option<String>,
}

fn look(world: &World) -> Vec<Seen> {
    let all = world.all();
    all.iter().enumerate().flat_map(|(i, t)| Seen::of(&format!("tensor {i}"), t)).collect()
}

/// Plays the whole program.
pub fn play(
    program: &Program,
    world: &World,
    mut call: impl FnMut([&Tensor; 2]) -> Result<Vec<Tensor>>,
) -> (Vec<Record>, Option<Failure>) {
    let mut records = Vec::new();
    // Fails where a gradient would go into a call of which no history is kept.
    let act = |records: &mut Vec<Record>, action: &Action, call: usize| {
        let done = match catch_unwind(AssertUnwindSafe(|| world.act(action))) {
            Ok(Ok(())) => "done".to_string(),
            Ok(Err(e)) if e.to_string().contains(HISTORY_ENDS) => {
                return Err(Failure { call, message: e.to_string(), changed: None });
            }
            Ok(Err(_)) => "failed".to_string(),
            Err(_) => "panicked".to_string(),
        };
        records.push(Record { moment: format!("call {call}, {action:?}: {done}"), all: look(world) });
        Ok(())
    };
    for (i, each) in program.calls.iter().enumerate() {
        if let Err(failure) = each.before.iter().try_for_each(|a| act(&mut records, a, i)) {
            return (records, Some(failure));
        }
        let a = world.argument(&each.args[0], None);
        let b = world.argument(&each.args[1], Some(&a));
        {
            // What was held before goes, but for a few: a gradient held, and a result, must stay what they are.
            let mut held = world.held.borrow_mut();
            let old = held.len().saturating_sub(3);
            held.drain(..old);
            held.extend([a.clone(), b.clone()]);
        }
        world.seen.lock().expect("no hook panics").clear();
        let before = look(world);
        match call([&a, &b]) {
            Ok(results) => world.held.borrow_mut().extend(results),
            Err(e) => {
                let after = look(world);
                let changed = before.iter().zip(&after).find_map(|(x, y)| x.difference(y));
                return (records, Some(Failure { call: i, message: e.to_string(), changed }));
            }
        }
        records.push(Record { moment: format!("call {i}"), all: look(world) });
        if let Err(failure) = each.after.iter().try_for_each(|a| act(&mut records, a, i)) {
            return (records, Some(failure));
        }
    }
    (records, None)
}

/// What became of a program in a mode, beside the eager one.
pub enum Outcome {
    Same,
    /// Everything was the same until a call was refused, with these words.
    Refused(String),
    Different(String),
}

/// Compares what was played eagerly with what was played in another mode.
pub fn compare(eager: &(Vec<Record>, Option<Failure>), other: &(Vec<Record>, Option<Failure>)) -> Outcome {
    for (x, y) in eager.0.iter().zip(&other.0) {
        if x.moment != y.moment {
            return Outcome::Different(format!("{} against {}", x.moment, y.moment));
        }
        let differ = x.all.iter().zip(&y.all).find_map(|(a, b)| a.difference(b));
        if let Some(d) = differ {
            return Outcome::Different(format!("after {}: {d}", x.moment));
        }
        if x.all.len() != y.all.len() {
            return Outcome::Different(format!("after {}: {} tensors against {}", x.moment, x.all.len(), y.all.len()));
        }
    }
    if let Some(Failure { call, message, changed: Some(changed) }) = &other.1 {
        return Outcome::Different(format!("call {call} failed ({message}) and changed {changed}"));
    }
    match (&eager.1, &other.1) {
        (None, None) => Outcome::Same,
        (Some(a), Some(b)) if a.call == b.call => Outcome::Same,
        (Some(a), None) => Outcome::Different(format!("call {} fails eagerly only: {}", a.call, a.message)),
        (Some(a), Some(b)) if a.call < b.call => {
            Outcome::Different(format!("call {} fails eagerly only: {}", a.call, a.message))
        }
        (_, Some(b)) => Outcome::Refused(b.message.clone()),
    }
}

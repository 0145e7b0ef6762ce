//! A whole program in a trace, called twice on fresh leaves that are equal, against the same program run eagerly: everything
//! a user can see of the variables at the end, with equal bits.

use crate::bits::Bits;
use crate::compare::{Category, Difference, mark, strides};
use crate::memory::place;
use crate::program::{Mark, Program, Step};
use crate::replay::{Calls, Outcome, leaf, whole};
use allotrope::prelude::{trace, trace_dynamic, with_device};
use allotrope::{DType, Device, Tensor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// What can be seen of one variable.
#[derive(Clone, Debug)]
struct View {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<isize>,
    bits: Bits,
    mark: Mark,
    grad: Option<(Bits, Vec<isize>)>,
    /// The first variable that is the same, and that whose elements overlap.
    same: usize,
    memory: Option<(usize, isize)>,
}

/// The variables at the end, and what each step came to.
struct End {
    views: Vec<Option<View>>,
    outcomes: Vec<(usize, Outcome)>,
}

fn views(variables: &[Option<Tensor>]) -> Vec<Option<View>> {
    let places: Vec<_> = variables.iter().map(|t| t.as_ref().and_then(place)).collect();
    let view = |(i, t): (usize, &Option<Tensor>)| {
        let t = t.as_ref()?;
        let same = |o: &Option<Tensor>| o.as_ref().is_some_and(|o| o.is_same(t));
        let same = variables.iter().position(same).expect("itself");
        let memory = places[i].and_then(|here| {
            let j = places.iter().position(|p| p.is_some_and(|p| p.overlaps(here)))?;
            Some((j, here.first as isize - places[j]?.first as isize))
        });
        Some(View {
            dtype: t.dtype(),
            shape: t.shape().to_vec(),
            strides: t.strides().to_vec(),
            bits: Bits::of(t),
            mark: mark(t),
            grad: t.grad().map(|g| (Bits::of(&g), g.strides().to_vec())),
            same,
            memory,
        })
    };
    variables.iter().enumerate().map(view).collect()
}

fn leaves(program: &Program) -> Vec<Tensor> {
    let leaf = |s: &Step| match s {
        Step::Leaf(l) => Some(leaf(l)),
        Step::Call(_) => None,
    };
    program.steps.iter().filter_map(leaf).collect()
}

fn eagerly(calls: &Calls, program: &Program, left_out: &[usize]) -> End {
    let mut outcomes = Vec::new();
    let variables = whole(calls, program, left_out, &mut leaves(program).into_iter(), |at, o| {
        outcomes.extend(o.map(|o| (at, o.clone())));
    });
    End { views: views(&variables), outcomes }
}

/// The difference between a program on a device and on the CPU, eagerly in both. Which of its memory tensors share is seen
/// by what changes only.
pub fn on_a_device(calls: &Calls, program: &Program, seed: &dyn Fn(), device: Device) -> Option<Difference> {
    let found = |at: usize, op: String, text: String| Some(Difference { at, op, category: Category::Device, text });
    seed();
    let mut want = eagerly(calls, program, &[]);
    want.views.iter_mut().flatten().for_each(|view| view.memory = None);
    seed();
    let got = with_device(device, || eagerly(calls, program, &[]));
    for ((at, got), (_, want)) in got.outcomes.iter().zip(&want.outcomes) {
        if std::mem::discriminant(got) != std::mem::discriminant(want) {
            let Step::Call(c) = &program.steps[*at] else { continue };
            return found(*at, c.op().to_string(), format!("{got:?}, on the CPU {want:?}"));
        }
    }
    for (i, (got, want)) in got.views.iter().zip(&want.views).enumerate() {
        let text = match (got, want) {
            (None, None) => None,
            (Some(got), Some(want)) => differs(got, want),
            _ => Some("there on one device only".to_string()),
        };
        if let Some(text) = text {
            let (at, op) = maker(program, i);
            return found(at, op, format!("v{i}: {text}"));
        }
    }
    None
}

/// Which leaves are arguments; the others are captured.
fn is_argument(program: &Program, leaf: usize) -> bool {
    (program.seed >> (leaf % 8)) & 1 == 0
}

/// What a trace refuses by its nature (docs/tracing.md): such a step is left out, in both modes.
const LIMITS: [&str; 5] = [
    "no later call would register anything",
    "the shape of the result depends on the elements",
    "draws in the order of memory",
    "whose elements share memory can't be changed in place",
    "in a trace, the elements must be those of a tensor",
];

/// Checks of elements, which fail a whole call of a trace, and one step eagerly.
const CHECKS: [&str; 5] =
    ["lies outside its axis", "ZeroDivisionError", "is not a class", "probabilities must be", "must not be negative"];

fn is_one_of(texts: &[&'static str], text: &str) -> bool {
    which(texts, text).is_some()
}

fn which(texts: &[&'static str], text: &str) -> Option<&'static str> {
    texts.iter().copied().find(|t| text.contains(t))
}

/// A failed call of a trace: at the step that was being recorded, or after all of them.
struct Failed {
    at: Option<usize>,
    text: String,
}

/// The variables that a recording returned, and what its steps came to.
type Made = (Vec<usize>, Vec<(usize, Outcome)>);

/// The difference between the traced program and the eager one. Steps that a trace cannot have are left out of both, and what
/// it says of them goes to `limits`.
pub fn difference(
    calls: &Calls,
    program: &Program,
    seed: &dyn Fn(),
    dynamic: bool,
    limits: &mut BTreeSet<&'static str>,
) -> Option<Difference> {
    seed();
    let is_check = |o: &Outcome| matches!(o, Outcome::Refused(text) if is_one_of(&CHECKS, text));
    let all = eagerly(calls, program, &[]);
    let mut left_out: Vec<usize> = all.outcomes.iter().filter(|(_, o)| is_check(o)).map(|(at, _)| *at).collect();
    loop {
        seed();
        let want = eagerly(calls, program, &left_out);
        match both_calls(calls, program, &left_out, seed, dynamic, &want) {
            Ok(found) => return found,
            Err(Failed { at: Some(at), text }) if is_one_of(&LIMITS, &text) && !left_out.contains(&at) => {
                limits.extend(which(&LIMITS, &text));
                left_out.push(at);
            }
            // Said at the end, and not of which step: whatever changes something is left out.
            Err(Failed { at: None, text }) if is_one_of(&LIMITS, &text) => {
                limits.extend(which(&LIMITS, &text));
                let changes = |at: &usize| matches!(&program.steps[*at], Step::Call(c) if c.is_changing());
                let more: Vec<usize> =
                    (0..program.steps.len()).filter(changes).filter(|at| !left_out.contains(at)).collect();
                if more.is_empty() {
                    return None;
                }
                left_out.extend(more);
            }
            Err(Failed { at, text }) => {
                let category = if crate::quiet::is_crash(&text) { Category::Panic } else { Category::TraceRefused };
                let at = at.unwrap_or(program.steps.len() - 1);
                return Some(Difference { at, op: reason(&text), category, text });
            }
        }
    }
}

fn both_calls(
    calls: &Calls,
    program: &Program,
    left_out: &[usize],
    seed: &dyn Fn(),
    dynamic: bool,
    want: &End,
) -> Result<Option<Difference>, Failed> {
    // The variables that the last recording returned, and what its steps came to; and the step that it is at.
    let made: RefCell<Made> = RefCell::default();
    let reached = Cell::new(None);
    let captured: RefCell<Vec<Tensor>> = RefCell::default();
    let count = program.steps.iter().filter(|s| matches!(s, Step::Leaf(_))).count();
    let closure = |args: &[Tensor]| {
        let (mut args, captured) = (args.iter(), captured.borrow());
        let mut captured = captured.iter();
        let leaves: Vec<Tensor> = (0..count)
            .map(|i| if is_argument(program, i) { args.next() } else { captured.next() }.expect("a leaf").clone())
            .collect();
        let mut outcomes = Vec::new();
        let variables = whole(calls, program, left_out, &mut leaves.into_iter(), |at, o| {
            reached.set(Some(at));
            outcomes.extend(o.map(|o| (at, o.clone())));
        });
        reached.set(None);
        let which = (0..variables.len()).filter(|&i| variables[i].is_some()).collect();
        *made.borrow_mut() = (which, outcomes);
        variables.into_iter().flatten().collect::<Vec<Tensor>>()
    };
    let once = trace(&closure);
    let always = trace_dynamic(&closure);
    for _ in 0..2 {
        let (mut args, mut kept) = (Vec::new(), Vec::new());
        for (i, t) in leaves(program).into_iter().enumerate() {
            if is_argument(program, i) { args.push(t) } else { kept.push(t) }
        }
        *captured.borrow_mut() = kept;
        seed();
        let called = if dynamic { always.call(&args[..]) } else { once.call(&args[..]) };
        let results = called.map_err(|e| Failed { at: reached.get(), text: e.to_string() })?;
        let (which, outcomes) = made.borrow().clone();
        let mut variables = vec![None; program.variables];
        which.iter().zip(results).for_each(|(&i, t)| variables[i] = Some(t));
        for ((at, got), (_, want)) in outcomes.iter().zip(&want.outcomes) {
            if std::mem::discriminant(got) != std::mem::discriminant(want) {
                let Step::Call(c) = &program.steps[*at] else { continue };
                let limit = matches!(got, Outcome::Refused(text) if is_one_of(&LIMITS, text));
                let text = format!("{got:?}, eagerly {want:?}");
                if limit {
                    return Err(Failed { at: Some(*at), text });
                }
                return Ok(Some(Difference { at: *at, op: c.op().to_string(), category: Category::Traced, text }));
            }
        }
        let got = views(&variables);
        for (i, (got, want)) in got.iter().zip(&want.views).enumerate() {
            let text = match (got, want) {
                (None, None) => None,
                (Some(got), Some(want)) => differs(got, want),
                _ => Some("there in one mode only".to_string()),
            };
            if let Some(text) = text {
                let (at, op) = maker(program, i);
                let text = format!("v{i}: {text}");
                return Ok(Some(Difference { at, op, category: Category::Traced, text }));
            }
        }
    }
    Ok(None)
}

/// The step that makes a variable.
fn maker(program: &Program, variable: usize) -> (usize, String) {
    let makes = |s: &Step| match s {
        Step::Leaf(l) => l.variable == variable,
        Step::Call(c) => (c.first..c.first + c.results.len()).contains(&variable),
    };
    let at = program.steps.iter().position(makes).expect("some step makes it");
    match &program.steps[at] {
        Step::Leaf(_) => (program.steps.len() - 1, "leaf".into()),
        Step::Call(c) => (at, c.op().to_string()),
    }
}

/// The refusal without its numbers, as the name of a class.
fn reason(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().filter(|c| !c.is_ascii_digit()).take(90).collect();
    short.replace(['[', ']', ','], "")
}

fn differs(got: &View, want: &View) -> Option<String> {
    if (got.dtype, &got.shape) != (want.dtype, &want.shape) {
        return Some(format!("{}{:?}, eagerly {}{:?}", got.dtype, got.shape, want.dtype, want.shape));
    }
    if !same_bits(got.dtype, &got.bits, &want.bits) {
        return Some(format!("{:?}, eagerly {:?}", got.bits.numbers(got.dtype), want.bits.numbers(got.dtype)));
    }
    if let Some(text) = strides(&got.shape, &got.strides, &want.strides) {
        return Some(format!("strides {text}"));
    }
    if (got.mark.requires_grad, got.mark.is_leaf) != (want.mark.requires_grad, want.mark.is_leaf) {
        return Some(format!("{:?}, eagerly {:?}", got.mark, want.mark));
    }
    if got.same != want.same {
        return Some(format!("is v{}, eagerly v{}", got.same, want.same));
    }
    if got.memory != want.memory {
        return Some(format!("lies in {:?}, eagerly {:?}", got.memory, want.memory));
    }
    match (&got.grad, &want.grad) {
        (None, None) => None,
        (Some((a, s)), Some((b, t))) => match same_bits(got.dtype, a, b) {
            false => Some(format!("gradient {:?}, eagerly {:?}", a.numbers(got.dtype), b.numbers(got.dtype))),
            true => strides(&got.shape, s, t).map(|text| format!("gradient strides {text}")),
        },
        (a, _) => Some(format!("{} a gradient, unlike eagerly", if a.is_some() { "has" } else { "lacks" })),
    }
}

/// Equal bits; of a NaN only that it is one.
fn same_bits(dtype: DType, a: &Bits, b: &Bits) -> bool {
    let size = crate::bits::width(dtype);
    a == b
        || dtype.is_float()
            && a.0.len() == b.0.len()
            && a.numbers(dtype).iter().zip(b.numbers(dtype)).enumerate().all(|(i, (x, y))| {
                a.0[i * size..(i + 1) * size] == b.0[i * size..(i + 1) * size] || x.is_nan() && y.is_nan()
            })
}

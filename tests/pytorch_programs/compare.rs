//! A program against what PyTorch recorded of it: the first difference, and the first name of a node that differs.

use crate::bits::{self, Bits};
use crate::memory::place;
use crate::program::{Call, Gradient, Leaf, Mark, Program, Record, Seen, Step};
use crate::replay::{self, Calls, Outcome};
use allotrope::Tensor;
use std::fmt;

/// What differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Category {
    /// PyTorch refuses, here there is a result.
    Accepted,
    /// The other way round.
    Refused,
    Panic,
    Results,
    SameObject,
    DType,
    Shape,
    Value,
    /// A zero of the other sign.
    Zero,
    Draw,
    Strides,
    Memory,
    RequiresGrad,
    IsLeaf,
    GradFn,
    Gradient,
    GradientStrides,
    /// Of a trace and eager mode.
    Traced,
    /// A trace that refuses a program that eager mode runs.
    TraceRefused,
    /// Something else on a device than on the CPU.
    Device,
}

impl Category {
    pub const ALL: [Category; 20] = [
        Category::Accepted,
        Category::Refused,
        Category::Panic,
        Category::Results,
        Category::SameObject,
        Category::DType,
        Category::Shape,
        Category::Value,
        Category::Zero,
        Category::Draw,
        Category::Strides,
        Category::Memory,
        Category::RequiresGrad,
        Category::IsLeaf,
        Category::GradFn,
        Category::Gradient,
        Category::GradientStrides,
        Category::Traced,
        Category::TraceRefused,
        Category::Device,
    ];
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Category::Accepted => "accepted",
            Category::Refused => "refused",
            Category::Panic => "panic",
            Category::Results => "number of results",
            Category::SameObject => "same object",
            Category::DType => "dtype",
            Category::Shape => "shape",
            Category::Value => "value",
            Category::Zero => "sign of zero",
            Category::Draw => "draw",
            Category::Strides => "strides",
            Category::Memory => "memory",
            Category::RequiresGrad => "requires_grad",
            Category::IsLeaf => "is_leaf",
            Category::GradFn => "grad_fn",
            Category::Gradient => "gradient",
            Category::GradientStrides => "gradient strides",
            Category::Traced => "traced",
            Category::TraceRefused => "trace refused",
            Category::Device => "device",
        })
    }
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The step.
    pub at: usize,
    pub op: String,
    pub category: Category,
    pub text: String,
}

/// How a program went.
#[derive(Default)]
pub struct Found {
    pub difference: Option<Difference>,
    /// The first of each category that does not end the comparison.
    pub beside: Vec<Difference>,
    /// Another value, which is that of PyTorch where the step has PyTorch's own inputs: what is left of rounding before.
    /// The rest of the program was not compared.
    pub rounding: bool,
    /// A value that is not near PyTorch's, but near what PyTorch gives in double precision, which its own is not.
    pub nearer: bool,
}

/// What PyTorch knows of the variables so far.
struct Known {
    seen: Vec<Option<Seen>>,
    /// The variable that each one is.
    same: Vec<usize>,
    grads: Vec<Option<Gradient>>,
}

struct Comparison<'a> {
    calls: &'a Calls,
    known: Known,
    variables: Vec<Option<Tensor>>,
    /// Categories that do not end the comparison.
    passed: &'a [Category],
    beside: Vec<Difference>,
    rounding: bool,
    nearer: bool,
}

/// Runs a program eagerly and compares every step. Differences of the categories `passed` do not end that.
pub fn eager(calls: &Calls, program: &Program, passed: &[Category]) -> Found {
    let known = Known { seen: Vec::new(), same: Vec::new(), grads: Vec::new() };
    let mut c =
        Comparison { calls, known, variables: Vec::new(), passed, beside: Vec::new(), rounding: false, nearer: false };
    let mut difference = None;
    for (at, step) in program.steps.iter().enumerate() {
        match step {
            Step::Leaf(l) => c.leaf(l),
            Step::Call(call) => {
                if let Some((category, text)) = c.call(at, call) {
                    difference = Some(Difference { at, op: call.op().to_string(), category, text });
                    break;
                }
                if c.rounding {
                    break;
                }
            }
        }
    }
    Found { difference, beside: c.beside, rounding: c.rounding, nearer: c.nearer }
}

type Wrong = Option<(Category, String)>;

impl Comparison<'_> {
    /// The difference, unless the comparison goes on beyond its category.
    fn ends(&mut self, at: usize, op: &str, category: Category, text: String) -> Wrong {
        if !self.passed.contains(&category) {
            return Some((category, text));
        }
        if !self.beside.iter().any(|d| d.category == category) {
            self.beside.push(Difference { at, op: op.to_string(), category, text });
        }
        None
    }

    fn leaf(&mut self, l: &Leaf) {
        let t = replay::leaf(l);
        let mark = Mark { requires_grad: l.requires_grad, is_leaf: true, grad_fn: None };
        self.known.same.push(self.known.seen.len());
        self.known.seen.push(Some(Seen {
            dtype: l.dtype,
            shape: l.shape.clone(),
            strides: l.strides.iter().map(|&s| s as isize).collect(),
            offset: l.offset as isize,
            bits: Bits::of(&t),
            exact: None,
            mark,
            memory: None,
        }));
        self.known.grads.push(None);
        self.variables.push(Some(t));
    }

    fn call(&mut self, at: usize, call: &Call) -> Wrong {
        let (outcome, found) = replay::call(self.calls, call, &self.variables);
        match (&outcome, &call.error) {
            (Outcome::Panicked(text), _) => return Some((Category::Panic, text.clone())),
            (Outcome::Refused(text), None) => return Some((Category::Refused, text.clone())),
            (Outcome::Done, Some(e)) => return Some((Category::Accepted, format!("PyTorch: {e}"))),
            (Outcome::Skipped, _) => unreachable!("the program ends at its first difference"),
            (Outcome::Done, None) | (Outcome::Refused(_), Some(_)) => {}
        }
        if found.len() != call.results.len() {
            return Some((Category::Results, format!("{} results, wanted {}", found.len(), call.results.len())));
        }
        for (got, want) in found.into_iter().zip(&call.results) {
            let wrong = self.result(at, call, got, want.as_ref());
            if wrong.is_some() || self.rounding {
                return wrong;
            }
        }
        self.changes(at, call)
    }

    /// One result, which becomes a variable.
    fn result(&mut self, at: usize, call: &Call, got: Option<Tensor>, want: Option<&Record>) -> Wrong {
        let index = self.known.seen.len();
        let (got, want) = match (got, want) {
            (None, None) => {
                self.known.seen.push(None);
                self.known.same.push(index);
                self.known.grads.push(None);
                self.variables.push(None);
                return None;
            }
            (Some(_), None) => return Some((Category::Results, "a gradient, wanted none".into())),
            (None, Some(_)) => return Some((Category::Results, "no gradient, wanted one".into())),
            (Some(got), Some(want)) => (got, want),
        };
        let is = self.variables.iter().position(|v| v.as_ref().is_some_and(|v| v.is_same(&got)));
        let is = is.map(|i| self.known.same[i]);
        let wanted = match want {
            Record::Same(i) => Some(self.known.same[*i]),
            Record::New(_) => None,
        };
        if is != wanted {
            let name = |i: Option<usize>| i.map_or("a new tensor".to_string(), |i| format!("v{i} itself"));
            let text = format!("{}, wanted {}", name(is), name(wanted));
            let wrong = self.ends(at, call.op(), Category::SameObject, text);
            if wrong.is_some() {
                return wrong;
            }
        }
        let seen = match want {
            Record::Same(i) => {
                self.known.seen.push(None);
                self.known.same.push(self.known.same[*i]);
                self.known.grads.push(None);
                self.variables.push(Some(got));
                return None;
            }
            Record::New(seen) => seen,
        };
        if got.dtype() != seen.dtype {
            return Some((Category::DType, format!("{}, wanted {}", got.dtype(), seen.dtype)));
        }
        if got.shape() != &seen.shape[..] {
            return Some((Category::Shape, format!("{:?}, wanted {:?}", got.shape(), seen.shape)));
        }
        if let Some(text) = self.value(call, &got, seen, index - call.first) {
            let category = kind(call, got.dtype(), &Bits::of(&got), &seen.bits);
            let wrong = self.ends(at, call.op(), category, text);
            if wrong.is_some() {
                return wrong;
            }
        }
        if self.rounding {
            return None;
        }
        if let Some(text) = strides(&seen.shape, &got.strides(), &seen.strides) {
            let wrong = self.ends(at, call.op(), Category::Strides, text);
            if wrong.is_some() {
                return wrong;
            }
        }
        self.known.seen.push(Some(seen.clone()));
        self.known.same.push(index);
        self.known.grads.push(None);
        self.variables.push(Some(got));
        if let Some((category, text)) = self.memory(index) {
            let wrong = self.ends(at, call.op(), category, text);
            if wrong.is_some() {
                return wrong;
            }
        }
        self.mark(at, call.op(), index)
    }

    /// The first element that differs. Where it does not with PyTorch's own inputs, or is right where PyTorch's is not, that
    /// is noted instead.
    fn value(&mut self, call: &Call, got: &Tensor, want: &Seen, result: usize) -> Option<String> {
        let text = bits::difference(got.dtype(), &Bits::of(got), &want.bits, self.scale(call), factor(call.op()))?;
        if !call.draws() && self.inputs_differ(call) {
            let variables: Vec<Option<Tensor>> = self.exact(call);
            let (_, found) = replay::call(self.calls, call, &variables);
            if let Some(Some(t)) = found.get(result)
                && t.dtype() == got.dtype()
                && bits::difference(t.dtype(), &Bits::of(t), &want.bits, self.scale(call), factor(call.op())).is_none()
            {
                self.rounding = true;
                return None;
            }
        }
        if let Some(exact) = &want.exact
            && bits::difference(got.dtype(), &Bits::of(got), exact, self.scale(call), factor(call.op())).is_none()
        {
            // PyTorch's later steps go on from another value.
            (self.nearer, self.rounding) = (true, true);
            return None;
        }
        Some(text)
    }

    fn own(&self, i: usize) -> Option<&Seen> {
        self.known.seen[self.known.same[i]].as_ref()
    }

    fn inputs_differ(&self, call: &Call) -> bool {
        call.inputs().into_iter().any(|i| match (&self.variables[i], self.own(i)) {
            (Some(t), Some(seen)) => Bits::of(t) != seen.bits,
            _ => false,
        })
    }

    /// The inputs of a call with PyTorch's own elements.
    fn exact(&self, call: &Call) -> Vec<Option<Tensor>> {
        let mut variables = vec![None; self.variables.len()];
        for i in call.inputs() {
            let Some(seen) = self.own(i) else { continue };
            let first = self.known.same[i];
            let known: Option<Tensor> = variables[first].clone();
            let grad = seen.mark.requires_grad && !call.is_changing();
            let t = known.unwrap_or_else(|| replay::rebuilt(&seen.bits, seen.dtype, &seen.shape, &seen.strides, grad));
            variables[first] = Some(t.clone());
            variables[i] = Some(t);
        }
        variables
    }

    /// The size of the numbers that go into a call.
    fn scale(&self, call: &Call) -> f64 {
        let of = |i: usize| self.own(i).map_or(0.0, |s| s.bits.scale(s.dtype));
        call.inputs().into_iter().map(of).fold(0.0, f64::max)
    }

    /// What variable `index` shares memory with.
    fn memory(&self, index: usize) -> Wrong {
        let (Some(t), Some(seen)) = (&self.variables[index], &self.known.seen[index]) else { return None };
        let here = place(t)?;
        let root = seen.memory.unwrap_or(index);
        for i in 0..index {
            let (Some(other), Some(theirs)) = (&self.variables[i], &self.known.seen[i]) else { continue };
            let Some(there) = place(other) else { continue };
            if theirs.memory.unwrap_or(i) != root {
                if here.overlaps(there) {
                    return Some((Category::Memory, format!("shares memory with v{i}, wanted memory of its own")));
                }
                continue;
            }
            let size = bits::width(t.dtype()) as isize;
            let (got, want) = (here.first as isize - there.first as isize, (seen.offset - theirs.offset) * size);
            if got != want {
                return Some((
                    Category::Memory,
                    match here.overlaps(there) {
                        true => format!("lies {got} bytes behind v{i}, wanted {want}"),
                        false => format!("memory of its own, wanted that of v{i}"),
                    },
                ));
            }
        }
        None
    }

    /// The place of variable `index` in the graph.
    fn mark(&mut self, at: usize, op: &str, index: usize) -> Wrong {
        let (Some(t), Some(seen)) = (&self.variables[index], &self.known.seen[index]) else { return None };
        let want = seen.mark.clone();
        if want.grad_fn.as_deref() == Some("error") {
            return None;
        }
        let got = mark(t);
        if got.requires_grad != want.requires_grad {
            let text = format!("v{index}: {}, wanted {}", got.requires_grad, want.requires_grad);
            return self.ends(at, op, Category::RequiresGrad, text);
        }
        if got.is_leaf != want.is_leaf {
            let text = format!("v{index}: {}, wanted {}", got.is_leaf, want.is_leaf);
            return self.ends(at, op, Category::IsLeaf, text);
        }
        if got.grad_fn != want.grad_fn {
            let text = format!("v{index}: {}, wanted {}", shown(&got.grad_fn), shown(&want.grad_fn));
            return self.ends(at, op, Category::GradFn, text);
        }
        None
    }

    /// What the call changed of the variables that were there.
    fn changes(&mut self, at: usize, call: &Call) -> Wrong {
        for (i, changed) in &call.changed {
            let Some(seen) = &mut self.known.seen[*i] else { continue };
            if let Some(bits) = &changed.bits {
                seen.bits = bits.clone();
            }
            if let Some(mark) = &changed.mark {
                seen.mark = mark.clone();
            }
        }
        for (i, gradient) in &call.grads {
            self.known.grads[*i] = gradient.clone();
        }
        if !call.is_changing() {
            return None;
        }
        for i in 0..self.variables.len() {
            let (Some(t), Some(seen)) = (self.variables[i].clone(), self.known.seen[i].clone()) else { continue };
            let text =
                bits::difference(t.dtype(), &Bits::of(&t), &seen.bits, self.scale(call), 20.0 * factor(call.op()));
            if let Some(text) = text {
                if self.changes_rightly(call, i, &seen) {
                    self.rounding = true;
                    return None;
                }
                let category = kind(call, t.dtype(), &Bits::of(&t), &seen.bits);
                let wrong = self.ends(at, call.op(), category, format!("v{i}: {text}"));
                if wrong.is_some() {
                    return wrong;
                }
            }
            let wrong = self.mark(at, call.op(), i).or_else(|| self.gradient(i, &t));
            if let Some((category, text)) = wrong {
                let wrong = self.ends(at, call.op(), category, text);
                if wrong.is_some() {
                    return wrong;
                }
            }
        }
        None
    }

    /// Whether the first argument becomes what PyTorch says where all arguments are PyTorch's own.
    fn changes_rightly(&self, call: &Call, changed: usize, want: &Seen) -> bool {
        let Some(first) = call.inputs().first().copied() else { return false };
        if call.draws() || self.own(first).is_none() {
            return false;
        }
        let _ = (changed, want);
        // The elements before the call are no longer known here, so rounding cannot be told from a difference where the
        // variables agreed before; where they did not, it is taken for rounding.
        call.op() != "backward"
            && self.variables.iter().enumerate().any(|(i, t)| match (t, self.own(i)) {
                (Some(t), Some(seen)) if call.inputs().contains(&i) && i != first => {
                    t.dtype().is_float() && Bits::of(t) != seen.bits
                }
                _ => false,
            })
    }

    fn gradient(&self, i: usize, t: &Tensor) -> Wrong {
        let (got, want) = match (t.grad(), &self.known.grads[i]) {
            (None, None) => return None,
            (None, Some(_)) => return Some((Category::Gradient, format!("v{i}: none, wanted one"))),
            (Some(_), None) => return Some((Category::Gradient, format!("v{i}: one, wanted none"))),
            (Some(got), Some(want)) => (got, want),
        };
        if got.dtype() != want.dtype || got.shape() != &want.shape[..] {
            let text = format!("v{i}: {}{:?}, wanted {}{:?}", got.dtype(), got.shape(), want.dtype, want.shape);
            return Some((Category::Gradient, text));
        }
        let factor = if want.dtype == allotrope::DType::F32 { 200.0 } else { 20.0 };
        let scale = want.bits.scale(want.dtype);
        let unsigned = |b: &Bits| unsigned_zeros(b, want.dtype);
        let (a, b) = (unsigned(&Bits::of(&got)), unsigned(&want.bits));
        if let Some(text) = bits::difference(want.dtype, &a, &b, scale, factor) {
            return Some((Category::Gradient, format!("v{i}.grad: {text}")));
        }
        if let Some(text) = strides(&want.shape, &got.strides(), &want.strides) {
            return Some((Category::GradientStrides, format!("v{i}.grad: {text}")));
        }
        (got.is_requires_grad() != want.requires_grad)
            .then(|| (Category::RequiresGrad, format!("v{i}.grad: {}", got.is_requires_grad())))
    }
}

/// What kind of difference of elements it is.
fn kind(call: &Call, dtype: allotrope::DType, got: &Bits, want: &Bits) -> Category {
    match bits::only_signs(dtype, got, want) {
        true => Category::Zero,
        false if call.draws() => Category::Draw,
        false => Category::Value,
    }
}

/// Elements where every zero is positive: signs of zeros in gradients are not compared.
fn unsigned_zeros(b: &Bits, dtype: allotrope::DType) -> Bits {
    let size = bits::width(dtype);
    let mut b = b.clone();
    for (i, x) in b.numbers(dtype).into_iter().enumerate() {
        if x == 0.0 {
            b.0[i * size..(i + 1) * size].fill(0);
        }
    }
    b
}

pub fn mark(t: &Tensor) -> Mark {
    Mark {
        requires_grad: t.is_requires_grad(),
        is_leaf: t.try_is_leaf().unwrap_or(false),
        grad_fn: t.try_grad_fn_name().unwrap_or_else(|_| Some("error".into())),
    }
}

fn shown(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("none")
}

/// How much wider the tolerance of an operator is, as for the corpus.
fn factor(op: &str) -> f64 {
    match op {
        "nn.functional.scaled_dot_product_attention" => 10.0,
        "bmm"
        | "matmul"
        | "mm"
        | "baddbmm"
        | "addmm"
        | "einsum"
        | "nn.functional.conv2d"
        | "nn.functional.conv1d"
        | "nn.functional.conv_transpose2d"
        | "nn.functional.linear" => 5.0,
        _ => 2.0,
    }
}

/// Strides of axes with more than one element, where there are elements.
pub fn strides(shape: &[usize], got: &[isize], want: &[isize]) -> Option<String> {
    let matters = |i: &usize| shape[*i] > 1;
    let differ = (0..shape.len()).filter(matters).any(|i| got[i] != want[i]);
    (differ && !shape.contains(&0)).then(|| format!("{got:?}, wanted {want:?} (shape {shape:?})"))
}

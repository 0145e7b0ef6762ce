//! Loops over the first axis that stay loops in a trace. Eagerly `scan` runs its body once per step; in a trace the
//! body is recorded once and serves every length. The walk back is the same in both: per step on its own, with the
//! gradients of what the body uses from outside summed from the last step to the first, so the bits agree.

use super::backward::sum;
use crate::autograd::engine::{Root, run_part};
use crate::autograd::scope::{self, Boundary};
use crate::autograd::{is_grad_enabled, tape};
use crate::error::{Error, Result, must};
use crate::tensor::create::full_of;
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::recorder::{self, ScanSpec};
use crate::tensor::size::Sizes;
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::{DType, Scalar};
use std::sync::Arc;

/// Tensors in a structure of tuples, arrays and vectors: what loops carry and traced functions take and give.
pub trait TensorTree: Sized {
    /// Appends the tensors in order.
    fn flatten(&self, out: &mut Vec<Tensor>);
    /// The same structure with other tensors, taken in order.
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Self;
}

impl TensorTree for Tensor {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        out.push(self.clone());
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Tensor {
        from.next().expect("as many tensors as the structure holds")
    }
}

impl<T: TensorTree> TensorTree for Vec<T> {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        self.iter().for_each(|t| t.flatten(out));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Vec<T> {
        self.iter().map(|t| t.unflatten(from)).collect()
    }
}

impl<T: TensorTree, const N: usize> TensorTree for [T; N] {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        self.iter().for_each(|t| t.flatten(out));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> [T; N] {
        std::array::from_fn(|i| self[i].unflatten(from))
    }
}

impl<T: TensorTree> TensorTree for Option<T> {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        self.iter().for_each(|t| t.flatten(out));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Option<T> {
        self.as_ref().map(|t| t.unflatten(from))
    }
}

impl TensorTree for () {
    fn flatten(&self, _: &mut Vec<Tensor>) {}
    fn unflatten(&self, _: &mut dyn Iterator<Item = Tensor>) {}
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),*))*) => {$(
        impl<$($t: TensorTree),*> TensorTree for ($($t,)*) {
            fn flatten(&self, out: &mut Vec<Tensor>) {
                $(self.$i.flatten(out);)*
            }
            fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Self {
                ($(self.$i.unflatten(from),)*)
            }
        }
    )*};
}
tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5) }

fn flat(tree: &impl TensorTree) -> Vec<Tensor> {
    let mut out = Vec::new();
    tree.flatten(&mut out);
    out
}

/// Runs `carry, y[t] = body(carry, xs[t])` for t = 0, 1, …, and gives the last carry and all y stacked along a new
/// first axis. `xs` have one common first axis, over which the loop goes; the body may use any tensor from outside.
///
/// ```
/// use allotrope::prelude::*;
/// let xs = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
/// let (total, partial) = scan(Tensor::scalar(0.0f32), xs, |sum, x| {
///     let sum = &sum + &x;
///     (sum.clone(), sum)
/// });
/// assert_eq!((total.item::<f32>(), partial.to_vec::<f32>()), (6.0, vec![1.0, 3.0, 6.0]));
/// ```
///
/// # Panics
/// When there are no xs, their first axes differ or are empty, or a carry changes its shape or dtype.
#[track_caller]
pub fn scan<C: TensorTree, X: TensorTree, Y: TensorTree>(carry: C, xs: X, body: impl FnMut(C, X) -> (C, Y)) -> (C, Y) {
    must(scan_tree(carry, xs, false, body))
}

/// As [`scan`], from the last element to the first; `y[t]` still belongs to `xs[t]`.
///
/// # Panics
/// As [`scan`].
#[track_caller]
pub fn scan_reverse<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    body: impl FnMut(C, X) -> (C, Y),
) -> (C, Y) {
    must(scan_tree(carry, xs, true, body))
}

/// As [`scan`].
///
/// # Errors
/// Where that panics; a panic of the body goes on.
pub fn try_scan<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    body: impl FnMut(C, X) -> (C, Y),
) -> Result<(C, Y)> {
    scan_tree(carry, xs, false, body)
}

/// As [`scan_reverse`].
///
/// # Errors
/// Where that panics; a panic of the body goes on.
pub fn try_scan_reverse<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    body: impl FnMut(C, X) -> (C, Y),
) -> Result<(C, Y)> {
    scan_tree(carry, xs, true, body)
}

fn scan_tree<C: TensorTree, X: TensorTree, Y: TensorTree>(
    carry: C,
    xs: X,
    reverse: bool,
    mut body: impl FnMut(C, X) -> (C, Y),
) -> Result<(C, Y)> {
    let mut template = None;
    let (carries, ys) = scan_flat(flat(&carry), flat(&xs), reverse, &mut |c, x| {
        let (c, y) = body(carry.unflatten(&mut c.iter().cloned()), xs.unflatten(&mut x.iter().cloned()));
        let out = (flat(&c), flat(&y));
        template.get_or_insert(y);
        out
    })?;
    let y = template.expect("the body has run").unflatten(&mut ys.into_iter());
    Ok((carry.unflatten(&mut carries.into_iter()), y))
}

type Body<'a> = &'a mut dyn FnMut(&[Tensor], &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>);

/// What the walk back needs of one run of the body.
struct Step {
    carries: Vec<Option<Edge>>,
    xs: Vec<Option<Edge>>,
    outside: Vec<Boundary>,
    new_carries: Vec<Option<Edge>>,
    ys: Vec<Option<Edge>>,
}

/// A value from outside that the body uses and whose gradient is wanted.
struct Outside {
    edge: Edge,
    dtype: DType,
    sizes: Sizes,
}

impl Outside {
    fn is(&self, b: &Boundary) -> bool {
        self.edge.id() == b.outside.id() && self.edge.output == b.outside.output
    }
}

/// Everything that the walk back through a loop needs.
struct Tape {
    steps: Vec<Step>,
    outside: Vec<Outside>,
    carries: Vec<(DType, Sizes)>,
    xs: usize,
    length: Size,
    reverse: bool,
    /// The recorded body, in a trace.
    scope: Option<u64>,
}

fn scan_flat(
    carries: Vec<Tensor>,
    xs: Vec<Tensor>,
    reverse: bool,
    body: Body<'_>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let length = common_length(&xs)?;
    let mut steps = Vec::new();
    let (finals, ys, scope) = match recorder::active() {
        Some(r) => {
            let spec = ScanSpec { carries: &carries, xs: &xs, length, reverse, mirror: None };
            let inner = r.scan_begin(&spec)?;
            let (new_carries, ys) = match step(&inner.carries, &inner.xs, &xs, body, &mut steps) {
                Ok(out) => out,
                Err(e) => {
                    r.scan_abandon();
                    return Err(e);
                }
            };
            let (finals, ys) = r.scan_end(&new_carries, &ys)?;
            (finals, ys, Some(inner.scope))
        }
        None => {
            let mut current: Vec<Tensor> = carries.iter().map(Tensor::alias).collect();
            let mut rows: Vec<Vec<Tensor>> = Vec::new();
            for i in 0..length.hint() {
                let t = if reverse { length.hint() - 1 - i } else { i };
                let elements = xs.iter().map(|x| eval::element(x, t)).collect::<Result<Vec<_>>>()?;
                let (new, ys) = step(&current, &elements, &xs, body, &mut steps)?;
                current = new;
                rows.resize_with(ys.len(), Vec::new);
                rows.iter_mut().zip(ys).for_each(|(row, y)| row.push(y));
            }
            if reverse {
                rows.iter_mut().for_each(|row| row.reverse());
            }
            let ys = rows.iter().enumerate().map(|(k, row)| stacked(k, row)).collect::<Result<Vec<_>>>()?;
            (current, ys, None)
        }
    };
    let tape = Tape::new(steps, &carries, &xs, length, reverse, scope);
    note(tape, &carries, &xs, &finals, &ys);
    Ok((finals, ys))
}

/// The rows of one of the ys as one tensor.
fn stacked(k: usize, rows: &[Tensor]) -> Result<Tensor> {
    let first = &rows[0];
    if let Some(t) = rows.iter().position(|r| r.dtype() != first.dtype() || r.shape_hint() != first.shape_hint()) {
        return Err(Error::operands(
            "scan",
            format!(
                "output {k} is {}{:?} in one step and {}{:?} in another (step {t})",
                first.dtype(),
                first.shape_hint(),
                rows[t].dtype(),
                rows[t].shape_hint()
            ),
        ));
    }
    eval::stacked(rows)
}

fn common_length(xs: &[Tensor]) -> Result<Size> {
    let fail = |message: String| Err(Error::operands("scan", message));
    let Some(first) = xs.first() else { return fail("needs at least one tensor to go over".into()) };
    if let Some(x) = xs.iter().find(|x| x.dim() == 0) {
        return fail(format!("a tensor of shape {:?} has no axis to go over", x.shape_hint()));
    }
    let length = first.sizes()[0];
    for x in &xs[1..] {
        if !recorder::demand_equal(length, x.sizes()[0]) {
            return fail(format!(
                "the first axes must be equal, got {:?} and {:?}",
                first.shape_hint(),
                x.shape_hint()
            ));
        }
    }
    if recorder::is_zero(length) {
        return fail(format!("the sequence is empty (shape {:?}); it needs at least one element", first.shape_hint()));
    }
    Ok(length)
}

/// Runs the body once on its own tape; gives new carries and ys without history.
fn step(
    carries: &[Tensor],
    xs: &[Tensor],
    whole_xs: &[Tensor],
    body: Body<'_>,
    steps: &mut Vec<Step>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let taped = is_grad_enabled();
    let input = |x: &Tensor, wanted: bool| -> (Tensor, Option<Edge>) {
        let x = x.alias();
        if !(wanted && taped && x.dtype().is_float()) {
            return (x, None);
        }
        let edge = scope::input_edge();
        x.set_grad_fn(Some(edge.clone()));
        (x, Some(edge))
    };
    let ((carry_edges, x_edges, new, ys, changed), outside) = scope::run(|| {
        let (c, carry_edges): (Vec<_>, Vec<_>) = carries.iter().map(|x| input(x, true)).unzip();
        let (x, x_edges): (Vec<_>, Vec<_>) =
            xs.iter().zip(whole_xs).map(|(x, whole)| input(x, whole.is_requires_grad())).unzip();
        let versions = || c.iter().chain(&x).map(Tensor::version).collect::<Vec<u32>>();
        let before = versions();
        let (new, ys) = body(&c, &x);
        let changed = before.iter().zip(versions()).position(|(a, b)| *a != b);
        let with_edges = |t: Vec<Tensor>| -> Vec<(Tensor, Option<Edge>)> {
            t.into_iter().map(|t| (t.alias(), if taped { tape::edge_of(&t) } else { None })).collect()
        };
        (carry_edges, x_edges, with_edges(new), with_edges(ys), changed)
    });
    if let Some(i) = changed {
        let what =
            if i < carries.len() { format!("carry {i}") } else { format!("element of input {}", i - carries.len()) };
        return Err(Error::operands(
            "scan",
            format!(
                "the body changed {what} in place, which belongs to the step before or to the caller; use the plain operation"
            ),
        ));
    }
    let (new, new_edges): (Vec<Tensor>, Vec<_>) = new.into_iter().unzip();
    let (ys, y_edges): (Vec<Tensor>, Vec<_>) = ys.into_iter().unzip();
    if new.len() != carries.len() {
        return Err(Error::operands("scan", format!("{} carries went in, {} came out", carries.len(), new.len())));
    }
    for (i, (old, new)) in carries.iter().zip(&new).enumerate() {
        let same = old.dtype() == new.dtype()
            && old.dim() == new.dim()
            && old.sizes().iter().zip(new.sizes()).all(|(a, b)| recorder::demand_equal(*a, b));
        if !same {
            return Err(Error::operands(
                "scan",
                format!(
                    "carry {i} goes in as {}{:?} and comes out as {}{:?}",
                    old.dtype(),
                    old.shape_hint(),
                    new.dtype(),
                    new.shape_hint()
                ),
            ));
        }
    }
    if taped {
        steps.push(Step { carries: carry_edges, xs: x_edges, outside, new_carries: new_edges, ys: y_edges });
    }
    Ok((new, ys))
}

/// Puts the loop on the tape as one node, where anything that it used wants a gradient.
fn note(tape: Tape, carries: &[Tensor], xs: &[Tensor], finals: &[Tensor], ys: &[Tensor]) {
    let wanted = |x: &&Tensor| x.is_requires_grad();
    if tape.steps.is_empty() || (tape.outside.is_empty() && !carries.iter().chain(xs).any(|x| wanted(&x))) {
        return;
    }
    let inputs = carries.iter().chain(xs).map(tape::edge_of);
    let outside = tape.outside.iter().map(|o| Some(scope::inside(o.edge.clone(), o.dtype, || o.sizes.clone())));
    let edges = inputs.chain(outside).collect();
    let node = tape::node("ScanBackward", edges, true, move |_, grads| tape.walk_back(grads));
    for (i, y) in finals.iter().chain(ys).enumerate() {
        if y.dtype().is_float() {
            y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
        }
    }
}

/// The identity of addition in IEEE arithmetic: x + (-0.0) is x, whatever x.
fn nothing(dtype: DType, sizes: &[Size]) -> Result<Tensor> {
    full_of(sizes, Scalar::from_f64(-0.0, dtype))
}

impl Tape {
    fn new(
        steps: Vec<Step>,
        carries: &[Tensor],
        xs: &[Tensor],
        length: Size,
        reverse: bool,
        scope: Option<u64>,
    ) -> Tape {
        let mut outside: Vec<Outside> = Vec::new();
        for b in steps.iter().flat_map(|s| &s.outside) {
            if !outside.iter().any(|o| o.is(b)) {
                outside.push(Outside { edge: b.outside.clone(), dtype: b.dtype, sizes: b.sizes.clone() });
            }
        }
        let carries = carries.iter().map(|c| (c.dtype(), c.sizes())).collect();
        Tape { steps, outside, carries, xs: xs.len(), length, reverse, scope }
    }

    /// Which of the outside values a boundary of a step stands for.
    fn place(&self, b: &Boundary) -> usize {
        self.outside.iter().position(|o| o.is(b)).expect("every boundary was listed")
    }

    /// Gradients of carries, xs and outside values, from those of the final carries and the ys.
    fn walk_back(&self, grads: &[Option<Tensor>]) -> Result<Grads> {
        if is_grad_enabled() {
            return Err(Error::Autograd(
                "second derivatives through scan are not there yet; compute the first derivative without create_graph, or write the loop in Rust".into(),
            ));
        }
        let grad = |i: usize| grads.get(i).cloned().flatten();
        let count = self.carries.len();
        let carries = self
            .carries
            .iter()
            .enumerate()
            .map(|(i, (dtype, sizes))| grad(i).map_or_else(|| nothing(*dtype, sizes), Ok))
            .collect::<Result<Vec<Tensor>>>()?;
        let ys: Vec<Option<Tensor>> = (0..self.steps[0].ys.len()).map(|k| grad(count + k)).collect();
        match (self.scope, recorder::active()) {
            (Some(scope), Some(r)) => self.record_back(r.as_ref(), scope, carries, ys),
            (None, _) => self.run_back(carries, ys),
            (Some(_), None) => {
                Err(Error::Trace("a loop of a trace was differentiated after the trace had ended".into()))
            }
        }
    }

    /// One step back: gradients of its carries, xs and outside values (by place).
    fn step_back(&self, step: &Step, carries: &[Tensor], ys: &[Option<Tensor>]) -> Result<StepGrads> {
        let from_ys = step.ys.iter().zip(ys).filter_map(|(edge, g)| Some((edge.clone()?, g.clone()?)));
        let from_carries =
            step.new_carries.iter().zip(carries).filter_map(|(edge, g)| Some((edge.clone()?, g.clone())));
        let roots = from_ys.chain(from_carries).map(|(edge, gradient)| Root { edge, gradient }).collect();
        let inside = step.outside.iter().map(|b| &b.inside);
        let targets: Vec<Edge> =
            step.carries.iter().flatten().chain(step.xs.iter().flatten()).chain(inside).cloned().collect();
        let mut found = run_part(roots, &targets, sum)?.into_iter();
        let mut of = |edges: &[Option<Edge>]| -> Vec<Option<Tensor>> {
            edges.iter().map(|e| e.as_ref().and_then(|_| found.next().flatten())).collect()
        };
        let (carries, xs) = (of(&step.carries), of(&step.xs));
        let outside = step.outside.iter().map(|b| (self.place(b), found.next().flatten())).collect();
        Ok(StepGrads { carries, xs, outside })
    }

    fn next_carries(&self, found: Vec<Option<Tensor>>) -> Result<Vec<Tensor>> {
        let each = found.into_iter().zip(&self.carries);
        each.map(|(g, (dtype, sizes))| g.map_or_else(|| nothing(*dtype, sizes), Ok)).collect()
    }

    /// The walk back now, step by step.
    fn run_back(&self, mut carries: Vec<Tensor>, ys: Vec<Option<Tensor>>) -> Result<Grads> {
        let n = self.steps.len();
        let mut sums: Vec<Option<Tensor>> = vec![None; self.outside.len()];
        let mut rows: Vec<Vec<Option<Tensor>>> = vec![vec![None; n]; self.xs];
        for (i, step) in self.steps.iter().enumerate().rev() {
            let t = if self.reverse { n - 1 - i } else { i };
            let dy =
                ys.iter().map(|y| y.as_ref().map(|y| eval::element(y, t)).transpose()).collect::<Result<Vec<_>>>()?;
            let found = self.step_back(step, &carries, &dy)?;
            carries = self.next_carries(found.carries)?;
            for (row, g) in rows.iter_mut().zip(found.xs) {
                row[t] = g;
            }
            for (place, g) in found.outside {
                let Some(g) = g else { continue };
                sums[place] = Some(match sums[place].take() {
                    Some(sum) => &sum + &g,
                    None => g,
                });
            }
        }
        let xs = rows.into_iter().map(|row| {
            let Some(like) = row.iter().flatten().next().map(Tensor::zeros_like) else { return Ok(None) };
            let row: Vec<Tensor> = row.into_iter().map(|g| g.unwrap_or_else(|| like.clone())).collect();
            eval::stacked(&row).map(Some)
        });
        let xs = xs.collect::<Result<Vec<_>>>()?;
        Ok(carries.into_iter().map(Some).chain(xs).chain(sums).collect())
    }

    /// The walk back as a recorded loop in the other direction.
    fn record_back(
        &self,
        r: &dyn recorder::Recorder,
        scope: u64,
        carries: Vec<Tensor>,
        ys: Vec<Option<Tensor>>,
    ) -> Result<Grads> {
        let count = carries.len();
        let mut all = carries;
        for o in &self.outside {
            all.push(nothing(o.dtype, &o.sizes)?);
        }
        let given: Vec<Tensor> = ys.iter().flatten().cloned().collect();
        let spec =
            ScanSpec { carries: &all, xs: &given, length: self.length, reverse: !self.reverse, mirror: Some(scope) };
        let inner = r.scan_begin(&spec)?;
        let mut elements = inner.xs.iter();
        let dy: Vec<Option<Tensor>> = ys.iter().map(|y| y.as_ref().and_then(|_| elements.next().cloned())).collect();
        let found = match self.step_back(&self.steps[0], &inner.carries[..count], &dy) {
            Ok(found) => found,
            Err(e) => {
                r.scan_abandon();
                return Err(e);
            }
        };
        let mut new = self.next_carries(found.carries)?;
        new.extend_from_slice(&inner.carries[count..]);
        let mut reached = vec![false; self.outside.len()];
        for (place, g) in found.outside {
            let Some(g) = g else { continue };
            reached[place] = true;
            new[count + place] = &new[count + place] + &g;
        }
        let rows: Vec<Tensor> = found.xs.iter().flatten().cloned().collect();
        let (finals, stacked) = r.scan_end(&new, &rows)?;
        let mut stacked = stacked.into_iter();
        let xs: Vec<Option<Tensor>> = found.xs.iter().map(|g| g.as_ref().and_then(|_| stacked.next())).collect();
        let (carries, sums) = finals.split_at(count);
        let sums = sums.iter().zip(reached).map(|(sum, reached)| reached.then(|| sum.clone()));
        Ok(carries.iter().cloned().map(Some).chain(xs).chain(sums).collect())
    }
}

struct StepGrads {
    carries: Vec<Option<Tensor>>,
    xs: Vec<Option<Tensor>>,
    outside: Vec<(usize, Option<Tensor>)>,
}

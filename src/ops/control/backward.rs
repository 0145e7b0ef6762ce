//! The backward pass of a loop, iteration by iteration, from the last to the first: gradients of captured tensors are summed
//! in this order. Eagerly it is a Rust loop over the tapes of the iterations; in a trace a second loop is recorded, over
//! values that the first one saves. No body is run here.

use super::super::backward::sum;
use super::body::BodyRun;
use crate::autograd::engine::{Root, run_part};
use crate::autograd::scope::{self, Boundary};
use crate::autograd::{is_grad_enabled, tape};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::recorder::LoopRecorder;
use crate::mode::recorder::loops::{Iterations, ScanSpec};
use crate::mode::values::full_of;
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::{Size, Sizes, Tensor, eval};
use allotrope_ir::{DType, Scalar};
use std::sync::Arc;

/// The identity of addition in IEEE arithmetic: x + (-0.0) is x, whatever x.
pub(super) fn nothing(dtype: DType, sizes: &[Size]) -> Result<Tensor> {
    full_of(sizes, Scalar::from_f64(-0.0, dtype))
}

/// Loops and branches have no second derivative.
///
/// # Errors
/// Where the gradients being computed are themselves to be differentiated.
pub(super) fn no_second_derivative(op: &str) -> Result<()> {
    if is_grad_enabled() {
        return Err(Error::autograd(format!(
            "second derivatives through {op} are not there yet; compute the first derivative without create_graph, or write it in Rust"
        )));
    }
    Ok(())
}

/// The error of a backward pass through what a trace recorded, after that trace has ended.
pub(super) fn trace_ended(op: &str) -> Error {
    Error::trace(format!("a {op} of a trace was differentiated after the trace had ended"))
}

/// Captured tensors whose gradients are wanted, each once, in the order of their first use.
#[derive(Default)]
pub(super) struct CapturedEdges(Vec<CapturedEdge>);

struct CapturedEdge {
    edge: Edge,
    dtype: DType,
    sizes: Sizes,
}

impl CapturedEdges {
    pub(super) fn of<'a>(boundaries: impl Iterator<Item = &'a Boundary>) -> CapturedEdges {
        let mut all = CapturedEdges::default();
        for b in boundaries {
            if all.find(b).is_none() {
                all.0.push(CapturedEdge { edge: b.external.clone(), dtype: b.dtype, sizes: b.sizes.clone() });
            }
        }
        all
    }

    fn find(&self, b: &Boundary) -> Option<usize> {
        self.0.iter().position(|o| o.edge.id() == b.external.id() && o.edge.output == b.external.output)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The edges to them, as seen from the enclosing scope.
    pub(super) fn edges(&self) -> impl Iterator<Item = Option<Edge>> + '_ {
        self.0.iter().map(|o| Some(scope::inside(o.edge.clone(), o.dtype, || o.sizes.clone())))
    }

    /// The initial sum of gradients of each.
    pub(super) fn nothing(&self) -> Result<Vec<Tensor>> {
        self.0.iter().map(|o| nothing(o.dtype, &o.sizes)).collect()
    }
}

/// Gradients of what one run used; those of captured tensors with their place in [`CapturedEdges`].
pub(super) struct RunGrads {
    carries: Vec<Option<Tensor>>,
    xs: Vec<Option<Tensor>>,
    pub(super) captured: Vec<(usize, Option<Tensor>)>,
}

/// The backward pass of one run, from the gradients of the new carries and of the ys.
pub(super) fn run_backward(
    run: &BodyRun,
    places: &CapturedEdges,
    carries: &[Tensor],
    ys: &[Option<Tensor>],
) -> Result<RunGrads> {
    let from_ys = run.ys.iter().zip(ys).filter_map(|(edge, g)| Some((edge.clone()?, g.clone()?)));
    let from_carries = run.new_carries.iter().zip(carries).filter_map(|(edge, g)| Some((edge.clone()?, g.clone())));
    let roots = from_ys.chain(from_carries).map(|(edge, gradient)| Root { edge, gradient }).collect();
    let inside = run.captured.iter().map(|b| &b.inside);
    let targets: Vec<Edge> =
        run.carries.iter().flatten().chain(run.xs.iter().flatten()).chain(inside).cloned().collect();
    let mut found = run_part(roots, &targets, sum)?.into_iter();
    let mut of = |edges: &[Option<Edge>]| -> Vec<Option<Tensor>> {
        edges.iter().map(|e| e.as_ref().and_then(|_| found.next().flatten())).collect()
    };
    let (carries, xs) = (of(&run.carries), of(&run.xs));
    let place = |b: &Boundary| places.find(b).expect("every boundary was listed");
    let captured = run.captured.iter().map(|b| (place(b), found.next().flatten())).collect();
    Ok(RunGrads { carries, xs, captured })
}

/// A loop in the graph of a trace.
pub(super) struct Recorded {
    /// Names its body.
    pub(super) scope: u64,
    pub(super) trip_count: TripCount,
}

/// How many iterations a recorded loop has.
pub(super) enum TripCount {
    All(Size),
    Count { n: Tensor, limit: Size },
}

impl TripCount {
    fn iterations(&self) -> Iterations<'_> {
        match self {
            TripCount::All(n) => Iterations::All(*n),
            TripCount::Count { n, limit } => Iterations::Count { n, limit: *limit },
        }
    }
}

/// Everything that the backward pass of a loop needs.
pub(super) struct LoopBackward {
    pub(super) op: &'static str,
    pub(super) runs: Vec<BodyRun>,
    pub(super) captured: CapturedEdges,
    pub(super) carries: Vec<(DType, Sizes)>,
    /// The numbers of xs and of ys.
    pub(super) xs: usize,
    pub(super) ys: usize,
    pub(super) reverse: bool,
    /// The loop may have no iteration: what its body captures has a gradient all the same.
    pub(super) may_be_empty: bool,
    /// In a trace.
    pub(super) recorded: Option<Recorded>,
}

/// Dtypes and sizes of tensors.
pub(super) fn types_of(tensors: &[Tensor]) -> Vec<(DType, Sizes)> {
    tensors.iter().map(|c| (c.dtype(), c.sizes())).collect()
}

impl LoopBackward {
    /// Records the loop on the tape as one node, where anything that it used requires a gradient. `inputs` are its carries and
    /// xs, `results` its final carries and ys.
    pub(super) fn record(self, name: &'static str, inputs: &[&Tensor], results: &[&Tensor]) {
        if self.captured.len() == 0 && !inputs.iter().any(|x| x.is_requires_grad()) {
            return;
        }
        let edges = inputs.iter().map(|x| tape::edge_of(x)).chain(self.captured.edges()).collect();
        let node = tape::node(name, edges, true, move |_, grads| self.backward(grads));
        for (i, y) in results.iter().enumerate() {
            if y.dtype().is_float() {
                y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32)));
            }
        }
    }

    /// Gradients of carries, xs and captured tensors, from those of the final carries and the ys.
    fn backward(&self, grads: &[Option<Tensor>]) -> Result<Grads> {
        no_second_derivative(self.op)?;
        let grad = |i: usize| grads.get(i).cloned().flatten();
        let count = self.carries.len();
        let carries = self.next_carries((0..count).map(grad).collect())?;
        let ys: Vec<Option<Tensor>> = (0..self.ys).map(|k| grad(count + k)).collect();
        match (&self.recorded, mode::loops::recorder()) {
            (Some(recorded), Some(r)) => self.record_loop(r.as_ref(), recorded, carries, ys),
            (None, _) => self.run_eagerly(carries, ys),
            (Some(_), None) => Err(trace_ended(self.op)),
        }
    }

    fn next_carries(&self, found: Vec<Option<Tensor>>) -> Result<Vec<Tensor>> {
        let each = found.into_iter().zip(&self.carries);
        each.map(|(g, (dtype, sizes))| g.map_or_else(|| nothing(*dtype, sizes), Ok)).collect()
    }

    /// The backward pass, computed now, iteration by iteration.
    fn run_eagerly(&self, mut carries: Vec<Tensor>, ys: Vec<Option<Tensor>>) -> Result<Grads> {
        let n = self.runs.len();
        let mut sums: Vec<Option<Tensor>> = vec![None; self.captured.len()];
        let mut rows: Vec<Vec<Option<Tensor>>> = vec![vec![None; n]; self.xs];
        for (i, run) in self.runs.iter().enumerate().rev() {
            let t = if self.reverse { n - 1 - i } else { i };
            let dy =
                ys.iter().map(|y| y.as_ref().map(|y| eval::element(y, t)).transpose()).collect::<Result<Vec<_>>>()?;
            let found = run_backward(run, &self.captured, &carries, &dy)?;
            carries = self.next_carries(found.carries)?;
            for (row, g) in rows.iter_mut().zip(found.xs) {
                row[t] = g;
            }
            for (place, g) in found.captured {
                let Some(g) = g else { continue };
                sums[place] = Some(match sums[place].take() {
                    Some(sum) => &sum + &g,
                    None => g,
                });
            }
        }
        if self.may_be_empty {
            for (sum, none) in sums.iter_mut().zip(self.captured.nothing()?) {
                sum.get_or_insert(none);
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

    /// The backward pass as a recorded loop in the other direction.
    fn record_loop(
        &self,
        r: &dyn LoopRecorder,
        recorded: &Recorded,
        carries: Vec<Tensor>,
        ys: Vec<Option<Tensor>>,
    ) -> Result<Grads> {
        let count = carries.len();
        let mut all = carries;
        all.extend(self.captured.nothing()?);
        let given: Vec<Tensor> = ys.iter().flatten().cloned().collect();
        let spec = ScanSpec {
            carries: &all,
            xs: &given,
            iterations: recorded.trip_count.iterations(),
            reverse: !self.reverse,
            mirror: Some(recorded.scope),
        };
        let inner = r.scan_begin(&spec)?;
        let mut elements = inner.xs.iter();
        let dy: Vec<Option<Tensor>> = ys.iter().map(|y| y.as_ref().and_then(|_| elements.next().cloned())).collect();
        let found = match run_backward(&self.runs[0], &self.captured, &inner.carries[..count], &dy) {
            Ok(found) => found,
            Err(e) => {
                r.scan_abandon();
                return Err(e);
            }
        };
        let mut new = self.next_carries(found.carries)?;
        new.extend_from_slice(&inner.carries[count..]);
        let mut reached = vec![self.may_be_empty; self.captured.len()];
        for (place, g) in found.captured {
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

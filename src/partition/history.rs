//! Where the tape of a joint graph begins and ends: the values that gradients come in for, the edges by which it leads out,
//! and the history that each result has seen from outside. Nothing is recorded here.

use crate::autograd::{tape, with_grad_enabled};
use crate::capture::endpoints::CallerTensor;
use crate::capture::recorder::Capture;
use crate::error::{Error, Result};
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::TraceHandle;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Dim, Type};
use std::collections::HashMap;
use std::rc::Rc;

/// Names an edge: its node, and which result of that.
pub(super) type EdgeKey = (usize, u32);

/// The name of an edge.
pub(super) fn key(edge: &Edge) -> EdgeKey {
    (edge.id(), edge.output)
}

/// A value of a joint graph that gradients come in for.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(super) edge: Edge,
    pub(super) ty: Type,
}

/// Where the tape leads out of a joint graph.
#[derive(Clone)]
pub(crate) enum Exit {
    /// To an argument of the closure.
    Arg(usize),
    /// To a captured tensor.
    Captured(TraceHandle),
    /// To a tensor of the caller's whose history the closure has changed, as it is after the call.
    Changed(CallerTensor),
    /// To a leaf that the closure made: its computed result of this number.
    Leaf(usize),
    /// To where exit `i` of the lower joint graph leads: that of the part through which this one is a backward pass.
    Lower(usize),
    /// To a value of the lower joint graph that gradients come in for.
    Incoming(usize),
    /// To the gradient that came in for this value of the lower joint graph.
    Gradient(usize),
}

/// How a tensor is repeated that shows a value of the tape.
pub(crate) struct Repeated {
    pub(crate) by: fn(&Tensor, &[Size]) -> Result<Tensor>,
    /// The shape before.
    pub(crate) shape: Vec<Dim>,
}

/// The history of a result, seen from outside.
pub(crate) enum History {
    None,
    /// Its gradient comes in for this value.
    Incoming(usize, Option<Repeated>),
    /// The result shows what is outside.
    Exit(usize, Option<Repeated>),
    /// It is a leaf itself.
    Leaf,
    /// It shows a leaf that nobody outside has.
    Lost,
}

/// The exits of a joint graph, as they are found.
#[derive(Default)]
pub(super) struct Exits {
    pub(super) exits: Vec<Exit>,
    pub(super) by_edge: HashMap<EdgeKey, Option<usize>>,
    /// The edges behind those numbers, which live as long as this.
    pub(super) edges: Vec<Edge>,
}

impl Exits {
    /// The number of the exit of this edge, which `find` knows where it is new; none where nobody is behind it.
    pub(super) fn number(
        &mut self,
        edge: &Edge,
        find: impl FnOnce(&Edge) -> Result<Option<Exit>>,
    ) -> Result<Option<usize>> {
        if let Some(known) = self.by_edge.get(&key(edge)) {
            return Ok(*known);
        }
        let number = find(edge)?.map(|exit| {
            self.exits.push(exit);
            self.exits.len() - 1
        });
        self.by_edge.insert(key(edge), number);
        self.edges.push(edge.clone());
        Ok(number)
    }
}

/// That it is not known where an edge leads.
pub(super) fn unknown_exit(edge: &Edge) -> Error {
    Error::autograd(format!(
        "the history of a result goes on through {}, which was there before the call and belongs to no argument and no captured tensor; call backward() inside the closure",
        edge.node().name()
    ))
}

/// The histories of tensors, sorted into values that gradients come in for and edges that lead out.
pub(super) struct Ends {
    pub(super) incoming: Vec<Incoming>,
    each: Vec<End>,
}

enum End {
    None,
    Incoming(usize, Option<Repeated>),
    Out(Edge, Option<Repeated>),
}

impl Ends {
    /// Those of the results of a part whose nodes have numbers from `boundary` on.
    pub(super) fn of(capture: &Rc<Capture>, boundary: u64, results: &[Tensor]) -> Result<Ends> {
        let mut ends = Ends { incoming: Vec::new(), each: Vec::new() };
        capture.recording(|| {
            with_grad_enabled(true, || {
                for t in results {
                    let end = ends.end(capture, boundary, t);
                    ends.each.push(end);
                }
            });
        })?;
        Ok(ends)
    }

    fn end(&mut self, capture: &Capture, boundary: u64, t: &Tensor) -> End {
        let Some(edge) = tape::own_edge(t) else { return End::None };
        let (edge, onto) = edge.split();
        let state = capture.0.borrow();
        let builder = state.replay.graphs();
        let repeated =
            onto.map(|o| Repeated { by: o.sum, shape: o.sizes.iter().map(|&s| builder.symbols.dim(s)).collect() });
        if edge.node().seq() < boundary {
            return End::Out(edge, repeated);
        }
        let known = self.incoming.iter().position(|known| key(&known.edge) == key(&edge));
        let number = known.unwrap_or_else(|| {
            let mut ty = builder.ty(t.dtype(), &t.sizes());
            if let Some(repeated) = &repeated {
                ty.shape = repeated.shape.iter().cloned().collect();
            }
            self.incoming.push(Incoming { edge, ty });
            self.incoming.len() - 1
        });
        End::Incoming(number, repeated)
    }

    /// The history of each result.
    pub(super) fn histories(
        self,
        exits: &mut Exits,
        find: &dyn Fn(&Edge) -> Result<Option<Exit>>,
    ) -> Result<Vec<History>> {
        let each = self.each.into_iter().map(|end| {
            Ok(match end {
                End::None => History::None,
                End::Incoming(k, repeated) => History::Incoming(k, repeated),
                End::Out(edge, repeated) => {
                    exits.number(&edge, find)?.map_or(History::Lost, |i| History::Exit(i, repeated))
                }
            })
        });
        each.collect()
    }
}

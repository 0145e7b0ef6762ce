//! The joint graph of a part of a program: its recording with the tape that it left, from which the backward graphs are
//! made, each when its gradients first come together. That of a closure and that of a backward pass which can be
//! differentiated again are made by one routine, [`partition`].

use crate::capture::endpoints::CallerTensor;
use crate::capture::recorder::Capture;
use crate::capture::state::CaptureState;
use crate::error::{Error, Result};
use crate::partition::backward_graph::{BackwardGraph, BackwardInput, OwnHooks, Route, Wanted};
use crate::partition::backward_pass::{BackwardPass, Course, FullBackward, IncomingGradient};
use crate::partition::history::{EdgeKey, Ends, Exit, Exits, History, Incoming, key, unknown_exit};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::{Behind, Edge};
use crate::tensor::handle::TraceHandle;
use allotrope_ir::passes::Passes;
use allotrope_ir::{Graph, Type, Value};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Backward graphs that one joint graph keeps.
const BACKWARD_GRAPHS: usize = 32;

/// Where a value is after a run that a backward pass needs: what the run saves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SavedValue {
    /// An input of its code, as a handle.
    Input(usize),
    /// A computed result, as a handle.
    Result(usize),
    /// One more output of its code.
    Output,
    /// What the run of the lower joint graph saved in this place.
    Lower(usize),
    /// The gradient that came in for this value of the lower joint graph.
    Gradient(usize),
}

/// A part of a program with the tape that it left.
pub(crate) struct JointGraph {
    /// The recording as it was at the end of the part.
    pub(super) state: CaptureState,
    /// Nodes of the tape from this number on are the part's.
    boundary: u64,
    incoming: Mutex<Vec<Incoming>>,
    /// How many of them are results, which are the first.
    results: usize,
    /// The numbers of the nodes of the results, in order: a stage of the backward pass ends before each.
    heads: Vec<u64>,
    behind: Mutex<HashMap<u64, Arc<Behind>>>,
    pub(crate) exits: Vec<Exit>,
    /// Exits that no gradient may leave by, with why.
    closed: Vec<(usize, Error)>,
    pub(super) by_edge: HashMap<EdgeKey, Option<usize>>,
    /// The edges behind those numbers, which live as long as this.
    edges: Vec<Edge>,
    pub(crate) saved: Vec<SavedValue>,
    /// The place of each value among those saved.
    pub(super) by_value: HashMap<Value, usize>,
    /// The nodes that the pass with every gradient goes through and that saved something.
    pub(crate) saving: Vec<u64>,
    backward: Mutex<Vec<Arc<BackwardGraph>>>,
    pub(crate) passes: Passes,
    /// The traced arguments, by which the recording knows them.
    _args: Vec<Tensor>,
}

/// What is known of the edges that lead out of a part when their exits are looked for.
pub(super) struct KnownEdges {
    /// The tensors whose history they are, where those are captured.
    captured: HashMap<EdgeKey, (Edge, TraceHandle, bool)>,
    /// The types of the outgoing gradients; none where the backward pass could not be recorded.
    pub(super) types: Option<HashMap<EdgeKey, Type>>,
}

impl KnownEdges {
    pub(super) fn captured(&self, edge: &Edge) -> Option<Exit> {
        self.captured.get(&key(edge)).map(|(_, t, is_new)| match is_new {
            true => Exit::Changed(CallerTensor::Captured(t.clone())),
            false => Exit::Captured(t.clone()),
        })
    }
}

/// A part of a program with what its runs save for backward passes: the joint graph but for its name in the world.
pub(super) struct Parts {
    pub(super) full: FullBackward,
    incoming: Vec<Incoming>,
    pub(super) exits: Exits,
    /// Exits that no gradient may leave by, with why.
    pub(super) closed: Vec<(usize, Error)>,
    pub(super) saved: Vec<SavedValue>,
}

/// Partitions a recording into what a run computes and what backward passes compute later. `base` is the recording at the
/// end of the part, `ends` the histories of its results, `like` the backward pass of another recording of it; `find` knows
/// where an edge leads that leaves the part, and `save` where a value is that a backward pass uses.
///
/// # Errors
/// Where it is not known where an edge leads. That the backward pass can't be recorded is for the first one to say: the
/// histories are there all the same.
pub(super) fn partition(
    base: CaptureState,
    boundary: u64,
    ends: Ends,
    like: Option<&Graph>,
    find: &dyn Fn(&KnownEdges, &Edge) -> Result<Option<Exit>>,
    save: &mut dyn FnMut(&CaptureState, Value) -> SavedValue,
) -> Result<(Vec<History>, Result<Parts>)> {
    let captured = base.outgoing_edges.clone();
    let full = FullBackward::record(base, boundary, &ends.incoming, like);
    let known = match &full {
        Err(_) => KnownEdges { captured, types: None },
        Ok(full) => {
            let whole = full.pass.state.replay.graphs().whole();
            let types = full.pass.outgoing.iter().map(|(edge, v, _)| (key(edge), whole.ty(*v).clone())).collect();
            KnownEdges { captured: full.pass.state.outgoing_edges.clone(), types: Some(types) }
        }
    };
    let find = |edge: &Edge| find(&known, edge);
    let (mut exits, incoming) = (Exits::default(), ends.incoming.clone());
    let histories = ends.histories(&mut exits, &find)?;
    let parts = full.and_then(|full| {
        for (edge, ..) in &full.pass.outgoing {
            exits.number(edge, find)?;
        }
        // A gradient that can't come is missed where it is asked for, not taken for one that does not exist.
        if !full.broken.is_empty() {
            for edge in leading_out(&incoming, boundary) {
                let _ = exits.number(edge, find);
            }
        }
        let saved = full.uses.iter().map(|&v| save(&full.state, v)).collect();
        Ok(Parts { full, incoming, exits, closed: Vec::new(), saved })
    });
    Ok((histories, parts))
}

/// The edges that lead out of a part of a program from the values that gradients come in for.
fn leading_out(incoming: &[Incoming], boundary: u64) -> Vec<&Edge> {
    let mut open: Vec<&Edge> = incoming.iter().map(|to| &to.edge).collect();
    let (mut out, mut seen) = (Vec::new(), HashSet::new());
    while let Some(edge) = open.pop() {
        match edge.node().seq() < boundary {
            true => out.push(edge),
            false if seen.insert(edge.id()) => open.extend(edge.node().edges().iter().flatten()),
            false => {}
        }
    }
    out
}

impl Parts {
    /// Why no backward pass at all can go through.
    pub(super) fn dead_end(&self) -> Option<&Error> {
        match (&self.incoming[..], &self.full.broken[..]) {
            ([_], [(_, why), ..]) if self.full.pass.outgoing.is_empty() => Some(why),
            _ => None,
        }
    }

    /// The joint graph, with the backward graph for all gradients.
    pub(super) fn into_joint_graph(self, boundary: u64, passes: &Passes, args: Vec<Tensor>) -> Result<Arc<JointGraph>> {
        let FullBackward { mut state, pass, uses, broken, .. } = self.full;
        // The arguments of one call, and their history, are nobody's business later.
        state.arguments.clear();
        state.changed_histories.clear();
        state.traced_args.clear();
        let mut heads: Vec<u64> = self.incoming.iter().map(|i| i.edge.node().seq()).collect();
        heads.sort_unstable();
        heads.dedup();
        let joint = JointGraph {
            state,
            boundary,
            results: self.incoming.len(),
            heads,
            behind: Mutex::default(),
            exits: self.exits.exits,
            closed: self.closed,
            by_edge: self.exits.by_edge,
            edges: self.exits.edges,
            by_value: uses.iter().enumerate().map(|(i, v)| (*v, i)).collect(),
            saved: self.saved,
            saving: pass.saving.clone(),
            backward: Mutex::default(),
            passes: *passes,
            _args: args,
            incoming: Mutex::default(),
        };
        let pattern = SmallVec::from_elem(IncomingGradient::Plain, self.incoming.len());
        *joint.incoming.lock() = self.incoming;
        if broken.is_empty() && pass.refused.is_none() {
            let route = Route { pattern, create_graph: false, hooks: OwnHooks::Called, oldest: 0, wanted: None };
            let full = BackwardGraph::new(&joint, pass, route, None)?;
            joint.backward.lock().push(Arc::new(full));
        }
        Ok(Arc::new(joint))
    }
}

impl JointGraph {
    /// The backward graph for these gradients, recorded where there is none yet.
    ///
    /// # Errors
    /// When it can't be recorded, or only for other sizes.
    pub(crate) fn backward(self: &Arc<JointGraph>, route: Route, binding: &[usize]) -> Result<Arc<BackwardGraph>> {
        let fits = |b: &&Arc<BackwardGraph>| b.is_for(&route) && b.holds(binding);
        let known = self.backward.lock().iter().find(fits).cloned();
        let made = match known {
            Some(known) => known,
            None => self.record(route, binding)?,
        };
        match self.closed.iter().find(|(exit, _)| made.leaves_by(*exit)) {
            None => Ok(made),
            Some((_, why)) => Err(why.clone()),
        }
    }

    fn record(self: &Arc<JointGraph>, route: Route, binding: &[usize]) -> Result<Arc<BackwardGraph>> {
        let incoming = self.incoming.lock().clone();
        let targets = route.wanted.as_ref().map(|wanted| self.inside(wanted, &incoming));
        let course = Course {
            incoming: &incoming,
            pattern: &route.pattern,
            create_graph: route.create_graph,
            hooks_of: match route.hooks {
                OwnHooks::CalledBefore(stage) => self.heads.get(stage as usize).copied(),
                OwnHooks::Called | OwnHooks::Only => None,
            },
            hooks_only: route.hooks == OwnHooks::Only,
            first_seq: route.oldest.checked_sub(1).map_or(self.boundary, |below| self.heads[below as usize] + 1),
            targets: targets.as_deref().map(|targets| (targets, self.boundary)),
            broken: None,
        };
        let pass = BackwardPass::record(&self.state, course)?;
        if let Some(e) = pass.refused {
            return Err(e);
        }
        let again = route.create_graph.then_some(self);
        let most = BACKWARD_GRAPHS + 2 * self.heads.len();
        let made = Arc::new(BackwardGraph::new(self, pass, route, again)?);
        if !made.holds(binding) {
            return Err(Error::trace(
                "a derivative made a number of a size that was another one when the traced function was recorded; give that \
                 argument the same size on every call, or use sizes() in the derivative",
            ));
        }
        let mut known = self.backward.lock();
        if known.len() >= most {
            known.remove(0);
        }
        known.push(Arc::clone(&made));
        Ok(made)
    }

    /// The edges inside of what is wanted.
    fn inside(&self, wanted: &Wanted, incoming: &[Incoming]) -> Vec<Edge> {
        let leads = |edge: &&Edge| matches!(self.by_edge.get(&key(edge)), Some(Some(i)) if wanted.edges.contains(i));
        let results = wanted.results.iter().map(|k| incoming[*k as usize].edge.clone());
        self.edges.iter().filter(leads).cloned().chain(results).collect()
    }

    /// The stage of the backward pass that begins with the gradient of a value.
    pub(crate) fn stage(&self, value: u32) -> u32 {
        let seq = self.seq(value);
        self.heads.partition_point(|head| *head < seq) as u32
    }

    /// The number of the node inside whose result a value is.
    pub(crate) fn seq(&self, value: u32) -> u64 {
        self.incoming.lock()[value as usize].edge.node().seq()
    }

    /// The results that a stage begins with, where the part has hooks on their gradients.
    pub(crate) fn hooked(&self, stage: u32) -> Option<Vec<u32>> {
        let head = *self.heads.get(stage as usize)?;
        let incoming = self.incoming.lock();
        let of_head = |k: &u32| incoming[*k as usize].edge.node().seq() == head;
        let results: Vec<u32> = self.results().filter(of_head).collect();
        let hooks = incoming[*results.first()? as usize].edge.node().hooks()?.get()?;
        (!hooks.is_empty()).then_some(results)
    }

    /// The values that are results.
    pub(crate) fn results(&self) -> std::ops::Range<u32> {
        0..self.results as u32
    }

    /// What gradients of a value can reach.
    pub(crate) fn behind(&self, value: u32) -> Arc<Behind> {
        let incoming = self.incoming.lock().clone();
        let from = &incoming[value as usize].edge;
        let mut known = self.behind.lock();
        let behind = known.entry(from.node().seq()).or_insert_with(|| {
            let (mut behind, mut seen) = (Behind::default(), HashSet::from([from.id()]));
            let mut open: Vec<&Edge> = from.node().edges().iter().flatten().collect();
            while let Some(edge) = open.pop() {
                if edge.node().seq() < self.boundary {
                    let exit = self.by_edge.get(&key(edge)).copied().flatten();
                    behind.edges.extend(exit.filter(|exit| !behind.edges.contains(exit)));
                } else if seen.insert(edge.id()) {
                    let of_node = self.results().filter(|k| incoming[*k as usize].edge.id() == edge.id());
                    behind.results.extend(of_node);
                    open.extend(edge.node().edges().iter().flatten());
                }
            }
            Arc::new(behind)
        });
        Arc::clone(behind)
    }

    /// The number of the value of this edge that gradients come in for.
    pub(super) fn number_of(&self, edge: &Edge, ty: &Type) -> Option<usize> {
        if edge.node().seq() < self.boundary {
            return None;
        }
        let mut incoming = self.incoming.lock();
        let known = incoming.iter().position(|known| key(&known.edge) == key(edge));
        Some(known.unwrap_or_else(|| {
            incoming.push(Incoming { edge: edge.clone(), ty: ty.clone() });
            incoming.len() - 1
        }))
    }

    /// The joint graph that a backward pass through this one is, where its gradients can be differentiated again, with the
    /// histories of these gradients. What a run of the pass has to save besides its results is added to `values`, and
    /// `whole` is the recording with what loops collect for that.
    pub(super) fn higher(
        &self,
        pass: &BackwardPass,
        values: &mut Vec<Value>,
        whole: &mut Graph,
    ) -> Result<(Arc<JointGraph>, Vec<History>)> {
        let gradients: Vec<Tensor> = pass.outgoing.iter().map(|(.., g)| g.clone()).collect();
        let mut base = pass.state.clone();
        base.sealed = 0;
        let capture = Rc::new(Capture(RefCell::new(base)));
        let ends = Ends::of(&capture, pass.begun, &gradients)?;
        let find = |known: &KnownEdges, edge: &Edge| -> Result<Option<Exit>> {
            if let Some((_, k)) = pass.leaves.iter().find(|(leaf, _)| leaf.id() == edge.id()) {
                return Ok(Some(Exit::Gradient(*k)));
            }
            if let Some(known) = self.by_edge.get(&key(edge)) {
                return Ok(known.map(Exit::Lower));
            }
            if let Some(exit) = known.captured(edge) {
                return Ok(Some(exit));
            }
            let Some(types) = &known.types else { return Ok(None) };
            match types.get(&key(edge)).and_then(|ty| self.number_of(edge, ty)) {
                Some(k) => Ok(Some(Exit::Incoming(k))),
                None if edge.node().seq() == 0 => Ok(None),
                None => Err(unknown_exit(edge)),
            }
        };
        let mut save = |_: &CaptureState, v: Value| match BackwardInput::of(self, pass, v) {
            Ok(BackwardInput::Gradient(k)) => SavedValue::Gradient(k),
            Ok(BackwardInput::Saved(i)) => SavedValue::Lower(i),
            _ => match values.iter().position(|known| *known == v) {
                Some(j) => SavedValue::Result(j),
                None => {
                    values.push(v);
                    SavedValue::Output
                }
            },
        };
        let like = Graph::new();
        let (histories, parts) = partition(capture.into_state(), pass.begun, ends, Some(&like), &find, &mut save)?;
        let parts = parts?;
        *whole = parts.full.state.replay.graphs().whole().clone();
        Ok((parts.into_joint_graph(pass.begun, &self.passes, Vec::new())?, histories))
    }
}

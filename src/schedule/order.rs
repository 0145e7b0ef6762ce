//! In which order the nodes of a graph run, which of its inputs a value may be a view of, and from what that follows:
//! when a result may be written over an input that later calls or iterations read anew, and from where on no check is left
//! that could fail. It makes no instructions.

use allotrope_ir::{Graph, LoopKind, NodeId, Op, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub struct Order {
    /// The nodes that outputs need, inputs left out.
    pub nodes: Vec<NodeId>,
    position: Vec<u32>,
    /// For each input, the last position that reads it; `u32::MAX` where an output does.
    last_read: Vec<u32>,
    uses: FxHashMap<Value, u32>,
    guard: Option<NodeId>,
}

const NEVER: u32 = 0;

impl Order {
    pub fn of(g: &Graph) -> Order {
        let mut live = vec![false; g.len()];
        let mut used = vec![false; g.len()];
        let mut uses: FxHashMap<Value, u32> = FxHashMap::default();
        // A check is asked even where nothing needs its value.
        let checks: Vec<NodeId> = g.nodes().filter(|id| holds_check(&g.node(*id).op)).collect();
        checks.iter().for_each(|id| live[id.0 as usize] = true);
        for o in g.outputs() {
            live[o.value.node.0 as usize] = true;
            *uses.entry(o.value).or_default() += 1;
        }
        for id in g.nodes().rev() {
            if live[id.0 as usize] {
                for v in g.operands(id) {
                    live[v.node.0 as usize] = true;
                    used[v.node.0 as usize] = true;
                    *uses.entry(v).or_default() += 1;
                }
            }
        }
        // Checks, in their order, and what they need come first, so that what follows may write states. What nothing
        // else needs runs last: updates of states come after the reads of their old values.
        let mut checked = vec![false; g.len()];
        checks.iter().for_each(|id| checked[id.0 as usize] = true);
        for id in g.nodes().rev().filter(|_| !checks.is_empty()) {
            if checked[id.0 as usize] {
                g.operands(id).iter().for_each(|v| checked[v.node.0 as usize] = true);
            }
        }
        let phase = |id: &NodeId| match (checked[id.0 as usize], used[id.0 as usize]) {
            (true, _) => 0,
            (_, true) => 1,
            _ => 2,
        };
        let mut nodes: Vec<NodeId> =
            g.nodes().filter(|id| live[id.0 as usize] && !matches!(g.node(*id).op, Op::Input)).collect();
        nodes.sort_by_key(phase);
        let mut position = vec![0; g.len()];
        for (i, id) in nodes.iter().enumerate() {
            position[id.0 as usize] = i as u32 + 1;
        }

        let mut aliases: FxHashMap<Value, SmallVec<[usize; 2]>> = FxHashMap::default();
        for (i, v) in g.input_values().enumerate() {
            aliases.insert(v, smallvec::smallvec![i]);
        }
        let mut last_read = vec![NEVER; g.inputs().len()];
        for &id in &nodes {
            let operands = g.operands(id);
            for v in &operands {
                for &i in aliases.get(v).map(|a| a.as_slice()).unwrap_or_default() {
                    last_read[i] = last_read[i].max(position[id.0 as usize]);
                }
            }
            match &g.node(id).op {
                Op::Broadcast(_)
                | Op::Reshape(_)
                | Op::Permute(_)
                | Op::Slice { .. }
                | Op::Flip(_)
                | Op::Window { .. }
                | Op::Check(_)
                | Op::Barrier(_) => {
                    let all = inputs_of(&aliases, &operands[..1]);
                    aliases.insert(Value { node: id, port: 0 }, all);
                }
                // A loop of no iterations, or a carry that never changes, gives back what it got.
                Op::Scan(s) => {
                    for port in 0..s.carries {
                        let all = inputs_of(&aliases, &operands[port..port + 1]);
                        aliases.insert(Value { node: id, port: port as u32 }, all);
                    }
                }
                // Its results may be views of its operands.
                Op::Fusion(_) => {
                    let all = inputs_of(&aliases, &operands);
                    let is_view = |v: Value, b: &Graph| !is_computed(&b.node(v.node).op);
                    if let Op::Fusion(b) = &g.node(id).op {
                        for (port, o) in b.outputs().iter().enumerate() {
                            if is_view(o.value, b) {
                                aliases.insert(Value { node: id, port: port as u32 }, all.clone());
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        for o in g.outputs() {
            for &i in aliases.get(&o.value).map(|a| a.as_slice()).unwrap_or_default() {
                last_read[i] = u32::MAX;
            }
        }
        let guard = checks.last().copied();
        Order { nodes, position, last_read, uses, guard }
    }

    /// The node after which all checks have been asked.
    pub fn guard(&self) -> Option<NodeId> {
        self.guard
    }

    /// Whether the node of `v` runs before all checks have been asked.
    pub fn is_before_guard(&self, v: Value) -> bool {
        self.guard.is_some_and(|guard| self.position[v.node.0 as usize] <= self.position[guard.0 as usize])
    }

    /// Times that a value is an operand or an output.
    pub fn uses(&self, v: Value) -> u32 {
        self.uses.get(&v).copied().unwrap_or(0)
    }

    /// The value, or the one that it is a reshape or a checked form of, where a node computes it (rather than being a view).
    pub fn computed(&self, g: &Graph, mut v: Value) -> Option<Value> {
        while let Op::Reshape(_) | Op::Check(_) | Op::Barrier(_) = g.node(v.node).op {
            v = g.operands(v.node)[0];
        }
        is_computed(&g.node(v.node).op).then_some(v)
    }

    /// Whether nothing reads input `i`.
    pub fn is_unread(&self, i: usize) -> bool {
        self.last_read[i] == NEVER
    }

    /// Whether computing `v` into the memory of input `i` spares every other read of the input's value. The node of
    /// `v` may itself still read it.
    pub fn may_overwrite(&self, v: Value, i: usize) -> bool {
        self.last_read[i] <= self.position[v.node.0 as usize]
    }
}

/// Whether running it may fail.
fn holds_check(op: &Op) -> bool {
    match op {
        Op::Check(_) => true,
        Op::Scan(s) => s.kind == LoopKind::Within || s.body.nodes().any(|id| holds_check(&s.body.node(id).op)),
        Op::Fusion(b) => b.nodes().any(|id| holds_check(&b.node(id).op)),
        Op::Input | Op::Const(_) | Op::Extent(_) | Op::Iota(_) | Op::Barrier(_) => false,
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => false,
        Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Flip(_) | Op::Window { .. } => {
            false
        }
        Op::Concat { .. } | Op::Reduce { .. } | Op::Matmul | Op::AddMatmul => false,
        Op::Gather { .. } | Op::Scatter { .. } | Op::ArgReduce { .. } | Op::ArgSort { .. } => false,
        Op::Recurrence { .. } | Op::OverlapAdd { .. } => false,
    }
}

fn inputs_of(aliases: &FxHashMap<Value, SmallVec<[usize; 2]>>, values: &[Value]) -> SmallVec<[usize; 2]> {
    let mut all: SmallVec<[usize; 2]> =
        values.iter().flat_map(|v| aliases.get(v).cloned().unwrap_or_default()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether the node makes its results, rather than giving views.
pub fn is_computed(op: &Op) -> bool {
    !matches!(
        op,
        Op::Input
            | Op::Const(_)
            | Op::Extent(_)
            | Op::Iota(_)
            | Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Flip(_)
            | Op::Window { .. }
            | Op::Check(_)
            | Op::Barrier(_)
    )
}

//! What a tensor keeps of the graph that made it: an edge to the node that knows the derivative.
//! It holds no derivative rule and never goes through the graph; `autograd` does.

use super::handle::{Inner, Tensor};
use super::hooks::Hooks;
use super::size::{Size, Sizes};
use super::view_op::ViewOp;
use crate::error::Result;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Gradients of the operands of one node, in order; none where no gradient flows.
pub(crate) type Grads = SmallVec<[Option<Tensor>; 2]>;

/// Gradients with the edges that they go along, in the order in which they are to be added up.
pub(crate) type Contributions = Vec<(Edge, Tensor)>;

/// Gradient of a view's operand from that of the view: the step, the operand's sizes, the gradient.
pub(crate) type ViewVjp = fn(&ViewOp, &Sizes, &Tensor) -> Result<Tensor>;

/// The next place in the order in which nodes are created; leaves come before everything.
pub(crate) fn next_seq() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A node of the tape.
pub(crate) trait GradFn: Send + Sync {
    /// Order of creation: a node's operands were made before it. Leaves have 0.
    fn seq(&self) -> u64;
    /// The name that printing shows, such as `MulBackward0`.
    fn name(&self) -> &str;
    /// One edge per operand; none where no gradient is wanted.
    fn edges(&self) -> &[Option<Edge>];
    /// Gradients of the operands, from those of the results. `me` is the edge to this node itself. Unless `keep`, the
    /// node frees what it saved for this.
    fn vjp(&self, me: &Edge, grads: &[Option<Tensor>], keep: bool) -> Result<Grads>;
    /// Set for a node that stands for a part of a program, which has no `vjp`.
    fn part(&self) -> Option<&dyn Part> {
        None
    }
    /// Whether it saved something that it can free.
    fn saves(&self) -> bool {
        false
    }
    /// Whether nobody knows what is behind: anything as old as this may be.
    fn is_ended(&self) -> bool {
        false
    }
    /// The tensor whose gradient is to be accumulated, for a leaf.
    fn leaf(&self) -> Option<Tensor> {
        None
    }
    /// The handle that a leaf's node has of its tensor is counted from now on.
    fn hide_leaf(&self) {}
    /// Where hooks on the gradients of the results are kept; a leaf's are with its tensor.
    fn hooks(&self) -> Option<&OnceLock<Arc<Hooks>>> {
        None
    }
    /// Whether it stands between a gradient of gradients and where that comes from, and hands it on.
    fn is_relay(&self) -> bool {
        false
    }
    /// Whether backward passes end here: a boundary of a part of the program that is differentiated on its own.
    fn is_boundary(&self) -> bool {
        false
    }
}

/// What lies behind a result of a part of a program.
#[derive(Default)]
pub(crate) struct Behind {
    /// Edges of the node, by number.
    pub(crate) edges: Vec<usize>,
    /// Other results of the part.
    pub(crate) results: Vec<u32>,
}

/// A part of a program that is one node of the tape but has the tape of its own inside. Its results may depend on one
/// another, so each is a place of the tape: a backward pass goes through the part in stages, from the newest to the oldest,
/// and each ends where the gradient of a result is known. Stages between which nobody looks at a gradient are passed at once.
/// There are results that nobody has, for gradients that come in later stages for what is no result.
pub(crate) trait Part {
    /// The stage that begins with the gradient of this result; the oldest is 0.
    fn stage(&self, output: u32) -> u32;
    /// The order of creation of the node inside that has this result.
    fn seq(&self, output: u32) -> u64;
    /// What gradients of this result can reach.
    fn behind(&self, output: u32) -> Arc<Behind>;
    /// Calls the hooks that the part itself has registered on the results that this stage begins with: where somebody outside
    /// looks at their gradients, that is after them. Whether there are any.
    fn call_hooks(&self, me: &Edge, grads: &mut [Option<Tensor>]) -> Result<bool>;
    /// Gradients for what is behind the stages down to `oldest`: for edges of the node, which may have several, and for results of
    /// older stages. Where `wanted` is given, only those for edges that it names are wanted.
    fn backward(
        &self,
        me: &Edge,
        grads: &[Option<Tensor>],
        hooks_called: bool,
        oldest: u32,
        wanted: Option<&dyn Fn(&Edge) -> bool>,
        keep: bool,
    ) -> Result<Contributions>;
}

/// Points at one result of a node. Dropping the last edge to a node takes a graph of any depth apart without recursion.
pub(crate) struct Edge {
    node: Option<Arc<dyn GradFn>>,
    /// Which result of the node.
    pub(crate) output: u32,
    /// Set where the tensor is the node's result repeated for an operation.
    sum_to_size: Option<Arc<SumToSize>>,
}

/// Where gradients go that come from a repeated tensor. No node of the tape stands for such a repetition, so whether
/// there is one, which the sizes tell, has no say in where gradients are added up, and in which order.
pub(crate) struct SumToSize {
    /// The sizes before.
    pub(crate) sizes: Sizes,
    /// Sums a gradient over what was repeated to these sizes.
    pub(crate) sum: fn(&Tensor, &[Size]) -> Result<Tensor>,
}

impl Edge {
    pub(crate) fn new(node: Arc<dyn GradFn>, output: u32) -> Edge {
        Edge { node: Some(node), output, sum_to_size: None }
    }

    pub(crate) fn node(&self) -> &Arc<dyn GradFn> {
        self.node.as_ref().expect("an edge has its node until it is dropped")
    }

    /// The hooks of the node, made where there are none yet; none where the node can't have any.
    pub(crate) fn hooks(&self) -> Option<&Arc<Hooks>> {
        Some(self.node().hooks()?.get_or_init(Arc::default))
    }

    /// `tensor`, which is this result, keeps its gradient.
    pub(super) fn retain(&self, tensor: Weak<Inner>) {
        if let Some(hooks) = self.hooks() {
            hooks.retain(self.output, tensor);
        }
    }

    /// Identity of the node.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(self.node()).cast::<()>() as usize
    }

    /// The same node's other result.
    pub(crate) fn to_output(&self, output: u32) -> Edge {
        Edge { node: self.node.clone(), output, sum_to_size: None }
    }

    /// The edge of the same result, repeated.
    pub(crate) fn repeated(mut self, to: SumToSize) -> Edge {
        // What was repeated before is summed in one step.
        self.sum_to_size.get_or_insert_with(|| Arc::new(to));
        self
    }

    /// Set where this is of a repeated tensor.
    pub(crate) fn sum_to_size(&self) -> Option<&Arc<SumToSize>> {
        self.sum_to_size.as_ref()
    }

    /// The edge of what was repeated, and how its gradient comes of one of this.
    pub(crate) fn split(mut self) -> (Edge, Option<Arc<SumToSize>>) {
        let to = self.sum_to_size.take();
        (self, to)
    }

    /// The opposite of [`Edge::split`].
    pub(crate) fn joined(mut self, to: Option<Arc<SumToSize>>) -> Edge {
        self.sum_to_size = to;
        self
    }
}

impl Clone for Edge {
    fn clone(&self) -> Edge {
        Edge { node: self.node.clone(), output: self.output, sum_to_size: self.sum_to_size.clone() }
    }
}

#[derive(Default)]
struct Condemned {
    nodes: Vec<Arc<dyn GradFn>>,
    draining: bool,
}

thread_local! {
    static CONDEMNED: RefCell<Condemned> = RefCell::default();
}

impl Drop for Edge {
    fn drop(&mut self) {
        let Some(node) = self.node.take() else { return };
        if Arc::strong_count(&node) > 1 {
            return;
        }
        // The node would drop its own edges inside its drop, and those theirs: queue it instead.
        let mut slot = Some(node);
        let first = CONDEMNED.try_with(|c| {
            let mut c = c.borrow_mut();
            c.nodes.extend(slot.take());
            !std::mem::replace(&mut c.draining, true)
        });
        if first != Ok(true) {
            return;
        }
        while let Some(node) = CONDEMNED.with(|c| {
            let mut c = c.borrow_mut();
            let node = c.nodes.pop();
            c.draining = node.is_some();
            node
        }) {
            drop(node);
        }
    }
}

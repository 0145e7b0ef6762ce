//! The handle that users hold, as it lies in memory: dtype, shape, strides and shared storage, or a value of a running
//! trace, with what belongs to its gradient. It never asks the mode and knows no operation: what does is an
//! `impl Tensor` in a folder above.

use super::grad_fn::{Edge, GradFn, ViewVjp};
use super::hooks::Hooks;
use super::size::{Sizes, small};
use super::storage::Storage;
use super::strides::{Strides, is_contiguous};
use super::tensor_type::TensorType;
use super::traced::Cell;
use super::view_op::ViewOp;
use crate::backend::Memory;
use crate::device::Device;
use crate::error::{Error, Result};
use allotrope_ir::{DType, Value};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// A multi-dimensional array of one dtype that remembers how it was computed.
///
/// Cloning is cheap and gives another handle to the same tensor. Views share storage; whatever computes makes a new
/// tensor, except the methods whose name ends in `_`.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]).requires_grad();
/// (&x * &x).sum().backward();
/// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [2.0, 4.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct Tensor(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    ty: TensorType,
    pub(super) body: Body,
    requires_grad: AtomicBool,
    meta: Mutex<Meta>,
    /// Set where this is a differentiable view.
    pub(super) view: Option<ViewOf>,
    /// Of a view: the in-place changes of its elements that its history knows of.
    pub(super) seen: AtomicU32,
    /// How many of the handles are such that no program gets at the tensor through them.
    hidden_handles: AtomicU32,
}

pub(crate) enum Body {
    Strided(Strided),
    /// Apart: a tensor that is computed eagerly is made, moved and dropped without its room.
    Traced(Box<Traced>),
}

/// Elements in storage.
pub(crate) struct Strided {
    pub(crate) storage: Arc<Storage>,
    pub(crate) strides: Strides,
    pub(crate) offset: usize,
}

impl Clone for Strided {
    #[inline]
    fn clone(&self) -> Strided {
        Strided { storage: Arc::clone(&self.storage), strides: small(&self.strides, |s| s), offset: self.offset }
    }
}

/// A value of a graph that is being captured.
pub(crate) struct Traced {
    /// Which builder of which capture the value belongs to.
    pub(crate) scope: u64,
    /// Where the trace runs.
    pub(crate) device: Device,
    /// Expression of each axis in the capture's table; see [`Size`].
    pub(crate) exprs: SmallVec<[u32; 4]>,
    /// Where the elements are.
    pub(crate) root: Root,
    /// How they are seen; none means as they are.
    pub(crate) path: Option<Arc<Link>>,
    /// How the elements would lie if the program ran eagerly, in the call that is recorded: what shares elements there
    /// shares them here.
    pub(crate) strides: Strides,
    /// How far its first element would be from that of the root, or of the storage of a captured one; none where a run decides
    /// that.
    pub(crate) offset: Option<isize>,
    /// Of a view: its value, and the version of the root that it belongs to.
    pub(crate) seen: Mutex<(Value, u32)>,
}

/// Where the elements of a traced tensor are, whatever it shows of them.
#[derive(Clone)]
pub(crate) enum Root {
    Traced(Arc<Cell>),
    /// A captured tensor, which is no view.
    External(TraceHandle),
}

impl Root {
    /// The elements of a traced value.
    pub(crate) fn cell(&self) -> Option<&Arc<Cell>> {
        match self {
            Root::Traced(cell) => Some(cell),
            Root::External(_) => None,
        }
    }

    /// In-place changes so far, those of a running capture left out.
    fn version(&self) -> u32 {
        match self {
            Root::Traced(cell) => cell.version.load(Ordering::Relaxed),
            Root::External(t) => t.stored_version(),
        }
    }
}

/// Whose elements a tensor shows, and gradients of whose elements it shares.
pub(crate) struct ViewOf {
    /// The tensor that is no view itself.
    pub(crate) base: HiddenHandle,
    pub(crate) path: Arc<Link>,
    /// A [`Creation`](super::view::Creation).
    pub(super) creation: AtomicU8,
}

/// One step of the way from a tensor to a view of it.
pub(crate) struct Link {
    /// The steps before; none at the base.
    pub(super) prev: Option<Arc<Link>>,
    pub(crate) op: ViewOp,
    /// The sizes of what the step was taken on.
    pub(crate) from: Sizes,
    /// The name of its node on the tape.
    pub(crate) name: &'static str,
    pub(crate) vjp: ViewVjp,
}

#[derive(Default)]
struct Meta {
    /// The node that made this tensor.
    grad_fn: Option<Edge>,
    /// The node that accumulates into this leaf.
    leaf: Option<Weak<dyn GradFn>>,
    grad: Option<Tensor>,
    /// The hooks that users registered on the gradient of this leaf.
    hooks: Option<Arc<Hooks>>,
    /// Whether this tensor, which is no leaf, keeps its gradient.
    retains_grad: bool,
}

impl Inner {
    pub(crate) fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }
}

impl Tensor {
    pub(crate) fn from_parts(ty: TensorType, body: Body) -> Tensor {
        Tensor(Arc::new(Inner {
            ty,
            body,
            requires_grad: AtomicBool::new(false),
            meta: Mutex::new(Meta::default()),
            view: None,
            seen: AtomicU32::new(0),
            hidden_handles: AtomicU32::new(0),
        }))
    }

    /// The element type.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.0.ty.dtype()
    }

    /// Where the elements are, and where operations on the tensor are computed. A value of a trace is where the trace runs.
    #[inline]
    pub fn device(&self) -> Device {
        match &self.0.body {
            Body::Strided(s) => s.storage.device(),
            Body::Traced(t) => t.device,
        }
    }

    /// The number of axes.
    #[inline]
    pub fn dim(&self) -> usize {
        self.0.ty.shape().len()
    }

    /// Whether both have one shape in every call, as far as can be said without asking a running trace.
    #[inline]
    pub(crate) fn surely_has_shape_of(&self, other: &Tensor) -> bool {
        let fixed = |t: &Traced| t.exprs.iter().all(|&e| e == 0);
        // Compared here: a call for a few bytes costs more.
        let (a, b) = (self.0.ty.shape(), other.0.ty.shape());
        a.len() == b.len()
            && a.iter().zip(b).all(|(m, n)| m == n)
            && match (&self.0.body, &other.0.body) {
                (Body::Strided(_), Body::Strided(_)) => true,
                (Body::Traced(a), Body::Traced(b)) => a.exprs == b.exprs,
                (Body::Traced(t), Body::Strided(_)) | (Body::Strided(_), Body::Traced(t)) => fixed(t),
            }
    }

    /// The dtype and the sizes in this call.
    #[inline]
    pub(crate) fn ty(&self) -> &TensorType {
        &self.0.ty
    }

    /// The numbers of the shape in this call, without turning symbols into numbers.
    #[inline]
    pub(crate) fn shape_hint(&self) -> &[usize] {
        self.0.ty.shape()
    }

    /// Whether the elements lie in row-major order without gaps, or would if the program ran eagerly.
    pub(crate) fn is_dense(&self) -> bool {
        is_contiguous(self.shape_hint(), self.laid_out())
    }

    /// The strides, or those that the tensor would have if the program ran eagerly.
    #[inline]
    pub(crate) fn laid_out(&self) -> &[isize] {
        match &self.0.body {
            Body::Strided(s) => &s.strides,
            Body::Traced(t) => &t.strides,
        }
    }

    #[inline]
    pub(crate) fn body(&self) -> &Body {
        &self.0.body
    }

    /// The storage of a tensor that has one.
    #[inline]
    pub(crate) fn strided(&self) -> Option<&Strided> {
        match &self.0.body {
            Body::Strided(s) => Some(s),
            Body::Traced(_) => None,
        }
    }

    #[inline]
    pub(crate) fn traced(&self) -> Option<&Traced> {
        match &self.0.body {
            Body::Strided(_) => None,
            Body::Traced(t) => Some(t),
        }
    }

    /// Whether both show elements of one piece of memory, or would if the program ran eagerly.
    pub(crate) fn shares_elements_of(&self, other: &Tensor) -> bool {
        let storage = |t: &Tensor| t.strided().map(|s| Arc::as_ptr(&s.storage));
        match (self.root(), other.root()) {
            (Some(Root::Traced(a)), Some(Root::Traced(b))) => Arc::ptr_eq(a, b),
            (Some(Root::External(a)), Some(Root::External(b))) => storage(a) == storage(b),
            (Some(Root::External(a)), None) => storage(a) == storage(other),
            (None, Some(Root::External(b))) => storage(self) == storage(b),
            (None, None) => storage(self) == storage(other),
            (Some(Root::Traced(_)), _) | (_, Some(Root::Traced(_))) => false,
        }
    }

    fn root(&self) -> Option<&Root> {
        self.traced().map(|t| &t.root)
    }

    /// Identity of the tensor, as long as it lives.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// The number of handles to this tensor.
    #[inline]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// `axis` counted from 0, for `op`'s message otherwise.
    pub(crate) fn axis(&self, op: &'static str, axis: isize) -> Result<usize> {
        let n = self.dim() as isize;
        let a = if axis < 0 { axis + n } else { axis };
        match (0..n).contains(&a) {
            true => Ok(a as usize),
            false => Err(Error::operands(
                op,
                format!("axis {axis} does not exist in shape {:?}; it may be {} to {}", self.shape_hint(), -n, n - 1),
            )),
        }
    }

    /// Whether it asks for gradients itself; a view whose base was changed in place since has yet to look at that.
    #[inline]
    pub(crate) fn stored_requires_grad(&self) -> bool {
        self.0.requires_grad.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn store_requires_grad(&self, on: bool) {
        self.0.requires_grad.store(on, Ordering::Relaxed);
    }

    /// Whether a node made this tensor.
    pub(crate) fn has_grad_fn(&self) -> bool {
        self.0.meta.lock().grad_fn.is_some()
    }

    /// How often the elements were changed in place, what a running capture has recorded left out.
    pub(crate) fn stored_version(&self) -> u32 {
        match &self.0.body {
            Body::Strided(s) => s.storage.version(),
            Body::Traced(t) => t.root.version(),
        }
    }

    /// Another tensor over the same elements, without history.
    pub(crate) fn same_elements(&self) -> Tensor {
        let body = match &self.0.body {
            Body::Strided(s) => Body::Strided(s.clone()),
            Body::Traced(t) => Body::Traced(Box::new(Traced {
                scope: t.scope,
                device: t.device,
                exprs: t.exprs.clone(),
                root: t.root.clone(),
                path: t.path.clone(),
                strides: t.strides.clone(),
                offset: t.offset,
                seen: Mutex::new(*t.seen.lock()),
            })),
        };
        Tensor::from_parts(self.0.ty.clone(), body)
    }

    pub(crate) fn stored_grad(&self) -> Option<Tensor> {
        self.0.meta.lock().grad.clone()
    }

    pub(crate) fn has_grad(&self) -> bool {
        self.0.meta.lock().grad.is_some()
    }

    pub(crate) fn take_grad(&self) -> Option<Tensor> {
        self.0.meta.lock().grad.take()
    }

    /// The elements, where this handle is the only one to them.
    pub(crate) fn own_memory(&mut self) -> Option<&mut Memory> {
        match &mut Arc::get_mut(&mut self.0)?.body {
            Body::Strided(s) if s.offset == 0 => Arc::get_mut(&mut s.storage).map(Storage::memory_mut),
            _ => None,
        }
    }

    pub(crate) fn store_grad(&self, grad: Option<Tensor>) {
        let old = std::mem::replace(&mut self.0.meta.lock().grad, grad);
        drop(old);
    }

    /// The edge to the node that made this tensor.
    pub(crate) fn grad_fn(&self) -> Option<Edge> {
        self.0.meta.lock().grad_fn.clone()
    }

    /// Says which node made this tensor; none makes it a leaf.
    pub(crate) fn set_grad_fn(&self, edge: Option<Edge>) {
        self.0.requires_grad.store(edge.is_some(), Ordering::Relaxed);
        let mut meta = self.0.meta.lock();
        let old = std::mem::replace(&mut meta.grad_fn, edge);
        // A tensor that is changed in place keeps the gradient of what it is now.
        if meta.retains_grad {
            if let Some(hooks) = old.as_ref().and_then(|e| e.node().hooks()?.get()) {
                hooks.release(Arc::as_ptr(&self.0));
            }
            meta.retains_grad = meta.grad_fn.is_some();
            if let Some(edge) = &meta.grad_fn {
                edge.retain(Arc::downgrade(&self.0));
            }
        }
        drop(meta);
        drop(old);
    }

    /// The tensor, which is no leaf, keeps its gradient from now on.
    pub(crate) fn set_retains_grad(&self) {
        let mut meta = self.0.meta.lock();
        if let Some(edge) = meta.grad_fn.clone()
            && !std::mem::replace(&mut meta.retains_grad, true)
        {
            edge.retain(Arc::downgrade(&self.0));
        }
    }

    /// Whether the tensor, which is no leaf, keeps its gradient: [`Tensor::retain_grad`] asked for it.
    pub fn retains_grad(&self) -> bool {
        self.0.meta.lock().retains_grad
    }

    /// The hooks of this leaf; made where there is nothing yet and `make` says so.
    pub(crate) fn leaf_hooks(&self, make: bool) -> Option<Arc<Hooks>> {
        let mut meta = self.0.meta.lock();
        if meta.hooks.is_none() && make {
            meta.hooks = Some(Arc::default());
        }
        meta.hooks.clone()
    }

    /// The node that accumulates into this leaf, where there is one now.
    pub(super) fn known_leaf_node(&self) -> Option<Arc<dyn GradFn>> {
        self.0.meta.lock().leaf.as_ref().and_then(Weak::upgrade)
    }

    /// The node that accumulates into this leaf, made by `make` when there is none yet.
    pub(crate) fn leaf_node(&self, make: impl FnOnce() -> Arc<dyn GradFn>) -> Arc<dyn GradFn> {
        let mut meta = self.0.meta.lock();
        meta.leaf.as_ref().and_then(Weak::upgrade).unwrap_or_else(|| {
            let node = make();
            meta.leaf = Some(Arc::downgrade(&node));
            node
        })
    }
}

// Handles through which no program gets at a tensor, counted apart: those of traces, and those inside of views and of the
// tape. Where a tensor has no others, nobody can be reading it any more, and a trace that does has become wrong.

/// A handle that keeps a tensor alive for a trace, and does not count as somebody's who could use it.
pub(crate) struct TraceHandle(Tensor);

impl TraceHandle {
    pub(crate) fn new(tensor: Tensor) -> TraceHandle {
        // A handle more than is counted only makes the tensor seem to be in use.
        if tensor.0.hidden_handles.fetch_add(1, Ordering::AcqRel) == 0 {
            tensor.first_kept();
        }
        TraceHandle(tensor)
    }

    /// Whether anybody can get at this handle: at the tensor itself, not at another one that shows its elements.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.holders() > self.0.0.hidden_handles.load(Ordering::Acquire) as usize
    }
}

impl Clone for TraceHandle {
    fn clone(&self) -> TraceHandle {
        TraceHandle::new(self.0.clone())
    }
}

impl Deref for TraceHandle {
    type Target = Tensor;
    fn deref(&self) -> &Tensor {
        &self.0
    }
}

impl Drop for TraceHandle {
    fn drop(&mut self) {
        self.0.0.hidden_handles.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether anything in this process is traced.
static TRACES: AtomicBool = AtomicBool::new(false);

/// From now on every hidden handle is counted.
pub(crate) fn count_hidden_handles() {
    TRACES.store(true, Ordering::Relaxed);
}

/// The handle that a view has of its base, or the tape of what it saved. Eager code makes many; where nothing is traced they
/// are not counted, and need not be.
pub(crate) struct HiddenHandle {
    tensor: Tensor,
    counted: AtomicBool,
}

impl HiddenHandle {
    #[inline]
    pub(crate) fn new(tensor: Tensor) -> HiddenHandle {
        let handle = HiddenHandle { tensor, counted: AtomicBool::new(false) };
        if TRACES.load(Ordering::Relaxed) {
            handle.count();
        }
        handle
    }

    /// From now on the handle is counted.
    pub(crate) fn count(&self) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.tensor.0.hidden_handles.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Deref for HiddenHandle {
    type Target = Tensor;
    #[inline]
    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl Drop for HiddenHandle {
    #[inline]
    fn drop(&mut self) {
        if *self.counted.get_mut() {
            self.tensor.0.hidden_handles.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Tensor {
    /// Whether a trace may keep the tensor; if not, none does.
    #[inline]
    pub(crate) fn is_kept_by_trace(&self) -> bool {
        self.0.hidden_handles.load(Ordering::Relaxed) > 0
    }

    /// A trace keeps the tensor: what was made of it before anything was traced is counted now, as far as it is known.
    fn first_kept(&self) {
        if let Some(view) = &self.0.view {
            view.base.count();
        }
        if let Some(leaf) = self.known_leaf_node() {
            leaf.hide_leaf();
        }
    }
}

//! The handle that users hold: dtype, shape, strides and shared storage, or a value of a running trace.
//! It knows no derivative rule and no operation; those are `ops`, and `autograd` walks the graph.

pub(crate) mod again;
pub mod create;
pub(crate) mod draw;
pub(crate) mod eval;
pub(crate) mod grad_fn;
pub(crate) mod hooks;
pub(crate) mod named;
mod ndarray;
mod print;
pub mod random;
pub(crate) mod recorder;
pub(crate) mod setting;
pub(crate) mod size;
pub(crate) mod storage;
pub(crate) mod trace_handle;
pub(crate) mod view;

pub use self::ndarray::NdarrayGuard;
pub use crate::backend::FromElement;
pub use hooks::HookHandle;
pub use print::{PrintOptions, print_options, set_print_options, with_print_options};
pub use random::{Generator, manual_seed};
pub use setting::{Flag, Setting};
pub use size::{Size, Sizes};

use crate::backend::Memory;
use crate::device::Device;
use crate::error::{Error, Result, must, raise};
use allotrope_ir::{DType, Value};
use grad_fn::{Edge, GradFn};
use hooks::Hooks;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use storage::Storage;

/// Sizes of axes as numbers.
pub(crate) type Dims = SmallVec<[usize; 4]>;
/// Elements between neighbours along each axis.
pub(crate) type Strides = SmallVec<[isize; 4]>;

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
    dtype: DType,
    shape: Dims,
    body: Body,
    requires_grad: AtomicBool,
    meta: Mutex<Meta>,
    /// Set where this is a differentiable view.
    view: Option<view::ViewOf>,
    /// In-place changes of the history of a tensor that is no view.
    history: AtomicU32,
    /// Of a view: the history of its base that its own belongs to.
    seen: AtomicU32,
    /// How many of the handles are those of traces.
    kept: trace_handle::Count,
}

pub(crate) enum Body {
    Strided(Strided),
    Traced(Traced),
}

/// Elements in storage.
#[derive(Clone)]
pub(crate) struct Strided {
    pub(crate) storage: Arc<Storage>,
    pub(crate) strides: Strides,
    pub(crate) offset: usize,
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
    pub(crate) root: recorder::Root,
    /// How they are seen; none means as they are.
    pub(crate) path: Option<Arc<view::Link>>,
    /// How the elements would lie if the program ran eagerly, in the call that is recorded: what shares elements there
    /// shares them here.
    pub(crate) strides: Strides,
    /// Of a view: its value, and the version of the root that it belongs to.
    pub(crate) seen: Mutex<(Value, u32)>,
}

#[derive(Default)]
struct Meta {
    /// The node that made this tensor.
    grad_fn: Option<Edge>,
    /// The node that accumulates into this leaf.
    leaf: Option<Weak<dyn GradFn>>,
    grad: Option<Tensor>,
    /// What users hung on the gradient of this leaf.
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
    pub(crate) fn from_parts(dtype: DType, shape: Dims, body: Body) -> Tensor {
        Tensor(Arc::new(Inner {
            dtype,
            shape,
            body,
            requires_grad: AtomicBool::new(false),
            meta: Mutex::new(Meta::default()),
            view: None,
            history: AtomicU32::new(0),
            seen: AtomicU32::new(0),
            kept: trace_handle::Count::default(),
        }))
    }

    /// The element type.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.0.dtype
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
        self.0.shape.len()
    }

    /// The number of elements along each axis, as numbers.
    ///
    /// Inside a trace this turns symbolic dimensions into the numbers that they have now: calls with others run
    /// another compiled variant. [`Tensor::sizes`] keeps them symbolic.
    #[track_caller]
    pub fn shape(&self) -> &[usize] {
        if let Body::Traced(_) = self.0.body {
            recorder::specialize(&self.sizes(), "shape() was asked for as numbers");
        }
        &self.0.shape
    }

    /// The number of elements along `axis` (negative counts from the end), as a number; see [`Tensor::shape`].
    ///
    /// # Panics
    /// When the axis does not exist.
    #[track_caller]
    pub fn size(&self, axis: isize) -> usize {
        let axis = must(self.axis("size", axis));
        if let Body::Traced(_) = self.0.body {
            recorder::specialize(&[self.sizes()[axis]], "size() was asked for as a number");
        }
        self.0.shape[axis]
    }

    /// The number of elements along each axis, symbolic inside a trace.
    pub fn sizes(&self) -> Sizes {
        match &self.0.body {
            Body::Strided(_) => recorder::sizes_of(&self.0.shape),
            // Kept from a trace that has ended, it has no more than these numbers.
            Body::Traced(_) if !recorder::is_active() => recorder::sizes_of(&self.0.shape),
            Body::Traced(t) => {
                let capture = recorder::capture_of(t.scope);
                let mut sizes: Sizes = size::small(&self.0.shape, Size::from);
                for (size, &number) in sizes.iter_mut().zip(&t.exprs).filter(|(_, number)| **number != 0) {
                    *size = Size::with_expr(size.hint(), size::Expr { number, capture });
                }
                sizes
            }
        }
    }

    /// Whether both have one shape in every call, as far as can be said without asking a running trace.
    #[inline]
    pub(crate) fn surely_has_shape_of(&self, other: &Tensor) -> bool {
        let fixed = |t: &Traced| t.exprs.iter().all(|&e| e == 0);
        self.0.shape == other.0.shape
            && match (&self.0.body, &other.0.body) {
                (Body::Strided(_), Body::Strided(_)) => true,
                (Body::Traced(a), Body::Traced(b)) => a.exprs == b.exprs,
                (Body::Traced(t), Body::Strided(_)) | (Body::Strided(_), Body::Traced(t)) => fixed(t),
            }
    }

    /// The number of elements, as a number; see [`Tensor::shape`].
    #[track_caller]
    pub fn numel(&self) -> usize {
        self.shape().iter().product()
    }

    /// The numbers of the shape in this call, without turning symbols into numbers.
    #[inline]
    pub(crate) fn shape_hint(&self) -> &[usize] {
        &self.0.shape
    }

    /// Whether both have one shape; a trace holds for calls with the same answer.
    #[track_caller]
    pub fn same_shape(&self, other: &Tensor) -> bool {
        self.has_sizes(&other.sizes())
    }

    /// Whether the sizes are these; a trace holds for calls with the same answer.
    #[track_caller]
    pub fn has_sizes(&self, sizes: &[Size]) -> bool {
        self.dim() == sizes.len() && self.sizes().iter().zip(sizes).all(|(a, b)| recorder::compare(*a, *b))
    }

    /// Whether axis `i`, counted from 0, has this size; a trace holds for calls with the same answer.
    #[track_caller]
    pub fn has_size(&self, i: usize, size: Size) -> bool {
        recorder::compare(self.sizes()[i], size)
    }

    /// Elements between neighbours along each axis. Inside a trace this turns symbolic dimensions into numbers, and calls
    /// whose arguments lie otherwise run another compiled variant.
    #[track_caller]
    pub fn strides(&self) -> SmallVec<[isize; 4]> {
        match &self.0.body {
            Body::Strided(s) => s.strides.clone(),
            Body::Traced(t) => {
                recorder::specialize(&self.sizes(), "strides() was asked for");
                recorder::active().inspect(|r| r.layout_asked(None));
                t.strides.clone()
            }
        }
    }

    /// Whether the elements lie in row-major order without gaps; a running trace holds for calls with the same answer.
    #[track_caller]
    pub fn is_contiguous(&self) -> bool {
        let t = match &self.0.body {
            Body::Strided(s) => return is_contiguous(&self.0.shape, &s.strides),
            Body::Traced(t) => t,
        };
        let dense = self.is_dense();
        if let Some(r) = recorder::active() {
            match (&t.path, dense) {
                (None, _) => r.layout_asked(Some(self)),
                (Some(_), _) => {
                    // It may depend on which axes have one element.
                    recorder::specialize(&self.sizes(), "is_contiguous() was asked for");
                    r.layout_asked(None);
                }
            }
        }
        dense
    }

    /// Whether the elements lie in row-major order without gaps, or would if the program ran eagerly.
    pub(crate) fn is_dense(&self) -> bool {
        is_contiguous(&self.0.shape, self.laid_out())
    }

    /// The strides, or those that the tensor would have if the program ran eagerly.
    pub(crate) fn laid_out(&self) -> &[isize] {
        match &self.0.body {
            Body::Strided(s) => &s.strides,
            Body::Traced(t) => &t.strides,
        }
    }

    pub(crate) fn body(&self) -> &Body {
        &self.0.body
    }

    /// The storage of a tensor that has one.
    pub(crate) fn strided(&self) -> Option<&Strided> {
        match &self.0.body {
            Body::Strided(s) => Some(s),
            Body::Traced(_) => None,
        }
    }

    pub(crate) fn traced(&self) -> Option<&Traced> {
        match &self.0.body {
            Body::Strided(_) => None,
            Body::Traced(t) => Some(t),
        }
    }

    /// Identity of the tensor, as long as it lives.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// The number of handles to this tensor.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Whether both handles mean the same tensor; a running trace holds for calls with the same answer.
    pub fn is_same(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || recorder::active().is_some_and(|r| r.is_same(self, other))
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

    /// Whether gradients flow to this tensor; a running trace holds for calls with the same answer.
    #[inline]
    pub fn is_requires_grad(&self) -> bool {
        let answer = match self.stale_view() {
            None => self.0.requires_grad.load(Ordering::Relaxed),
            Some(v) => return v.base.is_requires_grad(),
        };
        if recorder::is_active() {
            self.note_wish(answer);
        }
        answer
    }

    #[cold]
    fn note_wish(&self, answer: bool) {
        if let Some(r) = recorder::active().filter(|_| self.strided().is_some()) {
            r.wish_asked(self, answer);
        }
    }

    /// Whether the user made it, so that `backward` accumulates into its `grad`.
    pub fn is_leaf(&self) -> bool {
        self.asks_history();
        !self.is_requires_grad() || self.0.meta.lock().grad_fn.is_none()
    }

    fn asks_history(&self) {
        if let (Body::Traced(_), Some(r)) = (&self.0.body, recorder::active()) {
            r.asks_history(self);
        }
    }

    /// Asks for gradients, and returns the tensor: `let w = randn(&[3]).requires_grad();`
    ///
    /// # Panics
    /// When the dtype is not a float.
    #[track_caller]
    pub fn requires_grad(self) -> Tensor {
        self.set_requires_grad(true);
        self
    }

    /// Asks for gradients from now on, or for none.
    ///
    /// # Panics
    /// When the dtype is not a float, or the tensor was computed from others (then `detach` it instead).
    #[track_caller]
    pub fn set_requires_grad(&self, on: bool) {
        if on && !self.dtype().is_float() {
            let text =
                format!("requires_grad: only floating-point tensors have gradients, this one is {}", self.dtype());
            raise(Error::Argument(text));
        }
        if !on && !self.is_leaf() {
            let text = "requires_grad: this tensor was computed from others; detach() gives one that needs no gradient";
            raise(Error::Argument(text.into()));
        }
        if let Some(r) = recorder::active().filter(|_| self.strided().is_some())
            && on != self.0.requires_grad.load(Ordering::Relaxed)
            && !r.is_new(self)
        {
            raise(Error::Trace(
                "requires_grad: the tensor is from outside of the closure that is recorded, and no later call would change it; do it outside, or to what detach() gives".into(),
            ));
        }
        self.0.requires_grad.store(on, Ordering::Relaxed);
    }

    /// Asks for gradients from now on, or for none; PyTorch's name of [`Tensor::set_requires_grad`], to be chained.
    ///
    /// # Panics
    /// As [`Tensor::set_requires_grad`].
    #[track_caller]
    pub fn requires_grad_(&self, on: bool) -> &Tensor {
        self.set_requires_grad(on);
        self
    }

    /// The name of the operation's derivative that made this tensor, such as `MulBackward0`; none for a leaf.
    pub fn grad_fn_name(&self) -> Option<String> {
        self.asks_history();
        self.grad_fn().map(|edge| edge.node().name().to_string())
    }

    /// The gradient that `backward` has accumulated, if any. A tensor that is no leaf has one only where
    /// [`Tensor::retain_grad`] asked for it, or where `backward` was told to accumulate into it.
    pub fn grad(&self) -> Option<Tensor> {
        match recorder::active() {
            Some(r) => r.grad(self),
            None => self.stored_grad(),
        }
    }

    /// Replaces the accumulated gradient; PyTorch's `zero_grad` sets none.
    ///
    /// # Panics
    /// When the gradient does not have the dtype and shape of the tensor.
    #[track_caller]
    pub fn set_grad(&self, grad: Option<Tensor>) {
        if let Some(g) = &grad
            && (g.dtype() != self.dtype() || !g.same_shape(self))
        {
            raise(Error::Argument(format!(
                "set_grad: the gradient must be {}{:?} as the tensor is, got {}{:?}",
                self.dtype(),
                self.shape_hint(),
                g.dtype(),
                g.shape_hint()
            )));
        }
        match recorder::active() {
            Some(r) => r.set_grad(self, grad),
            None => self.store_grad(grad),
        }
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

    /// What hangs on the gradient of this leaf; made where there is nothing yet and `make` says so.
    pub(crate) fn leaf_hooks(&self, make: bool) -> Option<Arc<Hooks>> {
        let mut meta = self.0.meta.lock();
        if meta.hooks.is_none() && make {
            meta.hooks = Some(Arc::default());
        }
        meta.hooks.clone()
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

    /// How often the elements were changed in place.
    pub(crate) fn version(&self) -> u32 {
        if let Some(r) = recorder::active() {
            return r.version(self);
        }
        match &self.0.body {
            Body::Strided(s) => s.storage.version(),
            Body::Traced(t) => t.root.version(),
        }
    }

    /// Another tensor over the same elements, without history.
    pub(crate) fn alias(&self) -> Tensor {
        let body = match &self.0.body {
            Body::Strided(s) => Body::Strided(s.clone()),
            Body::Traced(t) => Body::Traced(Traced {
                scope: t.scope,
                device: t.device,
                exprs: t.exprs.clone(),
                root: t.root.clone(),
                path: t.path.clone(),
                strides: t.strides.clone(),
                seen: Mutex::new(*t.seen.lock()),
            }),
        };
        let alias = Tensor::from_parts(self.dtype(), self.0.shape.clone(), body);
        if recorder::is_active()
            && alias.strided().is_some()
            && let Some(r) = recorder::active()
        {
            r.note_new(&alias);
        }
        alias
    }

    /// Another tensor with the elements and the history that this one has now, whatever is done to it in place later.
    ///
    /// # Errors
    /// When the elements can't be had: a value of a trace that has ended.
    pub(crate) fn snapshot(&self) -> Result<Tensor> {
        let copy = match recorder::active() {
            None => eval::copied(self)?,
            // A cast to the dtype that it has is a value of its own, and the passes take it out again.
            Some(r) => r.record(&allotrope_ir::Op::Cast(self.dtype()), &[recorder::Operand::Tensor(self)])?,
        };
        copy.set_grad_fn(self.grad_fn());
        Ok(copy)
    }

    /// All elements in row-major order.
    ///
    /// # Panics
    /// When `T` is not the dtype, and inside a trace, where no element is known yet.
    #[track_caller]
    pub fn to_vec<T: FromElement>(&self) -> Vec<T> {
        must(self.read_elements("to_vec()", Location::caller()))
    }

    /// The only element.
    ///
    /// # Panics
    /// As [`Tensor::try_item`] fails.
    #[track_caller]
    pub fn item<T: FromElement>(&self) -> T {
        must(self.item_at(Location::caller()))
    }

    /// The only element.
    ///
    /// # Errors
    /// When there is not exactly one, when `T` is not the dtype, and inside a trace, where it is not known yet.
    #[track_caller]
    pub fn try_item<T: FromElement>(&self) -> Result<T> {
        self.item_at(Location::caller())
    }

    fn item_at<T: FromElement>(&self, at: &'static Location<'static>) -> Result<T> {
        let n: usize = self.shape_hint().iter().product();
        if n != 1 {
            return Err(Error::operands(
                "item",
                format!("a tensor of shape {:?} has {n} elements, not one", self.shape_hint()),
            ));
        }
        Ok(self.read_elements("item()", at)?[0])
    }

    fn read_elements<T: FromElement>(&self, what: &str, at: &'static Location<'static>) -> Result<Vec<T>> {
        self.check_readable::<T>(what, at)?;
        eval::elements(self)
    }

    /// That the elements are of type `T`, and known.
    fn check_readable<T: FromElement>(&self, what: &str, at: &'static Location<'static>) -> Result<()> {
        if T::DTYPE != self.dtype() {
            return Err(Error::Argument(format!("{what}: the tensor is {}, asked for as {}", self.dtype(), T::DTYPE)));
        }
        match recorder::active() {
            Some(r) => Err(r.host_read(what, at)),
            None => Ok(()),
        }
    }
}

pub(crate) use crate::backend::is_dense as is_contiguous;

/// Strides of a tensor of this shape that lies in row-major order without gaps.
pub(crate) fn contiguous_strides(shape: &[usize]) -> Strides {
    let mut strides: Strides = size::small(shape, |_| 1);
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1].max(1) as isize;
    }
    strides
}

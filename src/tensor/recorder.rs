//! The slot of this thread where a trace installs itself, and what it must be able to do.
//! Nothing is recorded here; outside a trace every function is the plain one.

use super::draw::Kind;
use super::grad_fn::Edge;
use super::setting::HostValue;
use super::view::Link;
use super::{Generator, Size, Sizes, Tensor};
use crate::Result;
use crate::device::Device;
use allotrope_ir::{DType, NodeId, Op, Scalar, Value};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Arithmetic on sizes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum SizeOp {
    Add,
    Sub,
    Mul,
}

/// An operand of an elementwise primitive: a tensor, or one number that stands for a tensor full of it.
#[derive(Copy, Clone)]
pub(crate) enum Operand<'a> {
    Tensor(&'a Tensor),
    Scalar(Scalar),
}

/// The elements of one traced value, which in-place operations replace.
pub(crate) struct Cell {
    /// Which builder of which capture it belongs to.
    pub(crate) scope: u64,
    value: AtomicU64,
    /// In-place changes so far.
    pub(crate) version: AtomicU32,
}

impl Cell {
    pub(crate) fn new(scope: u64, value: Value) -> Cell {
        Cell { scope, value: AtomicU64::new(packed(value)), version: AtomicU32::new(0) }
    }

    pub(crate) fn value(&self) -> Value {
        let bits = self.value.load(Ordering::Relaxed);
        Value { node: NodeId((bits >> 32) as u32), port: bits as u32 }
    }

    /// The elements are `value` from here on; gives what they were.
    pub(crate) fn replace(&self, value: Value) -> Value {
        let before = self.value();
        self.value.store(packed(value), Ordering::Relaxed);
        before
    }
}

fn packed(value: Value) -> u64 {
    u64::from(value.node.0) << 32 | u64::from(value.port)
}

/// Where the elements of a traced tensor are, whatever it shows of them.
#[derive(Clone)]
pub(crate) enum Root {
    Traced(Arc<Cell>),
    /// A tensor from outside, which is no view.
    Outside(Tensor),
}

impl Root {
    /// In-place changes so far, outside of a capture.
    pub(crate) fn version(&self) -> u32 {
        match self {
            Root::Traced(cell) => cell.version.load(Ordering::Relaxed),
            Root::Outside(t) => t.version(),
        }
    }
}

/// Builders that one capture can have.
pub(crate) const SCOPES_PER_CAPTURE: u64 = 1 << 24;

/// Names the capture of a builder.
pub(crate) fn capture_of(scope: u64) -> u32 {
    (scope / SCOPES_PER_CAPTURE) as u32
}

/// A loop that is being recorded: what its body sees.
pub(crate) struct ScanBody {
    pub(crate) carries: Vec<Tensor>,
    pub(crate) xs: Vec<Tensor>,
    /// Names the body, for the loop that walks back through it.
    pub(crate) scope: u64,
    /// The number of steps that what is collected has room for.
    pub(crate) limit: Size,
}

/// How many steps a loop has that is recorded.
#[derive(Clone, Copy)]
pub(crate) enum Iterations<'a> {
    /// One for each element along the first axes.
    All(Size),
    /// As many as `n` says, an `i64[]` between 0 and `limit`.
    Count { n: &'a Tensor, limit: Size },
    /// As long as the first carry, a `bool[]`, is true.
    While,
}

/// A loop to record.
pub(crate) struct ScanSpec<'a> {
    pub(crate) carries: &'a [Tensor],
    pub(crate) xs: &'a [Tensor],
    pub(crate) rounds: Iterations<'a>,
    pub(crate) reverse: bool,
    /// The body that this loop walks back through, step by step: values of it may be used.
    pub(crate) mirror: Option<u64>,
}

/// Random numbers that every call draws.
pub(crate) struct Draw<'a> {
    pub(crate) generator: &'a Generator,
    pub(crate) kind: &'a Kind,
    pub(crate) sizes: &'a [Size],
    /// One that the kind can draw.
    pub(crate) dtype: DType,
    /// The numbers that were drawn before, by what the recorder called them, where a part of the program is computed again.
    pub(crate) again: Option<usize>,
}

/// What a capture must do for the tensors of its thread.
pub(crate) trait Recorder {
    /// That `op` is recorded for the device that the whole recording runs on.
    ///
    /// # Errors
    /// When it is for another one.
    fn runs_on(&self, op: &'static str, device: Device) -> Result<()>;
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size;
    fn proven_equal(&self, a: Size, b: Size) -> bool;
    /// From here on the two are the same; calls where they are not run another variant.
    fn unify(&self, a: Size, b: Size, at: &'static Location<'static>);
    /// The size becomes the number that it is in this call, because the program asked for it.
    fn specialize(&self, size: Size, why: &str, at: &'static Location<'static>);
    /// Calls with a smaller size run another variant.
    fn at_least(&self, size: Size, least: usize);
    /// The size divided by `by`, where that is exact in every call.
    fn divided(&self, size: Size, by: usize) -> Option<Size>;
    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor>;
    /// A tensor full of `value`.
    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor>;
    /// A size as an `i64` tensor without axes.
    fn extent(&self, size: Size) -> Result<Tensor>;
    /// The tensor of which `target` shows elements, and how; itself where it is no view.
    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)>;
    /// `root`, which is no view, has the elements of `value` from here on.
    fn assign(&self, root: &Tensor, value: &Tensor) -> Result<()>;
    /// The tensor just recorded is a view now.
    fn note_view(&self, view: &Tensor);
    /// In-place changes of the tensor so far, those of the trace included.
    fn version(&self, tensor: &Tensor) -> u32;
    /// The program asks what history a traced tensor has: calls where an argument has another run another variant.
    fn asks_history(&self, tensor: &Tensor);
    /// The tape of the program leads out of it through `edge`, the history of a tensor from outside.
    fn leads_out(&self, edge: &Edge, tensor: &Tensor);
    /// Nodes of the tape with a smaller number are not the trace's.
    fn first_seq(&self) -> u64;
    fn grad(&self, tensor: &Tensor) -> Option<Tensor>;
    fn set_grad(&self, tensor: &Tensor, grad: Option<Tensor>);
    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody>;
    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)>;
    /// Ends a branch, a loop without carries that has one step or none: gives what it gave, or where it has not run
    /// `otherwise`, zeros where that is not said.
    fn branch_end(&self, results: &[Tensor], otherwise: Option<&[Tensor]>) -> Result<Vec<Tensor>>;
    /// Gives up the loop that is being recorded, after an error in its body.
    fn scan_abandon(&self);
    /// Whether an error that unwinds out of the closure is given back by a call.
    fn catches(&self) -> bool;
    /// The program asked how this value, or any argument, lies in memory: calls whose arguments lie otherwise run
    /// another variant.
    fn layout_asked(&self, of: Option<&Tensor>);
    /// Whether two handles mean one tensor of the caller's: calls with another answer run another variant.
    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool;
    /// The program asked whether a tensor from outside needs a gradient: calls with another answer run another variant.
    fn wish_asked(&self, outside: &Tensor, answer: bool);
    /// The tensor, which shows elements from outside, was made by the program.
    fn note_new(&self, alias: &Tensor);
    /// Whether it was.
    fn is_new(&self, tensor: &Tensor) -> bool;
    /// The program reads a setting of the host: calls where it has another value than this run another variant. Where the
    /// program has set it before, that value is given instead.
    fn host_value(&self, seen: Arc<dyn HostValue>) -> Option<Arc<dyn HostValue>>;
    /// Each call that succeeds gives the setting this value.
    fn set_host_value(&self, new: Arc<dyn HostValue>) -> Result<()>;
    /// A tensor that each call draws, at this place among the draws of the program, and what it is called.
    fn draw(&self, draw: &Draw<'_>) -> Result<(Tensor, usize)>;
    /// From here to the end of it, a part of the program is computed again that was computed before: what has to be held
    /// until then is what it begins with, so no result of it is taken for one of before.
    fn again_begin(&self);
    fn again_end(&self);
    /// Each call starts the streams of the seed, at this place among its draws.
    fn reseed(&self, generator: &Generator, seed: u64);
    /// The elements of `like` are drawn in row-major order, so they must lie so in memory when the same program runs
    /// eagerly; with `whole` without gaps. Calls where they don't are refused.
    fn in_order(&self, what: &'static str, like: &Tensor, whole: bool) -> Result<()>;
    /// Rust data that was made into a tensor, as an input that each call gives.
    ///
    /// # Errors
    /// Where calls do not give it anew: what `what` at the caller's line would build in.
    fn data(&self, tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor>;
    /// Why a host read cannot be had here, as an error for `what` at the caller's line.
    fn host_read(&self, what: &str, at: &'static Location<'static>) -> crate::Error;
}

thread_local! {
    static ACTIVE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static RECORDER: RefCell<Option<Rc<dyn Recorder>>> = const { RefCell::new(None) };
}

/// Whether this thread is recording.
#[inline]
pub(crate) fn is_active() -> bool {
    ACTIVE.get()
}

/// The recorder of this thread.
pub(crate) fn active() -> Option<Rc<dyn Recorder>> {
    if is_active() { RECORDER.with_borrow(|r| r.clone()) } else { None }
}

/// Runs `f` with `recorder` installed, whatever happens in it; none makes `f` run eagerly.
pub(crate) fn with<T>(recorder: Option<Rc<dyn Recorder>>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Rc<dyn Recorder>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0.is_some());
            RECORDER.set(self.0.take());
        }
    }
    let _restore = Restore(RECORDER.take());
    ACTIVE.set(recorder.is_some());
    RECORDER.set(recorder);
    f()
}

/// A tensor that was made of Rust data, as the mode has it.
pub(super) fn data(tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor> {
    match active() {
        Some(r) => r.data(tensor, what, at),
        None => Ok(tensor),
    }
}

/// Runs `f`, which computes again a part of the program that was computed before; what a running trace records of it is
/// not taken for what it has recorded of that.
pub(crate) fn again<T>(f: impl FnOnce() -> T) -> T {
    struct End(Option<Rc<dyn Recorder>>);
    impl Drop for End {
        fn drop(&mut self) {
            if let Some(r) = &self.0 {
                r.again_end();
            }
        }
    }
    let recorder = active();
    if let Some(r) = &recorder {
        r.again_begin();
    }
    let _end = End(recorder);
    f()
}

pub(super) fn size_arith(op: SizeOp, a: Size, b: Size) -> Size {
    match active() {
        Some(r) => r.size_arith(op, a, b),
        None => Size::from(match op {
            SizeOp::Add => a.hint() + b.hint(),
            SizeOp::Sub => a.hint() - b.hint(),
            SizeOp::Mul => a.hint() * b.hint(),
        }),
    }
}

/// Whether two sizes that are equal in this call are so in all that a running trace holds for.
pub(super) fn proven_equal(a: Size, b: Size) -> bool {
    // Outside of a trace a size is its number.
    active().is_none_or(|r| r.proven_equal(a, b))
}

/// Demands that two sizes are equal, which they are in this call: true when they are.
#[track_caller]
pub(crate) fn demand_equal(a: Size, b: Size) -> bool {
    if a.hint() != b.hint() {
        return false;
    }
    if a.expr() != b.expr()
        && let Some(r) = active()
    {
        r.unify(a, b, Location::caller());
    }
    true
}

/// Whether two sizes are equal in this call; a trace holds for calls with the same answer.
#[track_caller]
pub(crate) fn compare(a: Size, b: Size) -> bool {
    let equal = demand_equal(a, b);
    if !equal
        && (a.is_symbolic() || b.is_symbolic())
        && let Some(r) = active()
    {
        // Which of them is larger is remembered, for that is a bound.
        let apart = if a.hint() > b.hint() { a.minus(b) } else { b.minus(a) };
        if apart.is_symbolic() {
            r.at_least(apart, 1);
        }
    }
    equal
}

/// Turns sizes into numbers because the program asked for them.
#[track_caller]
pub(crate) fn specialize(sizes: &[Size], why: &str) {
    if sizes.iter().any(|s| s.is_symbolic())
        && let Some(r) = active()
    {
        for s in sizes.iter().filter(|s| s.is_symbolic()) {
            r.specialize(*s, why, Location::caller());
        }
    }
}

/// Whether the size is zero; a capture remembers the answer.
#[track_caller]
pub(crate) fn is_zero(size: Size) -> bool {
    if size.is_symbolic()
        && let Some(r) = active()
    {
        match size.hint() {
            0 => r.specialize(size, "an axis of length 0", Location::caller()),
            _ => r.at_least(size, 1),
        }
    }
    size.hint() == 0
}

/// Whether `a <= b`; a trace holds for calls with the same answer.
pub(crate) fn at_most(a: Size, b: Size) -> bool {
    use allotrope_ir::Extent;
    let answer = a.hint() <= b.hint();
    if (a.is_symbolic() || b.is_symbolic())
        && let Some(r) = active()
    {
        // A difference below zero counts as zero, so the bound is on what must be positive.
        let slack = if answer { b.plus(&Size::from(1)).minus(a) } else { a.minus(b) };
        if slack.is_symbolic() {
            r.at_least(slack, 1);
        }
    }
    answer
}

/// The smaller of two sizes; a trace holds for calls where it is the same one.
pub(crate) fn smaller(a: Size, b: Size) -> Size {
    if at_most(a, b) { a } else { b }
}

/// The size divided by a divisor of it, symbolic where the division is exact in every call.
#[track_caller]
pub(crate) fn divide(size: Size, by: usize, why: &str) -> Size {
    if size.is_symbolic()
        && let Some(r) = active()
    {
        if let Some(exact) = r.divided(size, by) {
            return exact;
        }
        r.specialize(size, why, Location::caller());
    }
    Size::from(size.hint() / by)
}

/// All sizes of a tensor as one list, for the recorder.
pub(crate) fn numel(sizes: &[Size]) -> Size {
    use allotrope_ir::Extent;
    sizes.iter().fold(Size::from(1), |n, s| n.times(s))
}

/// Sizes from numbers.
pub(crate) fn sizes_of(shape: &[usize]) -> Sizes {
    super::size::small(shape, Size::from)
}

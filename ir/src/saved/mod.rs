//! A traced function that was saved: its captured graphs with everything that a call of them needs, as plain data with
//! names in place of tensors, generators and switches. It has a text form ([`print`], [`parse()`]) and rules ([`check()`]); it
//! holds no element, opens no file and runs nothing.

mod check;
mod parse;
mod text;

pub use check::{SavedError, check};
pub use parse::parse;
pub use text::print;

use crate::{DType, Dim, Graph, Op, Shape, Type};

/// The newest version of the text form: what this library writes. It reads every version up to it. Version 2 writes the kind of
/// a loop as `kind=`, where version 1 wrote `trip=`; version 3 has results that are views, and gradients that are results; version 4 says
/// how results lie, and guards the order of axes in memory where version 3 refused calls in which random numbers follow another.
pub const VERSION: u32 = 4;

/// The whole of a saved function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Captured tensors; others refer to them by their place here.
    pub tensors: Vec<Tensor>,
    /// Names of the generators, but for the process's own.
    pub generators: Vec<String>,
    /// Switches that the program branched on, and how they stand.
    pub flags: Vec<(String, bool)>,
    /// Most recently used first.
    pub variants: Vec<Variant>,
}

/// A captured tensor, whose elements are elsewhere under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub requires_grad: bool,
    /// Whether it was computed from others: it has no derivative that a loaded program could follow.
    pub history: bool,
    /// The tensor that is its gradient.
    pub grad: Option<usize>,
    /// How its elements lie; none means in row-major order in memory of its own.
    pub layout: Option<Layout>,
}

/// A tensor as a view of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub strides: Vec<isize>,
    /// The name of the memory that it shares with others, and the place of its first element; none means that the
    /// elements are saved in row-major order and only lie like this.
    pub shared: Option<(String, usize)>,
}

/// What becomes of the history of a tensor of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryAfter {
    /// It is a leaf after the call, which requires a gradient or not.
    Leaf(bool),
    /// It was changed in place by what has a derivative: after the call it is a result, whose history is not in the file.
    Result,
}

/// One captured graph and what a call of it needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variant {
    pub arguments: Vec<Argument>,
    /// What must hold of a call beside the types of the arguments.
    pub guards: Vec<Guard>,
    /// What is drawn, in the order of the program.
    pub draws: Vec<Draw>,
    /// What must lie in row-major order in memory, because draws follow it; up to version 3.
    pub orders: Vec<Order>,
    /// Results of which it matters how they lie, because that follows their operands. What others follow comes before these.
    pub follows: Vec<Follows>,
    /// How outputs lie that are new tensors, where that is not just row-major order.
    pub laid_out: Vec<LaidOut>,
    /// Where each input of the graph comes from.
    pub inputs: Vec<Source>,
    /// Where each output of the graph goes.
    pub outputs: Vec<Target>,
    /// Whose gradients are none after the call.
    pub cleared: Vec<Place>,
    /// What becomes of the history of tensors, where the program has changed that.
    pub histories: Vec<(Place, HistoryAfter)>,
    /// Switches that a call which succeeds sets.
    pub set: Vec<(usize, bool)>,
    /// The tensors that a call hands out, what others are views of before these.
    pub returned: Vec<Returned>,
    /// Which of them each result is.
    pub results: Vec<usize>,
    /// Whose gradient is one of them after the call.
    pub grads: Vec<(Place, usize)>,
    /// New tensors among them, each with the one that is its gradient.
    pub own_grads: Vec<(usize, usize)>,
    pub graph: Graph,
}

/// What is fixed about an argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its type, with the symbols that its axes give a number to.
    pub ty: Type,
    pub requires_grad: bool,
    /// Whether it lies in row-major order, where the program depends on that.
    pub contiguous: Option<bool>,
    /// How it lies, where the program depends on that and it is not contiguous.
    pub strides: Option<Vec<isize>>,
    /// The argument before it that is the same tensor, where that matters.
    pub same_as: Option<usize>,
}

/// A tensor that a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A captured tensor, by its place in [`Program::tensors`].
    Tensor(usize),
    /// An argument, by number.
    Argument(usize),
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    /// Gradients are enabled, or not.
    GradEnabled(bool),
    /// The captured tensor needs a gradient, or not.
    RequiresGrad(usize, bool),
    /// There is a gradient when the call begins, or not.
    HasGrad(Place, bool),
    /// The argument is that other tensor, or not.
    Same(usize, Place, bool),
    /// The switch stands like this.
    Flag(usize, bool),
    /// The size is at least this.
    Least(Dim, usize),
    /// What the views show of the memory lies like this.
    Lies { from: OrderOf, steps: Vec<OrderStep>, answer: Lies },
}

/// How elements lie that views show.
#[derive(Clone, Debug, PartialEq)]
pub enum Lies {
    /// The last view shows the elements of the one before; otherwise no strides do, and they are copied.
    Shared(bool),
    /// In row-major order without gaps, or not.
    Contiguous(bool),
    Strides(Vec<isize>),
    /// Without gaps, the axes in this order.
    Order(Vec<usize>),
    /// In row-major order from the first element of the memory on, or not.
    Begins(bool),
}

/// Where an input of the graph comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The elements of a tensor.
    Elements(Place),
    /// The gradient that it holds when the call begins.
    Grad(Place),
    /// Random numbers.
    Draw,
}

/// Where an output of the graph goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The computed one of that number among the tensors that a call hands out.
    Result(usize),
    /// The elements of a tensor.
    Elements(Place),
    /// Its gradient, a new tensor.
    Grad(Place),
    /// The elements of the gradient that it holds when the call begins.
    GradElements(Place),
}

/// A tensor that a call hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Returned {
    Computed {
        requires_grad: bool,
        leaf: bool,
    },
    /// The tensor itself.
    Same(Place),
    /// The gradient that it holds when the call begins.
    Grad(Place),
    /// One that comes before, seen through views.
    View {
        of: usize,
        steps: Vec<OrderStep>,
        differentiable: bool,
        requires_grad: bool,
        leaf: bool,
    },
}

/// Whose numbers: the process's own generator, or one by its place in [`Program::generators`].
pub type Generator = Option<usize>;

/// One thing that a call does with generators.
#[derive(Clone, Debug, PartialEq)]
pub enum Draw {
    /// Draws the elements of that input, those of this iteration where it is in loops.
    Draw { input: usize, kind: Distribution, generator: Generator },
    /// Starts the streams of a seed.
    Seed { seed: u64, generator: Generator },
    /// Does these once for each iteration of a loop.
    Loop { length: Dim, reverse: bool, items: Vec<Draw> },
}

/// What is drawn; the dtype is that of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    Uniform { low: f64, high: f64 },
    Normal { mean: f64, std: f64 },
    NormalSerial { mean: f64, std: f64 },
    NormalHalves { mean: f64, std: f64 },
    Exponential { rate: f64 },
    Integers { low: i64, high: i64 },
    Permutation,
    Bernoulli { p: f64 },
    Whole { of: DType },
}

/// A result in memory of its own that lies as its operands do, which are broadcast to its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Follows {
    pub rule: FollowRule,
    pub operands: Vec<Followed>,
}

/// How the memory of a result follows operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowRule {
    /// As that of an elementwise operation.
    Elementwise,
    /// As a copy that keeps the order of its operand.
    Preserved,
    /// As its operand where that lies in row-major order, else in that.
    Contiguous,
    /// As the gradient of a leaf.
    Gradient,
}

/// What a result follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    Number,
    /// What the views show.
    Memory(OrderOf, Vec<OrderStep>),
}

/// How an output lies that is a new tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct LaidOut {
    pub output: usize,
    /// The order of the axes in memory, in which the graph gives them; none where that is row-major.
    pub axes: Vec<usize>,
    pub strides: LaidOutAs,
}

/// Which strides an output has.
#[derive(Clone, Debug, PartialEq)]
pub enum LaidOutAs {
    /// These.
    Strides(Vec<isize>),
    /// Those that the views show.
    Memory(OrderOf, Vec<OrderStep>),
}

/// A demand on memory: what the views show lies in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The operation that draws, for messages.
    pub what: String,
    /// Without gaps, not only in order.
    pub whole: bool,
    pub from: OrderOf,
    pub steps: Vec<OrderStep>,
}

/// Whose memory it is.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderOf {
    /// That of a fresh result of this shape.
    Fresh(Shape),
    /// That of an input of the graph.
    Input(usize),
    /// That of a captured tensor.
    Tensor(usize),
    /// That of a result that follows others, by its place in [`Variant::follows`].
    Follows(usize),
}

/// One view of what was seen before it.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderStep {
    /// A view: permute, slice, broadcast, reshape or window.
    View(Op),
    /// Element `(i, j, ..)` of these sizes is that at `offset + i * steps[0] + j * steps[1] + ..` along the last axis; the others are
    /// the first ones here.
    Strided { sizes: Shape, steps: Vec<usize>, offset: usize },
    /// So many elements of the memory around what was seen, as one axis; its own are there as those of a strided step are.
    Memory { len: Dim, sizes: Shape, steps: Vec<usize>, offset: usize },
    /// One element along an axis, at the place that is in result `at`; of memory that is asked about any result stands there.
    Select { axis: usize, at: usize },
    /// One element along the first axis, as the body of a loop gets it.
    Element,
}

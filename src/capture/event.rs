//! What a closure asks of the graph while it is recorded, as data: values and sizes by number, no tensor. What a graph
//! becomes depends on nothing but these events, in order; so a recording that asks the same as an earlier one needs no
//! graph of its own. Nothing is answered here.

use crate::error::Error;
use crate::mode::recorder::sizes::SizeOp;
use crate::tensor::{Size, Sizes};
use allotrope_ir::{DType, InputKind, LoopKind, Op, Scalar, Sym, Value};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::panic::Location;

/// An operand.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Given {
    /// A value of the innermost open graph.
    Value(Value),
    /// A number in the program, which becomes part of the code.
    Number(Scalar),
    /// A number in the program that each call gives.
    Slot(DType),
}

/// Whose memory is asked about.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// A tensor from outside, by its place among those that were asked about.
    Outside(usize),
    /// A value of a builder.
    Value(usize, Value),
}

/// A loop that begins.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) carries: SmallVec<[Value; 4]>,
    pub(crate) xs: SmallVec<[Value; 4]>,
    pub(crate) kind: LoopKind,
    /// The number of steps that what it collects has room for; none where no size says it.
    pub(crate) limit: Option<Size>,
    /// For a counted loop: its number of steps.
    pub(crate) count: Option<Value>,
    pub(crate) reverse: bool,
    /// The builder of the body that it walks back through.
    pub(crate) mirror: Option<usize>,
}

/// One thing that is asked.
#[derive(Clone, Debug)]
pub(crate) enum Event<'a> {
    /// An input whose dimensions are symbols, with the numbers that they have in this call.
    Argument {
        dtype: DType,
        numbers: Cow<'a, [usize]>,
        name: (&'static str, usize),
    },
    /// An input of known sizes.
    Input {
        dtype: DType,
        sizes: Cow<'a, [Size]>,
        kind: InputKind,
        name: (&'static str, usize),
    },
    /// An input that is drawn, and in loops an element of it for each step.
    Draw {
        dtype: DType,
        sizes: Cow<'a, [Size]>,
        name: &'static str,
        /// The input that was drawn before, by its number among the inputs that are tensors, where a part of the program is
        /// computed again.
        again: Option<usize>,
    },
    /// An operation in the innermost open graph.
    Record {
        op: Cow<'a, Op<Size>>,
        operands: Cow<'a, [Given]>,
    },
    /// A value full of a number.
    Full {
        sizes: Cow<'a, [Size]>,
        number: Given,
    },
    /// A size as a value.
    Extent(Size),
    /// The type of a value of a builder.
    TypeOf(usize, Value),
    /// A value of another builder in the innermost open graph.
    Import {
        from: usize,
        value: Value,
    },
    Begin(Cow<'a, Loop>),
    /// Which carries of the innermost loop must lie in row-major order.
    Ordered,
    /// Ends the innermost loop: its carries and what it collects.
    End {
        carries: Cow<'a, [Value]>,
        ys: Cow<'a, [Value]>,
    },
    /// The results of a branch, which ends.
    Results(Cow<'a, [Value]>),
    /// What follows is around the innermost loop, until `Enter` names its builder.
    Leave,
    Enter(usize),
    /// Ends a branch, which gives these values where it does not run.
    EndBranch(Cow<'a, [Value]>),
    Abandon,
    /// A part of the program is computed again, from here to the end of it.
    Again,
    AgainEnd,
    InOrder {
        what: &'static str,
        place: Place,
        steps: Cow<'a, [Op<Size>]>,
        whole: bool,
    },
    Output {
        value: Value,
        update: Option<usize>,
    },
    Arith(SizeOp, Size, Size),
    Divided(Size, usize),
    Unify(Size, Size, &'static Location<'static>),
    Specialize {
        size: Size,
        why: Cow<'a, str>,
        at: &'static Location<'static>,
    },
    AtLeast(Size, usize),
}

/// A value with its type.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) value: Value,
    pub(crate) dtype: DType,
    pub(crate) sizes: Sizes,
}

/// What an event gives.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    None,
    Made(Made),
    Value(Value),
    Many(Vec<Made>),
    /// What the body of a loop sees, and the number of steps that it has room for.
    Begun(Vec<Made>, Size),
    Size(Option<Size>),
    Places(SmallVec<[usize; 4]>),
    /// Symbols that became the numbers which they have in this call.
    Numbers(SmallVec<[(Sym, usize); 2]>),
    Failed(Error),
}

/// How two events compare.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Match {
    Same,
    /// But for numbers in the program.
    Numbers,
    Other,
}

/// Whether two sizes are one: the same expression, or the same number. Each may be of another recording.
#[inline]
fn one(a: &Size, b: &Size) -> bool {
    a.expr().number == b.expr().number && (a.is_symbolic() || a.hint() == b.hint())
}

#[inline]
fn all(a: &[Size], b: &[Size]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| one(a, b))
}

fn same_op(a: &Op<Size>, b: &Op<Size>) -> bool {
    a.equal_by(b, one)
}

impl Given {
    /// The number, where it is one.
    #[inline]
    pub(crate) fn number(&self) -> Option<Scalar> {
        match self {
            Given::Number(s) => Some(*s),
            _ => None,
        }
    }

    #[inline]
    fn compare(&self, asked: &Given) -> Match {
        let same = match (self, asked) {
            (Given::Value(a), Given::Value(b)) => a == b,
            (Given::Number(a), Given::Number(b)) if a.dtype() == b.dtype() => {
                return if a.bits() == b.bits() { Match::Same } else { Match::Numbers };
            }
            (Given::Slot(a), Given::Number(b)) => *a == b.dtype(),
            (Given::Number(a), Given::Slot(b)) => return if a.dtype() == *b { Match::Numbers } else { Match::Other },
            (Given::Slot(a), Given::Slot(b)) => a == b,
            _ => false,
        };
        if same { Match::Same } else { Match::Other }
    }
}

impl Answer {
    /// Whether both are one answer, whatever numbers sizes have in a call.
    pub(crate) fn agrees(&self, other: &Answer) -> bool {
        let same = |a: &Made, b: &Made| a.value == b.value && a.dtype == b.dtype && all(&a.sizes, &b.sizes);
        match (self, other) {
            (Answer::None, Answer::None) => true,
            (Answer::Made(a), Answer::Made(b)) => same(a, b),
            (Answer::Value(a), Answer::Value(b)) => a == b,
            (Answer::Many(a), Answer::Many(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Answer::Begun(a, n), Answer::Begun(b, m)) => {
                one(n, m) && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Answer::Size(Some(a)), Answer::Size(Some(b))) => one(a, b),
            (Answer::Size(None), Answer::Size(None)) => true,
            (Answer::Places(a), Answer::Places(b)) => a == b,
            (Answer::Numbers(a), Answer::Numbers(b)) => a == b,
            (Answer::Failed(a), Answer::Failed(b)) => a == b,
            _ => false,
        }
    }
}

impl Event<'_> {
    /// How what is asked compares with this, which was asked before. A slot takes any number.
    #[inline]
    pub(crate) fn compare(&self, asked: &Event<'_>) -> Match {
        use Event::*;
        let same = match (self, asked) {
            (Record { op: p, operands: a }, Record { op: q, operands: b }) => {
                if a.len() != b.len() || !same_op(p, q) {
                    return Match::Other;
                }
                return a.iter().zip(&b[..]).fold(Match::Same, |so_far, (a, b)| so_far.and(a.compare(b)));
            }
            (Full { sizes: a, number: n }, Full { sizes: b, number: m }) => {
                return if all(a, b) { n.compare(m) } else { Match::Other };
            }
            (Arith(op, a, b), Arith(other, c, d)) => op == other && one(a, c) && one(b, d),
            (Argument { dtype: t, numbers: a, .. }, Argument { dtype: u, numbers: b, .. }) => {
                t == u && a.len() == b.len()
            }
            (Input { dtype: t, sizes: a, kind: k, .. }, Input { dtype: u, sizes: b, kind: l, .. }) => {
                t == u && k == l && all(a, b)
            }
            (Draw { dtype: t, sizes: a, again: i, .. }, Draw { dtype: u, sizes: b, again: j, .. }) => {
                t == u && i == j && all(a, b)
            }
            (Extent(a), Extent(b)) => one(a, b),
            (TypeOf(a, v), TypeOf(b, w)) => a == b && v == w,
            (Import { from: a, value: v }, Import { from: b, value: w }) => a == b && v == w,
            (Begin(a), Begin(b)) => {
                a.carries == b.carries
                    && a.xs == b.xs
                    && a.kind == b.kind
                    && a.count == b.count
                    && match (&a.limit, &b.limit) {
                        (Some(a), Some(b)) => one(a, b),
                        (a, b) => a.is_none() && b.is_none(),
                    }
                    && a.reverse == b.reverse
                    && a.mirror == b.mirror
            }
            (Ordered, Ordered) | (Abandon, Abandon) | (Leave, Leave) | (Again, Again) | (AgainEnd, AgainEnd) => true,
            (Results(a), Results(b)) | (EndBranch(a), EndBranch(b)) => a == b,
            (Enter(a), Enter(b)) => a == b,
            (End { carries: a, ys: x }, End { carries: b, ys: y }) => a == b && x == y,
            (InOrder { what: a, place: p, steps: x, whole: v }, InOrder { what: b, place: q, steps: y, whole: w }) => {
                a == b && p == q && v == w && x.len() == y.len() && x.iter().zip(&y[..]).all(|(a, b)| same_op(a, b))
            }
            (Output { value: v, update: a }, Output { value: w, update: b }) => v == w && a == b,
            (Divided(a, m), Divided(b, n)) | (AtLeast(a, m), AtLeast(b, n)) => one(a, b) && m == n,
            (Unify(a, b, _), Unify(c, d, _)) => one(a, c) && one(b, d),
            (Specialize { size: a, .. }, Specialize { size: b, .. }) => one(a, b),
            _ => false,
        };
        if same { Match::Same } else { Match::Other }
    }

    /// What is asked, for people.
    pub(crate) fn words(&self) -> String {
        let shape = |sizes: &[Size]| sizes.iter().map(|s| s.hint()).collect::<Vec<_>>();
        match self {
            Event::Argument { dtype, numbers, name } => format!("{} {dtype} with {} axes", name.0, numbers.len()),
            Event::Input { dtype, sizes, .. } => format!("a tensor from outside {dtype}{:?}", shape(sizes)),
            Event::Draw { dtype, sizes, name, .. } => format!("{name} {dtype}{:?}", shape(sizes)),
            Event::Record { op, .. } => op.name().to_string(),
            Event::Full { sizes, .. } => format!("a tensor {:?} full of a number", shape(sizes)),
            Event::Begin(_) => "a loop".to_string(),
            Event::Ordered | Event::End { .. } | Event::Abandon => "the end of a loop".to_string(),
            Event::Results(_) | Event::Leave | Event::Enter(_) | Event::EndBranch(_) => {
                "the end of a branch".to_string()
            }
            Event::Output { .. } => "a result, or a change of a tensor".to_string(),
            Event::Specialize { size, why, at } => format!("{why} at {at}, and it is {size}"),
            Event::Unify(a, b, at) => format!("sizes {a} and {b} must be equal at {at}"),
            Event::AtLeast(size, least) => format!("a size, here {size}, must be at least {least}"),
            Event::Arith(..) | Event::Divided(..) => "a computation with sizes".to_string(),
            Event::Extent(_) => "a size as a number".to_string(),
            Event::TypeOf(..) | Event::Import { .. } => "another use of a value".to_string(),
            Event::Again | Event::AgainEnd => "a part that is computed again".to_string(),
            Event::InOrder { what, .. } => format!("{what} in the order of memory"),
        }
    }

    /// Every size in what is asked.
    pub(crate) fn sizes(&self, f: &mut dyn FnMut(&Size)) {
        match self {
            Event::Input { sizes, .. } | Event::Draw { sizes, .. } | Event::Full { sizes, .. } => {
                sizes.iter().for_each(f);
            }
            Event::Record { op, .. } => {
                op.map_dims(&mut |size| f(size));
            }
            Event::InOrder { steps, .. } => steps.iter().for_each(|op| {
                op.map_dims(&mut |size| f(size));
            }),
            Event::Begin(spec) => spec.limit.iter().for_each(f),
            Event::Extent(size)
            | Event::Divided(size, _)
            | Event::Specialize { size, .. }
            | Event::AtLeast(size, _) => f(size),
            Event::Arith(_, a, b) | Event::Unify(a, b, _) => [a, b].into_iter().for_each(f),
            Event::Argument { .. }
            | Event::TypeOf(..)
            | Event::Import { .. }
            | Event::Ordered
            | Event::End { .. }
            | Event::Results(_)
            | Event::Leave
            | Event::Enter(_)
            | Event::EndBranch(_)
            | Event::Abandon
            | Event::Again
            | Event::AgainEnd
            | Event::Output { .. } => {}
        }
    }

    /// The operands that may be numbers.
    pub(crate) fn given(&self) -> &[Given] {
        match self {
            Event::Record { operands, .. } => operands,
            Event::Full { number, .. } => std::slice::from_ref(number),
            _ => &[],
        }
    }

    /// The event with other operands where they may be numbers.
    pub(crate) fn with_given(mut self, f: &mut dyn FnMut(Given) -> Given) -> Self {
        match &mut self {
            Event::Record { operands, .. } if operands.iter().any(|g| !matches!(g, Given::Value(_))) => {
                operands.to_mut().iter_mut().for_each(|g| *g = f(*g));
            }
            Event::Full { number, .. } => *number = f(*number),
            _ => {}
        }
        self
    }

    pub(crate) fn into_owned(self) -> Event<'static> {
        use Event::*;
        fn own<T: Clone>(x: Cow<'_, [T]>) -> Cow<'static, [T]> {
            Cow::Owned(x.into_owned())
        }
        match self {
            Argument { dtype, numbers, name } => Argument { dtype, numbers: own(numbers), name },
            Input { dtype, sizes, kind, name } => Input { dtype, sizes: own(sizes), kind, name },
            Draw { dtype, sizes, name, again } => Draw { dtype, sizes: own(sizes), name, again },
            Record { op, operands } => Record { op: Cow::Owned(op.into_owned()), operands: own(operands) },
            Full { sizes, number } => Full { sizes: own(sizes), number },
            Extent(size) => Extent(size),
            TypeOf(at, value) => TypeOf(at, value),
            Import { from, value } => Import { from, value },
            Begin(spec) => Begin(Cow::Owned(spec.into_owned())),
            Ordered => Ordered,
            End { carries, ys } => End { carries: own(carries), ys: own(ys) },
            Results(values) => Results(own(values)),
            Leave => Leave,
            Enter(body) => Enter(body),
            EndBranch(values) => EndBranch(own(values)),
            Abandon => Abandon,
            Again => Again,
            AgainEnd => AgainEnd,
            InOrder { what, place, steps, whole } => InOrder { what, place, steps: own(steps), whole },
            Output { value, update } => Output { value, update },
            Arith(op, a, b) => Arith(op, a, b),
            Divided(size, by) => Divided(size, by),
            Unify(a, b, at) => Unify(a, b, at),
            Specialize { size, why, at } => Specialize { size, why: Cow::Owned(why.into_owned()), at },
            AtLeast(size, least) => AtLeast(size, least),
        }
    }
}

impl Match {
    #[inline]
    fn and(self, other: Match) -> Match {
        match (self, other) {
            (Match::Other, _) | (_, Match::Other) => Match::Other,
            (Match::Same, Match::Same) => Match::Same,
            _ => Match::Numbers,
        }
    }
}

//! What a closure asks of the graph while it is recorded, as data: values and sizes by number, no tensor. What a graph
//! becomes depends on nothing but these events, in order; so a recording that asks the same as an earlier one needs no
//! graph of its own. Nothing is answered here.

use crate::device::Device;
use crate::error::Error;
use crate::mode::recorder::sizes::SizeOp;
use crate::tensor::affine::Given;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes};
use allotrope_ir::{DType, InputKind, LoopKind, Op, Scalar, Sym, Value};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::panic::Location;

/// What two recordings of one closure agree on, though each has sizes of its own: a size is the same where it is called by
/// the same expression, or is the same number.
pub(crate) trait Agrees {
    fn agrees(&self, other: &Self) -> bool;
}

impl Agrees for Size {
    #[inline]
    fn agrees(&self, other: &Size) -> bool {
        self.expr().number == other.expr().number && (self.is_symbolic() || self.hint() == other.hint())
    }
}

impl Agrees for Op<Size> {
    #[inline]
    fn agrees(&self, other: &Op<Size>) -> bool {
        self.equal_by(other, Size::agrees)
    }
}

impl Agrees for ViewOp {
    fn agrees(&self, other: &ViewOp) -> bool {
        match (self, other) {
            (ViewOp::Primitive(a), ViewOp::Primitive(b)) => a.agrees(b),
            (ViewOp::Affine(a), ViewOp::Affine(b)) => {
                a.sizes.agrees(&b.sizes) && a.steps == b.steps && a.offset == b.offset && a.count.agrees(&b.count)
            }
            (ViewOp::Memory { len: m, places: a }, ViewOp::Memory { len: n, places: b }) => {
                m.agrees(n) && a.sizes.agrees(&b.sizes) && a.steps == b.steps && a.offset == b.offset
            }
            (ViewOp::Select { axis: a, at: i }, ViewOp::Select { axis: b, at: j }) => (a, i) == (b, j),
            (ViewOp::Primitive(_) | ViewOp::Affine(_) | ViewOp::Memory { .. } | ViewOp::Select { .. }, _) => false,
        }
    }
}

impl<T: Agrees> Agrees for [T] {
    #[inline]
    fn agrees(&self, other: &[T]) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(a, b)| a.agrees(b))
    }
}

impl<const N: usize> Agrees for [Size; N] {
    #[inline]
    fn agrees(&self, other: &[Size; N]) -> bool {
        self[..].agrees(&other[..])
    }
}

impl Agrees for Sizes {
    #[inline]
    fn agrees(&self, other: &Sizes) -> bool {
        self[..].agrees(&other[..])
    }
}

impl<T: Agrees> Agrees for Option<T> {
    #[inline]
    fn agrees(&self, other: &Option<T>) -> bool {
        match (self, other) {
            (Some(a), Some(b)) => a.agrees(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl<T: ?Sized + ToOwned + Agrees> Agrees for Cow<'_, T> {
    #[inline]
    fn agrees(&self, other: &Self) -> bool {
        T::agrees(self, other)
    }
}

/// Something with sizes in it, which is equal to that of another recording where they agree.
#[derive(Clone, Debug)]
pub(crate) struct Symbolic<T>(pub(crate) T);

impl<T: Agrees> PartialEq for Symbolic<T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.agrees(&other.0)
    }
}

/// What is said with a question and is no part of it: it is equal to any other.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Aside<T>(pub(crate) T);

impl<T> PartialEq for Aside<T> {
    #[inline]
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An operand.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum EventOperand {
    /// A value of the innermost open graph.
    Value(Value),
    /// A number in the program, which becomes part of the code; none where each call gives it.
    Number(DType, Aside<Option<Scalar>>),
}

/// A loop that begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loop {
    pub(crate) carries: SmallVec<[Value; 4]>,
    pub(crate) xs: SmallVec<[Value; 4]>,
    pub(crate) kind: LoopKind,
    /// The capacity of what it collects, in iterations; none where no size says it.
    pub(crate) limit: Symbolic<Option<Size>>,
    /// For a counted loop: its number of iterations.
    pub(crate) count: Option<Value>,
    pub(crate) reverse: bool,
    /// The scope of the body whose backward pass it is.
    pub(crate) mirror: Option<usize>,
}

/// One thing that is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// What is recorded runs on this device, not on the CPU.
    On(Device),
    /// An input whose dimensions are symbols, with the numbers that they have in this call.
    Argument {
        dtype: DType,
        rank: usize,
        numbers: Aside<Cow<'a, [usize]>>,
        name: Aside<(&'static str, usize)>,
    },
    /// An input of known sizes.
    Input {
        dtype: DType,
        sizes: Symbolic<Cow<'a, [Size]>>,
        kind: InputKind,
        name: Aside<(&'static str, usize)>,
    },
    /// An input that is drawn, and in loops an element of it for each iteration.
    Draw {
        dtype: DType,
        sizes: Symbolic<Cow<'a, [Size]>>,
        name: Aside<&'static str>,
        /// The input that was drawn before, by its number among the inputs that are tensors, where a part of the program is
        /// recomputed.
        recompute: Option<usize>,
    },
    /// An operation in the innermost open graph.
    Record {
        op: Symbolic<Cow<'a, Op<Size>>>,
        operands: Cow<'a, [EventOperand]>,
    },
    /// A value full of a number.
    Full {
        sizes: Symbolic<Cow<'a, [Size]>>,
        number: EventOperand,
    },
    /// A size as a value.
    Extent(Symbolic<Size>),
    /// The type of a value of a scope.
    TypeOf(usize, Value),
    /// A value of another scope in the innermost open graph.
    Import {
        from: usize,
        value: Value,
    },
    Begin(Cow<'a, Loop>),
    /// Ends the innermost loop: its carries and what it collects.
    End {
        carries: Cow<'a, [Value]>,
        ys: Cow<'a, [Value]>,
    },
    /// The results of a branch, which ends.
    Results(Cow<'a, [Value]>),
    /// What follows is around the innermost loop, until `Enter` names its scope.
    Leave,
    Enter(usize),
    /// Ends a branch, which gives these values where it does not run.
    EndBranch(Cow<'a, [Value]>),
    Abandon,
    /// A part of the program is recomputed, from here to the end of it.
    RecomputeBegin,
    RecomputeEnd,
    Output {
        value: Value,
        update: Option<usize>,
    },
    Arith(SizeOp, Symbolic<[Size; 2]>),
    Divided(Symbolic<Size>, usize),
    Unify(Symbolic<[Size; 2]>, Aside<&'static Location<'static>>),
    Specialize {
        size: Symbolic<Size>,
        why: Aside<Cow<'a, str>>,
        at: Aside<&'static Location<'static>>,
    },
    AtLeast(Symbolic<Size>, usize),
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) value: Value,
    pub(crate) dtype: DType,
    pub(crate) sizes: Symbolic<Sizes>,
}

/// What an event gives. The answers to one event of two recordings are equal whatever numbers sizes have in a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    None,
    Made(Made),
    Value(Value),
    Many(Vec<Made>),
    /// What the body of a loop sees, and the capacity of what it collects.
    Begun(Vec<Made>, Symbolic<Size>),
    Size(Symbolic<Option<Size>>),
    /// Symbols that became the numbers which they have in this call.
    Numbers(SmallVec<[(Sym, usize); 2]>),
    /// What was asked can't be had, by these numbers of the symbols.
    Failed(Error, Vec<usize>),
}

/// How two events compare.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Match {
    Same,
    /// But for numbers in the program.
    Numbers,
    Other,
}

impl EventOperand {
    /// A number in the program, which becomes part of the code.
    #[inline]
    pub(crate) fn number(number: Scalar) -> EventOperand {
        EventOperand::Number(number.dtype(), Aside(Some(number)))
    }

    /// An operand of a primitive that a computed view consists of.
    pub(crate) fn given(given: &Given<'_, Value>) -> EventOperand {
        match given {
            Given::Value(value) => EventOperand::Value(**value),
            Given::Number(number) => EventOperand::number(*number),
        }
    }

    /// A number that each call gives.
    pub(crate) fn slot(dtype: DType) -> EventOperand {
        EventOperand::Number(dtype, Aside(None))
    }

    /// The number, where it is one of the code.
    #[inline]
    pub(crate) fn as_number(&self) -> Option<Scalar> {
        match self {
            EventOperand::Number(_, Aside(number)) => *number,
            EventOperand::Value(_) => None,
        }
    }

    /// Whether it stands for `asked`, which is equal to it: a number only for itself, one that each call gives for any.
    #[inline]
    fn stands_for(&self, asked: &EventOperand) -> bool {
        match (self.as_number(), asked) {
            (Some(number), EventOperand::Number(_, Aside(now))) => now.is_some_and(|now| now.bits() == number.bits()),
            (Some(_), EventOperand::Value(_)) | (None, _) => true,
        }
    }
}

impl Event<'_> {
    /// How what is asked compares with this, which was asked before. A number that each call gives stands for any.
    #[inline]
    pub(crate) fn compare(&self, asked: &Event<'_>) -> Match {
        if self != asked {
            return Match::Other;
        }
        match self.operands().iter().zip(asked.operands()).all(|(known, asked)| known.stands_for(asked)) {
            true => Match::Same,
            false => Match::Numbers,
        }
    }

    /// What is asked, for people.
    pub(crate) fn words(&self) -> String {
        let shape = |sizes: &Symbolic<Cow<'_, [Size]>>| sizes.0.iter().map(|s| s.hint()).collect::<Vec<_>>();
        match self {
            Event::Argument { dtype, rank, name: Aside((name, _)), .. } => format!("{name} {dtype} with {rank} axes"),
            Event::Input { dtype, sizes, .. } => format!("a captured tensor {dtype}{:?}", shape(sizes)),
            Event::Draw { dtype, sizes, name: Aside(name), .. } => format!("{name} {dtype}{:?}", shape(sizes)),
            Event::Record { op, .. } => op.0.name().to_string(),
            Event::Full { sizes, .. } => format!("a tensor {:?} full of a number", shape(sizes)),
            Event::Begin(_) => "a loop".to_string(),
            Event::End { .. } | Event::Abandon => "the end of a loop".to_string(),
            Event::Results(_) | Event::Leave | Event::Enter(_) | Event::EndBranch(_) => {
                "the end of a branch".to_string()
            }
            Event::Output { .. } => "a result, or a change of a tensor".to_string(),
            Event::Specialize { size: Symbolic(size), why: Aside(why), at: Aside(at) } => {
                format!("{why} at {at}, and it is {size}")
            }
            Event::Unify(Symbolic([a, b]), Aside(at)) => format!("sizes {a} and {b} must be equal at {at}"),
            Event::AtLeast(Symbolic(size), least) => format!("a size, here {size}, must be at least {least}"),
            Event::Arith(..) | Event::Divided(..) => "a computation with sizes".to_string(),
            Event::On(device) => format!("a device, {device}"),
            Event::Extent(_) => "a size as a number".to_string(),
            Event::TypeOf(..) | Event::Import { .. } => "another use of a value".to_string(),
            Event::RecomputeBegin | Event::RecomputeEnd => "a part that is recomputed".to_string(),
        }
    }

    /// Every size in what is asked.
    pub(crate) fn sizes(&self, f: &mut dyn FnMut(&Size)) {
        match self {
            Event::Input { sizes, .. } | Event::Draw { sizes, .. } | Event::Full { sizes, .. } => {
                sizes.0.iter().for_each(f);
            }
            Event::Record { op, .. } => {
                op.0.map_dims(&mut |size| f(size));
            }
            Event::Begin(spec) => spec.limit.0.iter().for_each(f),
            Event::Extent(size)
            | Event::Divided(size, _)
            | Event::Specialize { size, .. }
            | Event::AtLeast(size, _) => f(&size.0),
            Event::Arith(_, sizes) | Event::Unify(sizes, _) => sizes.0.iter().for_each(f),
            Event::On(_)
            | Event::Argument { .. }
            | Event::TypeOf(..)
            | Event::Import { .. }
            | Event::End { .. }
            | Event::Results(_)
            | Event::Leave
            | Event::Enter(_)
            | Event::EndBranch(_)
            | Event::Abandon
            | Event::RecomputeBegin
            | Event::RecomputeEnd
            | Event::Output { .. } => {}
        }
    }

    /// The operands that may be numbers.
    pub(crate) fn operands(&self) -> &[EventOperand] {
        match self {
            Event::Record { operands, .. } => operands,
            Event::Full { number, .. } => std::slice::from_ref(number),
            _ => &[],
        }
    }

    /// The event with other operands where they may be numbers.
    pub(crate) fn with_operands(mut self, f: &mut dyn FnMut(EventOperand) -> EventOperand) -> Self {
        match &mut self {
            Event::Record { operands, .. } if operands.iter().any(|o| matches!(o, EventOperand::Number(..))) => {
                operands.to_mut().iter_mut().for_each(|o| *o = f(*o));
            }
            Event::Full { number, .. } => *number = f(*number),
            _ => {}
        }
        self
    }

    pub(crate) fn into_owned(self) -> Event<'static> {
        use Event::*;
        fn own<T: ?Sized + ToOwned>(x: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(x.into_owned())
        }
        fn named<T: ?Sized + ToOwned>(x: Symbolic<Cow<'_, T>>) -> Symbolic<Cow<'static, T>> {
            Symbolic(own(x.0))
        }
        match self {
            Argument { dtype, rank, numbers, name } => Argument { dtype, rank, numbers: Aside(own(numbers.0)), name },
            Input { dtype, sizes, kind, name } => Input { dtype, sizes: named(sizes), kind, name },
            Draw { dtype, sizes, name, recompute } => Draw { dtype, sizes: named(sizes), name, recompute },
            Record { op, operands } => Record { op: named(op), operands: own(operands) },
            Full { sizes, number } => Full { sizes: named(sizes), number },
            On(device) => On(device),
            Extent(size) => Extent(size),
            TypeOf(at, value) => TypeOf(at, value),
            Import { from, value } => Import { from, value },
            Begin(spec) => Begin(own(spec)),
            End { carries, ys } => End { carries: own(carries), ys: own(ys) },
            Results(values) => Results(own(values)),
            Leave => Leave,
            Enter(body) => Enter(body),
            EndBranch(values) => EndBranch(own(values)),
            Abandon => Abandon,
            RecomputeBegin => RecomputeBegin,
            RecomputeEnd => RecomputeEnd,
            Output { value, update } => Output { value, update },
            Arith(op, sizes) => Arith(op, sizes),
            Divided(size, by) => Divided(size, by),
            Unify(sizes, at) => Unify(sizes, at),
            Specialize { size, why, at } => Specialize { size, why: Aside(own(why.0)), at },
            AtLeast(size, least) => AtLeast(size, least),
        }
    }
}

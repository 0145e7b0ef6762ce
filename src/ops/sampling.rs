//! Random numbers from existing tensors: fills in place, the `_like` forms, and distributions whose parameters are tensors.
//! Each is drawn from a generator, in a trace by every call; no gradient but 0 flows through any.

use super::arg::{Arg, broadcast_sizes};
use super::assign::{Derivative, assign, check_fillable};
use super::gather::{all_true, checked};
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::backend::cpu::host::room;
use crate::device;
use crate::error::{Error, Result, called, must};
use crate::mode;
use crate::mode::apply::apply;
use crate::mode::layout::ordered_as;
use crate::mode::sizes::is_zero;
use crate::mode::state::order_asked;
use crate::mode::values::{full_of, no_host_read};
use crate::ops::random::{check, default_generator};
use crate::tensor::draw::Kind;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::{LayoutRule, outermost_first};
use crate::tensor::size::sizes_of;
use crate::tensor::{FromElement, Generator, Sizes, Tensor, contiguous_strides, eval};
use allotrope_ir::{Axes, DType, Op, Scalar};
use smallvec::{SmallVec, smallvec};
use std::ops::{Add, Div};
use std::panic::Location;

/// Draws a number for every element of `t`, of `dtype`, in the order of memory that these strides mean.
fn draw_along(g: &Generator, t: &Tensor, strides: &[isize], kind: Kind, dtype: DType) -> Result<Tensor> {
    if !mode::is_recording() {
        eval::strided(t)?;
    }
    order_asked(t);
    let (shape, own) = (t.shape_hint(), t.sizes());
    let axes = outermost_first(shape, strides);
    if axes.iter().filter(|&&a| shape[a] > 1).is_sorted() {
        return g.draw(kind, &own, dtype);
    }
    // PyTorch draws normal numbers one by one where axes are in another order.
    let drawn = g.draw(kind.serial(), &axes.iter().map(|&a| own[a]).collect::<Sizes>(), dtype)?;
    let mut back = Axes::from_elem(0, axes.len());
    axes.iter().enumerate().for_each(|(i, &a)| back[a] = i);
    apply(&Op::Permute(back), &[Operand::Tensor(&drawn)])
}

/// Draws a number for every element of `like`, of `dtype`, in the order of memory of a copy of it, as which the result lies.
pub(crate) fn draw_as(g: &Generator, like: &Tensor, kind: Kind, dtype: DType) -> Result<Tensor> {
    let _entered = device::enter(like.device());
    let strides = LayoutRule::Preserved.strides(like.shape_hint(), std::iter::once(Some(like.laid_out())));
    let strides = strides.unwrap_or_else(|| contiguous_strides(like.shape_hint()));
    ordered_as(draw_along(g, like, &strides, kind, dtype)?, like)
}

/// Draws a number for every element of `target`, which they are to fill, in the order of its memory; also where there are gaps
/// PyTorch draws normal numbers one by one.
fn draw_for(g: &Generator, target: &Tensor, kind: Kind, dtype: DType) -> Result<Tensor> {
    let _entered = device::enter(target.device());
    let serial = matches!(kind, Kind::Normal { .. }) && !target.is_contiguous();
    draw_along(g, target, target.laid_out(), if serial { kind.serial() } else { kind }, dtype)
}

/// Fills `target` in the order of its memory. Whatever can fail comes before the draw.
fn fill(name: &'static str, g: &Generator, target: &Tensor, kind: Kind) -> Result<()> {
    check_fillable(target)?;
    assign(target, &draw_for(g, target, kind, target.dtype())?, Derivative::Taken(name, None))
}

/// As [`fill`], with floats. PyTorch asks only where something is drawn whether that is what the tensor holds.
fn fill_floats(what: &'static str, name: &'static str, g: &Generator, target: &Tensor, kind: Kind) -> Result<()> {
    if is_nothing(target) {
        check_fillable(target)?;
        return assign(target, &target.try_zeros_like()?, Derivative::Taken(name, None));
    }
    float(what, target.dtype())?;
    fill(name, g, target, kind)
}

/// Whether it is a tensor of integers without elements.
fn is_nothing(x: &Tensor) -> bool {
    !x.dtype().is_float() && x.sizes().iter().any(|&n| is_zero(n))
}

fn float(what: &'static str, dtype: DType) -> Result<()> {
    check(dtype.is_float(), || format!("{what}: draws floats, the tensor is {dtype}"))
}

/// Defines fills for a generator and for the default one, each with its `try_` twin.
macro_rules! fills {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $g:ident, $t:ident $(, $arg:ident : $ty:ty)* ) $body:block )*) => {
        impl Generator {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Generator::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name(&self, tensor: &Tensor $(, $arg: $ty)*) {
                must(self.$try_name(tensor $(, $arg)*))
            }

            #[doc = concat!("As [`Generator::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit, and when the tensor may not be changed in place.
            #[track_caller]
            pub fn $try_name(&self, tensor: &Tensor $(, $arg: $ty)*) -> Result<()> {
                #[track_caller]
                fn body($g: &Generator, $t: &Tensor $(, $arg: $ty)*) -> Result<()> $body
                called(body(self, tensor $(, $arg)*))
            }
        )*}

        impl Tensor {$(
            $(#[$doc])*
            ///
            /// The numbers are the default generator's.
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name(&self $(, $arg: $ty)*) -> &Tensor {
                must(self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit, and when the tensor may not be changed in place.
            #[track_caller]
            pub fn $try_name(&self $(, $arg: $ty)*) -> Result<&Tensor> {
                default_generator().$try_name(self $(, $arg)*).map(|()| self)
            }
        )*}
    };
}

fills! {
    /// Fills the tensor with uniform numbers in [from, to).
    fn uniform_ / try_uniform_(g, t, from: f64, to: f64) {
        float("uniform_", t.dtype())?;
        fill("UniformBackward0", g, t, Kind::Uniform { low: from, high: to })
    }

    /// Fills the tensor with normally distributed numbers.
    fn normal_ / try_normal_(g, t, mean: f64, std: f64) {
        check(std >= 0.0, || format!("normal_: the standard deviation must not be negative, got {std}"))?;
        fill_floats("normal_", "NormalBackward0", g, t, Kind::Normal { mean, std })
    }

    /// Fills the tensor with exponentially distributed numbers of rate `lambd`.
    fn exponential_ / try_exponential_(g, t, lambd: f64) {
        fill_floats("exponential_", "ExponentialBackward0", g, t, Kind::Exponential { rate: lambd })
    }

    /// Fills the tensor with whole numbers from 0 up to what its dtype holds exactly.
    fn random_ / try_random_(g, t) {
        fill("RandomBackward2", g, t, Kind::Whole { of: t.dtype() })
    }

    /// Fills the tensor with integers in [from, to): `torch.Tensor.random_(from, to)`.
    fn random_range_ / try_random_range_(g, t, from: i64, to: i64) {
        within("random_", from, to, t.dtype())?;
        fill("RandomBackward0", g, t, Kind::Integers { low: from, high: to })
    }

    /// Sets each element to 1 with its probability, else to 0. One number is the probability of all; a tensor of
    /// floats has one for each, and broadcasts.
    fn bernoulli_ / try_bernoulli_(g, t, p: impl Probability) {
        match p.probability() {
            Probable::One(p) => fill("BernoulliBackward2", g, t, Kind::Bernoulli { p }),
            Probable::Each(p) => {
                check_fillable(t)?;
                let p = probabilities(p)?.expand_sizes(&t.sizes())?;
                let drawn = draw_for(g, t, UNIFORM, p.dtype())?.try_lt(&p)?;
                assign(t, &drawn.try_to(t.dtype())?, Derivative::Taken("BernoulliBackward1", None))
            }
        }
    }
}

/// That every number of [low, high) is one of the dtype.
fn within(what: &'static str, low: i64, high: i64, dtype: DType) -> Result<()> {
    let (least, most) = match dtype {
        DType::Bool => (0, 1),
        DType::U8 => (0, i64::from(u8::MAX)),
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::F16 => (-65504, 65504),
        DType::I64 | DType::BF16 | DType::F32 | DType::F64 => return Ok(()),
    };
    check(low >= high || (low >= least && high - 1 <= most), || {
        format!("{what}: [{low}, {high}) holds numbers that {dtype} has not")
    })
}

const UNIFORM: Kind = Kind::Uniform { low: 0.0, high: 1.0 };

/// Probabilities in the dtype that PyTorch draws beside them, after the check that they are some.
fn probabilities(p: &Tensor) -> Result<Tensor> {
    float("bernoulli", p.dtype())?;
    let p = match p.dtype() {
        DType::F64 => p.detach(),
        _ => p.detach().try_to(DType::F32)?,
    };
    let inside = all_true(&p.try_ge(0.0)?.try_logical_and(&p.try_le(1.0)?)?)?;
    checked(&p, &inside, "bernoulli: probabilities must be in [0, 1]")
}

/// What [`Tensor::bernoulli_`] takes: a number, or a tensor of them.
pub trait Probability {
    #[doc(hidden)]
    fn probability(&self) -> Probable<'_>;
}

#[doc(hidden)]
pub enum Probable<'a> {
    One(f64),
    Each(&'a Tensor),
}

impl Probability for f64 {
    fn probability(&self) -> Probable<'_> {
        Probable::One(*self)
    }
}

impl Probability for &Tensor {
    fn probability(&self) -> Probable<'_> {
        Probable::Each(self)
    }
}

/// Defines draws for a generator and as free functions from the default one, each with its `try_` twin.
macro_rules! draws {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident $(<$lt:lifetime>)? ( $g:ident $(, $arg:ident : $ty:ty)* ) $body:block )*) => {
        impl Generator {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Generator::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name $(<$lt>)? (&self $(, $arg: $ty)*) -> Tensor {
                must(self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Generator::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit; in a trace, for what has to look at elements.
            #[track_caller]
            pub fn $try_name $(<$lt>)? (&self $(, $arg: $ty)*) -> Result<Tensor> {
                #[track_caller]
                fn body $(<$lt>)? ($g: &Generator $(, $arg: $ty)*) -> Result<Tensor> $body
                called(body(self $(, $arg)*))
            }
        )*}

        $(
            $(#[$doc])*
            ///
            /// The numbers are the default generator's.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name $(<$lt>)? ($($arg: $ty),*) -> Tensor {
                must(default_generator().$try_name($($arg),*))
            }

            #[doc = concat!("As [`", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit; in a trace, for what has to look at elements.
            #[track_caller]
            pub fn $try_name $(<$lt>)? ($($arg: $ty),*) -> Result<Tensor> {
                default_generator().$try_name($($arg),*)
            }
        )*
    };
}

draws! {
    /// Uniform numbers in [0, 1), with the shape, dtype and order of memory of another tensor: `torch.rand_like`.
    fn rand_like / try_rand_like(g, like: &Tensor) {
        float("rand_like", like.dtype())?;
        draw_as(g, like, UNIFORM, like.dtype())
    }

    /// Normally distributed numbers with the shape, dtype and order of memory of another tensor: `torch.randn_like`.
    fn randn_like / try_randn_like(g, like: &Tensor) {
        if is_nothing(like) {
            return like.try_zeros_like();
        }
        float("randn_like", like.dtype())?;
        draw_as(g, like, Kind::Normal { mean: 0.0, std: 1.0 }, like.dtype())
    }

    /// Integers in [low, high), with the shape, dtype and order of memory of another tensor: `torch.randint_like`.
    fn randint_like / try_randint_like(g, like: &Tensor, low: i64, high: i64) {
        within("randint_like", low, high, like.dtype())?;
        draw_as(g, like, Kind::Integers { low, high }, like.dtype())
    }

    /// 1 with the probability that stands in `p`, else 0, in the dtype of `p`: `torch.bernoulli`.
    fn bernoulli / try_bernoulli(g, p: &Tensor) {
        let _entered = device::enter(p.device());
        let each = probabilities(p)?;
        by_parameters("BernoulliBackward0", &[p], || {
            g.draw(UNIFORM, &each.sizes(), each.dtype())?.try_lt(&each)?.try_to(p.dtype())
        })
    }

    /// Normally distributed numbers, each with its own mean and standard deviation: `torch.normal`. Tensors broadcast
    /// together; [`Generator::normal_of`] is for two numbers.
    fn normal / try_normal<'a>(g, mean: impl Into<Arg<'a>>, std: impl Into<Arg<'a>>) {
        let (mean, std) = (mean.into(), std.into());
        let (sizes, dtype) = match (mean, std) {
            (Arg::Tensor(m), Arg::Tensor(s)) => (broadcast_sizes("normal", m, s)?, m.dtype()),
            (Arg::Tensor(t), Arg::Number(_)) | (Arg::Number(_), Arg::Tensor(t)) => (t.sizes(), t.dtype()),
            (Arg::Number(_), Arg::Number(_)) => {
                return Err(Error::operands("normal", "two numbers say no shape; use normal_of(shape, dtype, mean, std)"));
            }
        };
        float("normal", dtype)?;
        let (name, parameters): (_, SmallVec<[&Tensor; 2]>) = match (mean, std) {
            (Arg::Tensor(m), Arg::Tensor(s)) => ("NormalBackward3", smallvec![m, s]),
            (Arg::Number(_), Arg::Tensor(s)) => ("NormalBackward2", smallvec![s]),
            (Arg::Tensor(m), Arg::Number(_)) => ("NormalBackward1", smallvec![m]),
            (Arg::Number(_), Arg::Number(_)) => unreachable!("bug in allotrope: two numbers say no shape"),
        };
        by_parameters(name, &parameters, || {
            let spread = match std {
                Arg::Number(n) => match n.to(DType::F64) {
                    Scalar::F64(std) => g.draw(Kind::Normal { mean: 0.0, std }, &sizes, dtype)?,
                    other => unreachable!("bug in allotrope: a number as f64 became {other:?}"),
                },
                Arg::Tensor(s) => {
                    let s = s.detach();
                    let holds = all_true(&s.try_ge(0.0)?)?;
                    let s = checked(&s, &holds, "normal: standard deviations must not be negative")?;
                    g.draw(Kind::Normal { mean: 0.0, std: 1.0 }, &sizes, dtype)?.try_mul(&s.try_to(dtype)?)?
                }
            };
            match mean {
                Arg::Number(_) => spread.try_add(mean),
                Arg::Tensor(m) => spread.try_add(&m.detach()),
            }
        })
    }

    /// `n` indices for each row of weights, `[m] -> [n]` or `[rows, m] -> [rows, n]`, as `i64`: each is drawn with the
    /// probability that its weight has in its row, with or without replacement. `torch.multinomial`.
    fn multinomial / try_multinomial(g, weights: &Tensor, n: usize, replacement: bool) {
        no_host_read("multinomial", Location::caller())?;
        float("multinomial", weights.dtype())?;
        let weights = weights.detach();
        match weights.dtype() {
            DType::F64 => multinomial_of::<f64>(g, &weights, n, replacement),
            _ => multinomial_of::<f32>(g, &weights.try_to(DType::F32)?, n, replacement),
        }
    }

    /// What dropout multiplies with: 0 with probability `p`, else 1 / (1 - p). As in PyTorch nothing is drawn where `p`
    /// is 0 or 1.
    fn dropout_mask / try_dropout_mask(g, shape: &[usize], dtype: DType, p: f64) {
        check((0.0..=1.0).contains(&p), || format!("dropout: the probability must be in [0, 1], got {p}"))?;
        float("dropout_mask", dtype)?;
        match p {
            0.0 => full_of(&sizes_of(shape), Scalar::from_f64(1.0, dtype)),
            1.0 => full_of(&sizes_of(shape), Scalar::from_f64(0.0, dtype)),
            p => g.try_bernoulli_of(shape, dtype, 1.0 - p)?.try_div(1.0 - p),
        }
    }
}

/// A draw whose parameters are tensors. As in PyTorch it has a gradient, which is 0.
fn by_parameters(name: &'static str, parameters: &[&Tensor], draw: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
    let operands: SmallVec<[Operand<'_>; 2]> = parameters.iter().map(|p| Operand::Tensor(p)).collect();
    let of: SmallVec<[(Sizes, DType); 2]> = parameters.iter().map(|p| (p.sizes(), p.dtype())).collect();
    composite(name, &operands, draw, |_| {
        move |c: &Context<'_>, _: &Tensor| {
            let zeros = |(i, (sizes, dtype)): (usize, &(Sizes, DType))| {
                c.wants(i).then(|| full_of(sizes, Scalar::from_f64(0.0, *dtype))).transpose()
            };
            of.iter().enumerate().map(zeros).collect()
        }
    })
}

fn multinomial_of<T>(g: &Generator, weights: &Tensor, n: usize, replacement: bool) -> Result<Tensor>
where
    T: FromElement + PartialOrd + Into<f64> + Add<Output = T> + Div<Output = T>,
{
    let wrong = |message: String| Err(Error::operands("multinomial", message));
    let (rows, m) = match *weights.shape_hint() {
        [m] => (1, m),
        [rows, m] => (rows, m),
        ref shape => return wrong(format!("weights are [m] or [rows, m], got shape {shape:?}")),
    };
    if n == 0 || m == 0 || (!replacement && n > m) {
        return wrong(format!("can't draw {n} of {m} {} replacement", if replacement { "with" } else { "without" }));
    }
    let elements = eval::elements::<T>(weights)?;
    if let Some(w) = elements.iter().map(|w| (*w).into()).find(|w| !w.is_finite() || *w < 0.0) {
        return wrong(format!("weights must be finite and not negative, got {w}"));
    }
    let sums: Vec<T> = elements.chunks(m).map(|row| row.iter().fold(T::default(), |a, b| a + *b)).collect();
    if sums.iter().any(|s| *s <= T::default()) {
        return wrong("each row needs a weight above 0".into());
    }
    let mut drawn: Vec<i64> = room(rows.saturating_mul(n))?;
    if replacement && n > 1 {
        for (row, sum) in elements.chunks(m).zip(&sums) {
            let mut below = T::default();
            let mut ends: Vec<f64> = Vec::with_capacity(m);
            for w in row {
                below = below + *w;
                ends.push((below / *sum).into());
            }
            ends[m - 1] = 1.0;
            let uniform = eval::elements::<f64>(&g.try_rand(&[n], DType::F64)?)?;
            drawn.extend(uniform.iter().map(|u| ends.partition_point(|end| end < u) as i64));
        }
    } else {
        // The largest of weight over exponential are a draw without replacement.
        let times = eval::elements::<T>(&g.try_exponential(&[rows * m], T::DTYPE, 1.0)?)?;
        for (row, times) in elements.chunks(m).zip(times.chunks(m)) {
            let keys: Vec<f64> = row.iter().zip(times).map(|(w, t)| (*w / *t).into()).collect();
            let mut order: Vec<usize> = (0..m).collect();
            order.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]));
            drawn.extend(order[..n].iter().map(|&i| i as i64));
        }
    }
    match weights.dim() {
        1 => Tensor::try_from_vec(drawn, &[n]),
        _ => Tensor::try_from_vec(drawn, &[rows, n]),
    }
}

//! What is drawn: a distribution with its numbers, and how a generator fills memory with it. Eager calls and compiled
//! ones draw through here, so they take the same words of the stream. It makes no tensor and knows no mode.

use crate::backend::Memory;
use crate::backend::cpu::host;
use crate::error::{Error, Result};
use crate::kernels::rng::{self, Mt19937};
use allotrope_ir::DType;
use std::ops::Range;

/// A distribution, with numbers that the program states.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// One sample after the other also where PyTorch draws contiguous tensors of 16 and more elements in groups.
    NormalSerial {
        mean: f64,
        std: f64,
    },
    /// As PyTorch draws halves: the elements behind the last whole group of 16 take no numbers before that group is drawn once more.
    NormalHalves {
        mean: f64,
        std: f64,
    },
    Exponential {
        rate: f64,
    },
    Integers {
        low: i64,
        high: i64,
    },
    Permutation,
    Bernoulli {
        p: f64,
    },
    /// Whole numbers from 0 up to what the dtype holds exactly.
    Whole {
        of: DType,
    },
}

impl Kind {
    /// The operation's name, for messages and for the inputs of a graph.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Kind::Uniform { low: 0.0, high: 1.0 } => "rand",
            Kind::Normal { mean: 0.0, std: 1.0 } => "randn",
            Kind::Uniform { .. } => "uniform",
            Kind::Normal { .. } | Kind::NormalSerial { .. } | Kind::NormalHalves { .. } => "normal",
            Kind::Exponential { .. } => "exponential",
            Kind::Integers { .. } => "randint",
            Kind::Permutation => "randperm",
            Kind::Bernoulli { .. } => "bernoulli",
            Kind::Whole { .. } => "random",
        }
    }

    /// That the numbers make a distribution.
    ///
    /// # Errors
    /// When they don't.
    pub(crate) fn check(&self) -> Result<()> {
        let holds = |holds: bool, otherwise: String| if holds { Ok(()) } else { Err(Error::argument(otherwise)) };
        match *self {
            Kind::Uniform { low, high } => {
                holds(low <= high, format!("uniform: low must not be above high, got {low} and {high}"))
            }
            Kind::Normal { std, .. } | Kind::NormalSerial { std, .. } | Kind::NormalHalves { std, .. } => {
                holds(std >= 0.0, format!("normal: the standard deviation must not be negative, got {std}"))
            }
            Kind::Exponential { rate } => {
                holds(rate > 0.0, format!("exponential: the rate must be above 0, got {rate}"))
            }
            Kind::Integers { low, high } => {
                holds(low < high, format!("randint: low must be less than high, got {low} and {high}"))
            }
            Kind::Bernoulli { p } => {
                holds((0.0..=1.0).contains(&p), format!("bernoulli: the probability must be in [0, 1], got {p}"))
            }
            Kind::Whole { of } if of.is_half() => Err(Error::argument(format!("random: not defined for {of}"))),
            Kind::Permutation | Kind::Whole { .. } => Ok(()),
        }
    }

    /// The same, one sample after the other.
    pub(crate) fn serial(self) -> Kind {
        match self {
            Kind::Normal { mean, std } => Kind::NormalSerial { mean, std },
            other => other,
        }
    }

    /// The same for elements of `dtype`.
    pub(crate) fn for_elements_of(self, dtype: DType) -> Kind {
        match self {
            Kind::Normal { mean, std } if dtype.is_half() => Kind::NormalHalves { mean, std },
            other => other,
        }
    }

    /// The dtype that is drawn for elements of `dtype`; a cast makes those of it.
    ///
    /// # Errors
    /// When the distribution has no such elements.
    pub(crate) fn drawn_as(&self, dtype: DType) -> Result<DType> {
        match self {
            Kind::Integers { .. } | Kind::Permutation => Ok(DType::I64),
            Kind::Bernoulli { .. } => Ok(DType::Bool),
            Kind::Whole { of: DType::U8 | DType::I32 | DType::I64 } => Ok(DType::I64),
            Kind::Whole { of } => Ok(*of),
            // Halves are drawn in f32 and rounded; PyTorch takes other bits of each word for these.
            _ if dtype.is_half() => Ok(DType::F32),
            _ if dtype.is_float() => Ok(dtype),
            _ => Err(Error::argument(format!("{}: draws floats, not {dtype}", self.name()))),
        }
    }

    /// Draws the elements `at` of memory of the host that holds `dtype`, one of those that [`Kind::drawn_as`] gives.
    pub(crate) fn fill(&self, g: &mut Mt19937, out: &mut Memory, dtype: DType, at: Range<usize>) {
        match dtype {
            DType::F32 => self.fill_f32(g, &mut host::slice_mut(out)[at]),
            DType::F64 => self.fill_f64(g, &mut host::slice_mut(out)[at]),
            DType::I64 => self.fill_i64(g, &mut host::slice_mut(out)[at]),
            DType::Bool => match self {
                Kind::Bernoulli { p } => rng::bernoulli(g, &mut host::slice_mut(out)[at], *p),
                _ => rng::random_bool(g, &mut host::slice_mut(out)[at]),
            },
            _ => unreachable!("bug in allotrope: {self:?} drawn as {dtype}"),
        }
    }

    fn fill_f32(&self, g: &mut Mt19937, out: &mut [f32]) {
        match *self {
            Kind::Uniform { low, high } => rng::uniform_f32(g, out, low as f32, high as f32),
            Kind::Normal { mean, std } => rng::normal_f32(g, out, mean as f32, std as f32),
            // Fewer than 16 at a time are drawn one by one; the generator keeps the second of a pair for the next.
            Kind::NormalSerial { mean, std } => {
                out.chunks_mut(15).for_each(|o| rng::normal_f32(g, o, mean as f32, std as f32));
            }
            Kind::NormalHalves { mean, std } => {
                let (mean, std, n) = (mean as f32, std as f32, out.len());
                let whole = if n < 16 { n } else { n - n % 16 };
                rng::normal_f32(g, &mut out[..whole], mean, std);
                if whole < n {
                    rng::normal_f32(g, &mut out[n - 16..], mean, std);
                }
            }
            Kind::Exponential { rate } => rng::exponential(g, out, rate, |x| x as f32),
            _ => rng::random_f32(g, out),
        }
    }

    fn fill_f64(&self, g: &mut Mt19937, out: &mut [f64]) {
        match *self {
            Kind::Uniform { low, high } => rng::uniform_f64(g, out, low, high),
            Kind::Normal { mean, std } => rng::normal_f64(g, out, mean, std),
            Kind::NormalSerial { mean, std } => out.chunks_mut(15).for_each(|o| rng::normal_f64(g, o, mean, std)),
            Kind::Exponential { rate } => rng::exponential(g, out, rate, |x| x),
            _ => rng::random_f64(g, out),
        }
    }

    fn fill_i64(&self, g: &mut Mt19937, out: &mut [i64]) {
        let mut below = |n: u32| out.iter_mut().for_each(|x| *x = i64::from(g.random() % n));
        match *self {
            Kind::Integers { low, high } => rng::randint(g, out, low, high),
            Kind::Permutation => rng::randperm(g, out),
            Kind::Whole { of: DType::U8 } => below(1 << 8),
            Kind::Whole { of: DType::I32 } => below(1 << 31),
            _ => rng::random_i64(g, out),
        }
    }
}

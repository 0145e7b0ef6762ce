//! Making tensors: from Rust data, full of a number, and from PyTorch's random streams.
//! Inside a trace only numbers that the program states become part of it; data and random numbers do not.

use super::storage::Element;
use super::{Size, Tensor, eval, recorder};
use crate::error::{Error, Result, must};
use crate::kernels::rng;
use allotrope_ir::{DType, Op, Scalar};
use parking_lot::Mutex;
use std::panic::Location;
use std::sync::Arc;

/// A Rust type that is the element of a dtype.
pub trait FromElement: Element {
    /// The dtype whose elements these are.
    const DTYPE: DType;
    #[doc(hidden)]
    fn from_scalar(s: Scalar) -> Self;
    #[doc(hidden)]
    fn to_scalar(self) -> Scalar;
}

macro_rules! elements {
    ($($t:ty = $dtype:ident),*) => {$(
        impl FromElement for $t {
            const DTYPE: DType = DType::$dtype;
            fn from_scalar(s: Scalar) -> $t {
                match s {
                    Scalar::$dtype(x) => x,
                    other => panic!("bug in allotrope: {:?} read as {}", other, DType::$dtype),
                }
            }
            fn to_scalar(self) -> Scalar {
                Scalar::$dtype(self)
            }
        }
    )*};
}
elements!(f32 = F32, f64 = F64, i64 = I64, i32 = I32, u8 = U8, bool = Bool, half::f16 = F16, half::bf16 = BF16);

impl Tensor {
    /// A tensor of the elements in row-major order.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1i64, 2, 3, 4, 5, 6], &[2, 3]);
    /// assert_eq!(x.shape(), [2, 3]);
    /// ```
    ///
    /// # Panics
    /// When the number of elements is not that of the shape, and inside a trace: the data would become part of the
    /// compiled program.
    #[track_caller]
    pub fn from_vec<T: FromElement>(data: Vec<T>, shape: &[usize]) -> Tensor {
        must(from_slice_at(&data, shape, Location::caller()))
    }

    /// As [`Tensor::from_vec`], from borrowed elements.
    ///
    /// # Panics
    /// As [`Tensor::from_vec`] does.
    #[track_caller]
    pub fn from_slice<T: FromElement>(data: &[T], shape: &[usize]) -> Tensor {
        must(from_slice_at(data, shape, Location::caller()))
    }

    /// As [`Tensor::from_slice`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_from_slice<T: FromElement>(data: &[T], shape: &[usize]) -> Result<Tensor> {
        from_slice_at(data, shape, Location::caller())
    }

    /// A tensor without axes.
    pub fn scalar<T: FromElement>(value: T) -> Tensor {
        must(full_of(&[], value.to_scalar()))
    }

    /// A tensor full of one number.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(Tensor::full(&[2], 0.5f32).to_vec::<f32>(), [0.5, 0.5]);
    /// ```
    #[track_caller]
    pub fn full<T: FromElement>(shape: &[usize], value: T) -> Tensor {
        must(full_of(&recorder::sizes_of(shape), value.to_scalar()))
    }

    /// A tensor of zeros.
    #[track_caller]
    pub fn zeros(shape: &[usize], dtype: DType) -> Tensor {
        must(full_of(&recorder::sizes_of(shape), Scalar::from_f64(0.0, dtype)))
    }

    /// A tensor of ones.
    #[track_caller]
    pub fn ones(shape: &[usize], dtype: DType) -> Tensor {
        must(full_of(&recorder::sizes_of(shape), Scalar::from_f64(1.0, dtype)))
    }

    /// Zeros of the same shape and dtype; symbolic dimensions stay symbolic.
    pub fn zeros_like(&self) -> Tensor {
        must(full_of(&self.sizes(), Scalar::from_f64(0.0, self.dtype())))
    }

    /// Ones of the same shape and dtype; symbolic dimensions stay symbolic.
    pub fn ones_like(&self) -> Tensor {
        must(full_of(&self.sizes(), Scalar::from_f64(1.0, self.dtype())))
    }

    /// `steps` numbers from `start` to `end`, both included, computed as PyTorch's `linspace` does for f32: in f32,
    /// from the start in the first half and from the end in the second.
    #[track_caller]
    pub fn linspace(start: f32, end: f32, steps: usize) -> Tensor {
        let step = if steps > 1 { (end - start) / (steps - 1) as f32 } else { 0.0 };
        let at = |i: usize| match i < steps / 2 {
            true => start + step * i as f32,
            false => end - step * (steps - 1 - i) as f32,
        };
        must(from_slice_at(&(0..steps).map(at).collect::<Vec<f32>>(), &[steps], Location::caller()))
    }

    /// The numbers 0, 1, …, n-1 as `i64`.
    #[track_caller]
    pub fn arange(n: usize) -> Tensor {
        must(try_arange_sizes(Size::from(n)))
    }
}

/// 0, 1, …, n-1 for a size that may be symbolic.
pub(crate) fn try_arange_sizes(n: Size) -> Result<Tensor> {
    let op = Op::Iota(n);
    match recorder::active() {
        Some(r) => r.record(&op, &[]),
        None => eval::eval(&op, &[], DType::I64, &[n]),
    }
}

/// A tensor full of `value`, recorded where a trace runs.
pub(crate) fn full_of(sizes: &[Size], value: Scalar) -> Result<Tensor> {
    match recorder::active() {
        Some(r) => r.full(sizes, value),
        None => Ok(eval::full(&super::size::hints(sizes), value)),
    }
}

fn from_slice_at<T: FromElement>(data: &[T], shape: &[usize], at: &'static Location<'static>) -> Result<Tensor> {
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if n != Some(data.len()) {
        return Err(Error::operands("from_vec", format!("{} elements do not fill shape {shape:?}", data.len())));
    }
    if let Some(r) = recorder::active() {
        return Err(r.host_read("Rust data made into a tensor", at));
    }
    let mut buffer = eval::buffer_for(T::DTYPE, data.len());
    buffer.slice_mut::<T>().copy_from_slice(data);
    Ok(eval::fresh(T::DTYPE, shape, buffer))
}

/// A random generator with PyTorch's CPU streams (MT19937): the same seed gives the same numbers.
/// Clones share their state.
#[derive(Clone)]
pub struct Generator(Arc<Mutex<rng::Mt19937>>);

impl Generator {
    /// A generator seeded as `torch.manual_seed` does.
    pub fn new(seed: u64) -> Generator {
        Generator(Arc::new(Mutex::new(rng::Mt19937::new(seed))))
    }

    /// Starts the streams of `seed`.
    pub fn manual_seed(&self, seed: u64) {
        *self.0.lock() = rng::Mt19937::new(seed);
    }

    /// Uniform numbers in [0, 1), as `torch.rand`.
    ///
    /// # Panics
    /// When the dtype is not a float, and inside a trace.
    #[track_caller]
    pub fn rand(&self, shape: &[usize], dtype: DType) -> Tensor {
        self.uniform(shape, dtype, 0.0, 1.0)
    }

    /// Uniform numbers in [low, high), as `Tensor.uniform_`.
    ///
    /// # Panics
    /// As [`Generator::rand`].
    #[track_caller]
    pub fn uniform(&self, shape: &[usize], dtype: DType, low: f64, high: f64) -> Tensor {
        must(self.floats("rand", shape, dtype, Location::caller(), |g, out| match out {
            Floats::F32(out) => rng::uniform_f32(g, out, low as f32, high as f32),
            Floats::F64(out) => rng::uniform_f64(g, out, low, high),
        }))
    }

    /// Normally distributed numbers with mean 0 and variance 1, as `torch.randn`.
    ///
    /// # Panics
    /// As [`Generator::rand`].
    #[track_caller]
    pub fn randn(&self, shape: &[usize], dtype: DType) -> Tensor {
        must(self.floats("randn", shape, dtype, Location::caller(), |g, out| match out {
            Floats::F32(out) => rng::normal_f32(g, out, 0.0, 1.0),
            Floats::F64(out) => rng::normal_f64(g, out, 0.0, 1.0),
        }))
    }

    /// Integers in [low, high), as `torch.randint`.
    ///
    /// # Panics
    /// When `low >= high`, and inside a trace.
    #[track_caller]
    pub fn randint(&self, low: i64, high: i64, shape: &[usize]) -> Tensor {
        if low >= high {
            panic!("randint: low must be less than high, got {low} and {high}");
        }
        must(self.ints("randint", shape, Location::caller(), |g, out| rng::randint(g, out, low, high)))
    }

    /// The numbers 0, …, n-1 in random order, as `torch.randperm`.
    ///
    /// # Panics
    /// Inside a trace.
    #[track_caller]
    pub fn randperm(&self, n: usize) -> Tensor {
        must(self.ints("randperm", &[n], Location::caller(), rng::randperm))
    }

    fn floats(
        &self,
        what: &str,
        shape: &[usize],
        dtype: DType,
        at: &'static Location<'static>,
        fill: impl FnOnce(&mut rng::Mt19937, Floats<'_>),
    ) -> Result<Tensor> {
        untraced(what, at)?;
        let n: usize = shape.iter().product();
        let mut buffer = eval::buffer_for(dtype, n);
        let out = match dtype {
            DType::F32 => Floats::F32(buffer.slice_mut()),
            DType::F64 => Floats::F64(buffer.slice_mut()),
            other => return Err(Error::Argument(format!("{what}: draws f32 or f64, not {other}"))),
        };
        fill(&mut self.0.lock(), out);
        Ok(eval::fresh(dtype, shape, buffer))
    }

    fn ints(
        &self,
        what: &str,
        shape: &[usize],
        at: &'static Location<'static>,
        fill: impl FnOnce(&mut rng::Mt19937, &mut [i64]),
    ) -> Result<Tensor> {
        untraced(what, at)?;
        let n: usize = shape.iter().product();
        let mut buffer = eval::buffer_for(DType::I64, n);
        fill(&mut self.0.lock(), buffer.slice_mut());
        Ok(eval::fresh(DType::I64, shape, buffer))
    }
}

enum Floats<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
}

fn untraced(what: &str, at: &'static Location<'static>) -> Result<()> {
    match recorder::active() {
        Some(r) => Err(r.host_read(&format!("{what}(), whose numbers would be the same on every call,"), at)),
        None => Ok(()),
    }
}

/// The generator that [`manual_seed`], [`rand`], [`randn`] and the initialisation of layers use. It is one for the
/// whole process, as PyTorch's.
pub fn default_generator() -> &'static Generator {
    static DEFAULT: std::sync::OnceLock<Generator> = std::sync::OnceLock::new();
    DEFAULT.get_or_init(|| Generator::new(67280421310721))
}

/// Starts PyTorch's streams of `seed` in the default generator.
///
/// ```
/// use allotrope::prelude::*;
/// manual_seed(1);
/// assert_eq!(rand(&[2]).to_vec::<f32>(), [0.757_631_6, 0.279_310_88]);
/// ```
pub fn manual_seed(seed: u64) {
    default_generator().manual_seed(seed);
}

/// Uniform f32 numbers in [0, 1) from the default generator.
///
/// # Panics
/// Inside a trace.
#[track_caller]
pub fn rand(shape: &[usize]) -> Tensor {
    default_generator().rand(shape, DType::F32)
}

/// Normally distributed f32 numbers from the default generator.
///
/// # Panics
/// Inside a trace.
#[track_caller]
pub fn randn(shape: &[usize]) -> Tensor {
    default_generator().randn(shape, DType::F32)
}

/// Integers in [low, high) from the default generator.
///
/// # Panics
/// As [`Generator::randint`].
#[track_caller]
pub fn randint(low: i64, high: i64, shape: &[usize]) -> Tensor {
    default_generator().randint(low, high, shape)
}

/// The numbers 0, …, n-1 in random order from the default generator.
///
/// # Panics
/// Inside a trace.
#[track_caller]
pub fn randperm(n: usize) -> Tensor {
    default_generator().randperm(n)
}

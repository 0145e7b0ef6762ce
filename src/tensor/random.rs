//! Random tensors from PyTorch's CPU streams, and the generators that draw them. Inside a trace nothing is drawn: the
//! numbers would be the same on every call. Filling tensors in place, and draws that other tensors parametrise, are
//! operations: `ops/sampling.rs`.

use super::{Tensor, eval, recorder};
use crate::error::{Error, Result, must};
use crate::kernels::rng::{self, Mt19937};
use allotrope_ir::DType;
use parking_lot::Mutex;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::panic::Location;
use std::sync::{Arc, OnceLock};

/// A random generator with PyTorch's CPU streams (MT19937): the same seed gives the same numbers.
/// Clones share their state; [`Generator::fork`] makes one of its own.
///
/// ```
/// use allotrope::prelude::*;
/// let generator = Generator::new(1);
/// let saved = generator.get_state();
/// let first = generator.randn(&[3], DType::F32);
/// generator.set_state(&saved)?;
/// assert_eq!(generator.randn(&[3], DType::F32).to_vec::<f32>(), first.to_vec::<f32>());
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone)]
pub struct Generator(Arc<Mutex<Mt19937>>);

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").field("initial_seed", &self.initial_seed()).finish_non_exhaustive()
    }
}

/// The seed of a generator that nobody has seeded, as in PyTorch.
const DEFAULT_SEED: u64 = 67280421310721;

impl Default for Generator {
    fn default() -> Generator {
        Generator::new(DEFAULT_SEED)
    }
}

impl Generator {
    /// A generator seeded as `torch.manual_seed` does.
    pub fn new(seed: u64) -> Generator {
        Generator(Arc::new(Mutex::new(Mt19937::new(seed))))
    }

    /// Starts the streams of `seed`.
    pub fn manual_seed(&self, seed: u64) {
        *self.0.lock() = Mt19937::new(seed);
    }

    /// Starts the streams of a seed that nobody chose, and returns it.
    pub fn seed(&self) -> u64 {
        // The standard library's hashers begin with random keys from the system.
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
        self.manual_seed(seed);
        seed
    }

    /// The seed that the streams began with.
    pub fn initial_seed(&self) -> u64 {
        self.0.lock().seed()
    }

    /// The state as bytes, equal to those of `torch.Generator.get_state()` at the same place of the same stream.
    pub fn get_state(&self) -> Vec<u8> {
        self.0.lock().to_bytes()
    }

    /// Goes on from a saved state, one of PyTorch's CPU generator too.
    ///
    /// # Errors
    /// When the bytes are no state; the generator stays as it is.
    pub fn set_state(&self, state: &[u8]) -> Result<()> {
        let state = Mt19937::from_bytes(state).map_err(|e| Error::Argument(format!("set_state: {e}")))?;
        *self.0.lock() = state;
        Ok(())
    }

    /// Another generator, which goes on from the state of this one by itself.
    pub fn fork(&self) -> Generator {
        Generator(Arc::new(Mutex::new(self.0.lock().clone())))
    }
}

/// Defines draws twice from one definition: the form that panics at the caller's line, and the `try_` twin.
macro_rules! draws {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( &$self:ident $(, $arg:ident : $ty:ty)* $(,)? ) $body:block )*) => {
        impl Generator {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Generator::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name(&$self $(, $arg: $ty)*) -> Tensor {
                must($self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Generator::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit, and inside a trace.
            #[track_caller]
            pub fn $try_name(&$self $(, $arg: $ty)*) -> Result<Tensor> $body
        )*}
    };
}

draws! {
    /// Uniform numbers in [0, 1), as `torch.rand`.
    fn rand / try_rand(&self, shape: &[usize], dtype: DType) {
        self.floats("rand", shape, dtype, Location::caller(), |g, out| out.uniform(g, 0.0, 1.0))
    }

    /// Uniform numbers in [low, high), as `torch.empty(shape).uniform_(low, high)`.
    fn uniform / try_uniform(&self, shape: &[usize], dtype: DType, low: f64, high: f64) {
        check(low <= high, || format!("uniform: low must not be above high, got {low} and {high}"))?;
        self.floats("uniform", shape, dtype, Location::caller(), |g, out| out.uniform(g, low, high))
    }

    /// Normally distributed numbers with mean 0 and variance 1, as `torch.randn`.
    fn randn / try_randn(&self, shape: &[usize], dtype: DType) {
        self.floats("randn", shape, dtype, Location::caller(), |g, out| out.normal(g, 0.0, 1.0))
    }

    /// Normally distributed numbers, as `torch.normal(mean, std, shape)`.
    fn normal_of / try_normal_of(&self, shape: &[usize], dtype: DType, mean: f64, std: f64) {
        check(std >= 0.0, || format!("normal: the standard deviation must not be negative, got {std}"))?;
        self.floats("normal", shape, dtype, Location::caller(), |g, out| out.normal(g, mean, std))
    }

    /// Exponentially distributed numbers with rate `lambd`, as `torch.empty(shape).exponential_(lambd)`.
    fn exponential / try_exponential(&self, shape: &[usize], dtype: DType, lambd: f64) {
        check(lambd > 0.0, || format!("exponential: the rate must be above 0, got {lambd}"))?;
        self.floats("exponential", shape, dtype, Location::caller(), |g, out| out.exponential(g, lambd))
    }

    /// Integers in [low, high), as `torch.randint`.
    fn randint / try_randint(&self, low: i64, high: i64, shape: &[usize]) {
        check(low < high, || format!("randint: low must be less than high, got {low} and {high}"))?;
        self.ints("randint", shape, Location::caller(), |g, out| rng::randint(g, out, low, high))
    }

    /// The numbers 0, …, n-1 in random order, as `torch.randperm`.
    fn randperm / try_randperm(&self, n: usize) {
        self.ints("randperm", &[n], Location::caller(), rng::randperm)
    }

    /// 1 with probability `p`, else 0, as `torch.empty(shape).bernoulli_(p)`.
    fn bernoulli_of / try_bernoulli_of(&self, shape: &[usize], dtype: DType, p: f64) {
        check((0.0..=1.0).contains(&p), || format!("bernoulli: the probability must be in [0, 1], got {p}"))?;
        let drawn = self.bools("bernoulli", shape, Location::caller(), |g, out| rng::bernoulli(g, out, p))?;
        eval::cast(&drawn, dtype)
    }

    /// Whole numbers from 0 up to what the dtype holds exactly, as `torch.empty(shape).random_()`.
    fn random / try_random(&self, shape: &[usize], dtype: DType) {
        let at = Location::caller();
        match dtype {
            DType::Bool => self.bools("random", shape, at, rng::random_bool),
            DType::I64 => self.ints("random", shape, at, rng::random_i64),
            DType::U8 | DType::I32 => {
                let below = if dtype == DType::U8 { 1 << 8 } else { 1u32 << 31 };
                let fill = |g: &mut Mt19937, out: &mut [i64]| {
                    out.iter_mut().for_each(|x| *x = i64::from(g.random() % below));
                };
                eval::cast(&self.ints("random", shape, at, fill)?, dtype)
            }
            DType::F16 | DType::BF16 => Err(Error::Argument(format!("random: not defined for {dtype}"))),
            DType::F32 | DType::F64 => self.floats("random", shape, dtype, at, |g, out| out.random(g)),
        }
    }
}

impl Generator {
    /// As [`Generator::try_normal_of`], one sample after the other also where PyTorch draws contiguous tensors of 16 and
    /// more elements in groups.
    pub(crate) fn normal_serial(&self, shape: &[usize], dtype: DType, mean: f64, std: f64) -> Result<Tensor> {
        self.floats("normal", shape, dtype, Location::caller(), |g, out| out.normal_serial(g, mean, std))
    }

    /// `true` with the probability of each element.
    pub(crate) fn bernoulli_each(&self, p: &Probabilities, shape: &[usize]) -> Result<Tensor> {
        self.bools("bernoulli", shape, Location::caller(), |g, out| match p {
            Probabilities::F32(p) => rng::bernoulli_each_f32(g, p, out),
            Probabilities::F64(p) => rng::bernoulli_each_f64(g, p, out),
        })
    }

    fn floats(
        &self,
        what: &str,
        shape: &[usize],
        dtype: DType,
        at: &'static Location<'static>,
        fill: impl FnOnce(&mut Mt19937, Floats<'_>),
    ) -> Result<Tensor> {
        untraced(what, at)?;
        if dtype.is_half() {
            // Drawn in f32 and rounded; PyTorch takes other bits of each word for these.
            return eval::cast(&self.floats(what, shape, DType::F32, at, fill)?, dtype);
        }
        let mut buffer = eval::buffer_for(dtype, numel(what, shape)?);
        let out = match dtype {
            DType::F32 => Floats::F32(buffer.slice_mut()),
            DType::F64 => Floats::F64(buffer.slice_mut()),
            other => return Err(Error::Argument(format!("{what}: draws floats, not {other}"))),
        };
        fill(&mut self.0.lock(), out);
        Ok(eval::fresh(dtype, shape, buffer))
    }

    fn ints(
        &self,
        what: &str,
        shape: &[usize],
        at: &'static Location<'static>,
        fill: impl FnOnce(&mut Mt19937, &mut [i64]),
    ) -> Result<Tensor> {
        untraced(what, at)?;
        let mut buffer = eval::buffer_for(DType::I64, numel(what, shape)?);
        fill(&mut self.0.lock(), buffer.slice_mut());
        Ok(eval::fresh(DType::I64, shape, buffer))
    }

    fn bools(
        &self,
        what: &str,
        shape: &[usize],
        at: &'static Location<'static>,
        fill: impl FnOnce(&mut Mt19937, &mut [bool]),
    ) -> Result<Tensor> {
        untraced(what, at)?;
        let mut buffer = eval::buffer_for(DType::Bool, numel(what, shape)?);
        fill(&mut self.0.lock(), buffer.slice_mut());
        Ok(eval::fresh(DType::Bool, shape, buffer))
    }
}

/// One probability for each element.
pub(crate) enum Probabilities {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Room for floats, and what fills it.
enum Floats<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
}

impl Floats<'_> {
    fn uniform(self, g: &mut Mt19937, low: f64, high: f64) {
        match self {
            Floats::F32(out) => rng::uniform_f32(g, out, low as f32, high as f32),
            Floats::F64(out) => rng::uniform_f64(g, out, low, high),
        }
    }

    fn normal(self, g: &mut Mt19937, mean: f64, std: f64) {
        match self {
            Floats::F32(out) => rng::normal_f32(g, out, mean as f32, std as f32),
            Floats::F64(out) => rng::normal_f64(g, out, mean, std),
        }
    }

    fn normal_serial(self, g: &mut Mt19937, mean: f64, std: f64) {
        // Fewer than 16 at a time are drawn one by one; the generator keeps the second of a pair for the next.
        match self {
            Floats::F32(out) => out.chunks_mut(15).for_each(|o| rng::normal_f32(g, o, mean as f32, std as f32)),
            Floats::F64(out) => out.chunks_mut(15).for_each(|o| rng::normal_f64(g, o, mean, std)),
        }
    }

    fn exponential(self, g: &mut Mt19937, rate: f64) {
        match self {
            Floats::F32(out) => rng::exponential(g, out, rate, |x| x as f32),
            Floats::F64(out) => rng::exponential(g, out, rate, |x| x),
        }
    }

    fn random(self, g: &mut Mt19937) {
        match self {
            Floats::F32(out) => rng::random_f32(g, out),
            Floats::F64(out) => rng::random_f64(g, out),
        }
    }
}

fn numel(what: &str, shape: &[usize]) -> Result<usize> {
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    n.ok_or_else(|| Error::Argument(format!("{what}: a tensor of shape {shape:?} has too many elements")))
}

pub(crate) fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Argument(otherwise())) }
}

pub(crate) fn untraced(what: &str, at: &'static Location<'static>) -> Result<()> {
    match recorder::active() {
        Some(r) => Err(r.host_read(&format!("{what}(), whose numbers would be the same on every call,"), at)),
        None => Ok(()),
    }
}

/// The generator that [`manual_seed`], [`rand`], [`randn`] and the initialisation of layers use. It is one for the
/// whole process, as PyTorch's.
pub fn default_generator() -> &'static Generator {
    static DEFAULT: OnceLock<Generator> = OnceLock::new();
    DEFAULT.get_or_init(Generator::default)
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

/// Starts the streams of a seed that nobody chose in the default generator, and returns it.
pub fn seed() -> u64 {
    default_generator().seed()
}

/// The seed that the default generator began with.
pub fn initial_seed() -> u64 {
    default_generator().initial_seed()
}

/// The state of the default generator, see [`Generator::get_state`].
pub fn get_rng_state() -> Vec<u8> {
    default_generator().get_state()
}

/// Lets the default generator go on from a saved state.
///
/// # Errors
/// As [`Generator::set_state`].
pub fn set_rng_state(state: &[u8]) -> Result<()> {
    default_generator().set_state(state)
}

/// Runs `f`, and puts the default generator back to where it was, also where `f` panics.
///
/// ```
/// use allotrope::prelude::*;
/// use allotrope::tensor::random::fork_rng;
/// manual_seed(1);
/// fork_rng(|| randn(&[100]));
/// assert_eq!(rand(&[1]).item::<f32>(), 0.757_631_6);
/// ```
pub fn fork_rng<T>(f: impl FnOnce() -> T) -> T {
    struct Restore(Mt19937);
    impl Drop for Restore {
        fn drop(&mut self) {
            std::mem::swap(&mut *default_generator().0.lock(), &mut self.0);
        }
    }
    let _restore = Restore(default_generator().0.lock().clone());
    f()
}

/// Free functions that draw from the default generator.
macro_rules! from_default {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $($arg:ident : $ty:ty),* ) = ( $($given:expr),* ); )*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] fails.")]
        #[track_caller]
        pub fn $name($($arg: $ty),*) -> Tensor {
            must(default_generator().$try_name($($given),*))
        }

        #[doc = concat!("As [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// When the arguments do not fit, and inside a trace.
        #[track_caller]
        pub fn $try_name($($arg: $ty),*) -> Result<Tensor> {
            default_generator().$try_name($($given),*)
        }
    )*};
}

from_default! {
    /// Uniform f32 numbers in [0, 1) from the default generator.
    fn rand / try_rand(shape: &[usize]) = (shape, DType::F32);
    /// Normally distributed f32 numbers from the default generator.
    fn randn / try_randn(shape: &[usize]) = (shape, DType::F32);
    /// Integers in [low, high) from the default generator.
    fn randint / try_randint(low: i64, high: i64, shape: &[usize]) = (low, high, shape);
    /// The numbers 0, …, n-1 in random order from the default generator.
    fn randperm / try_randperm(n: usize) = (n);
}

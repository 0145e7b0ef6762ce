//! Random tensors from PyTorch's CPU streams, and the generators that draw them. Inside a trace nothing is drawn: each
//! call of the compiled function draws, from the same generators. Filling tensors in place, and draws that other
//! tensors parametrise, are operations: `ops/sampling.rs`.

use super::again::{is_again, next_again, note_drawn, note_state};
use super::draw::{Kind, numel};
use super::recorder::{Draw, Operand};
use super::size::hints;
use super::{Size, Tensor, eval, recorder};
use crate::backend;
use crate::device::{Device, default_device};
use crate::error::{Error, Result, must};
use crate::kernels::rng::Mt19937;
use allotrope_ir::{DType, Op};
use parking_lot::{Mutex, MutexGuard};
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
        f.debug_struct("Generator").field("initial_seed", &self.0.lock().seed()).finish_non_exhaustive()
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

    /// Starts the streams of `seed`. In a trace every call does so, at this place among its draws.
    pub fn manual_seed(&self, seed: u64) {
        match recorder::active() {
            // Where a part of the program is computed again, its draws are the first ones whatever the seed.
            Some(_) if is_again() => {}
            Some(r) => r.reseed(self, seed),
            None => *self.lock() = Mt19937::new(seed),
        }
    }

    /// Starts the streams of a seed that nobody chose, and returns it.
    ///
    /// # Panics
    /// Inside a trace, which has no numbers yet; so do [`Generator::initial_seed`], [`Generator::get_state`] and
    /// [`Generator::fork`].
    #[track_caller]
    pub fn seed(&self) -> u64 {
        must(untraced("seed()", Location::caller()));
        // The standard library's hashers begin with random keys from the system.
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
        self.manual_seed(seed);
        seed
    }

    /// The seed that the streams began with.
    #[track_caller]
    pub fn initial_seed(&self) -> u64 {
        must(untraced("initial_seed()", Location::caller()));
        self.0.lock().seed()
    }

    /// The state as bytes, equal to those of `torch.Generator.get_state()` at the same place of the same stream.
    #[track_caller]
    pub fn get_state(&self) -> Vec<u8> {
        must(untraced("get_state()", Location::caller()));
        self.0.lock().to_bytes()
    }

    /// Goes on from a saved state, one of PyTorch's CPU generator too.
    ///
    /// # Errors
    /// When the bytes are no state, and inside a trace; the generator stays as it is.
    #[track_caller]
    pub fn set_state(&self, state: &[u8]) -> Result<()> {
        untraced("set_state()", Location::caller())?;
        let state = Mt19937::from_bytes(state).map_err(|e| Error::Argument(format!("set_state: {e}")))?;
        *self.lock() = state;
        Ok(())
    }

    /// Another generator, which goes on from the state of this one by itself.
    #[track_caller]
    pub fn fork(&self) -> Generator {
        must(untraced("fork()", Location::caller()));
        Generator(Arc::new(Mutex::new(self.0.lock().clone())))
    }
}

impl Generator {
    /// Draws a tensor, or has the running trace note that every call draws one.
    ///
    /// # Errors
    /// When the distribution's numbers, the dtype or the shape do not fit.
    pub(crate) fn draw(&self, kind: Kind, sizes: &[Size], dtype: DType) -> Result<Tensor> {
        self.draw_on(default_device(), kind, sizes, dtype)
    }

    /// As [`Generator::draw`], for a device.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn draw_on(&self, device: Device, kind: Kind, sizes: &[Size], dtype: DType) -> Result<Tensor> {
        kind.check()?;
        let drawn = kind.drawn_as(dtype)?;
        let shape = hints(sizes);
        let n = numel(kind.name(), &shape)?;
        let traced = recorder::active();
        let tensor = match &traced {
            Some(r) => {
                r.runs_on(kind.name(), device)?;
                let (tensor, name) =
                    r.draw(&Draw { generator: self, kind: &kind, sizes, dtype: drawn, again: next_again()? })?;
                note_drawn(name);
                tensor
            }
            None => {
                // Drawn by the host on every device, so the streams are the same.
                let mut memory = backend::of(Device::Cpu).allocate(drawn, n)?;
                kind.fill(&mut self.lock(), &mut memory, drawn, 0..n);
                eval::transferred(&eval::fresh(Device::Cpu, drawn, &shape, memory), device)?
            }
        };
        match &traced {
            _ if drawn == dtype => Ok(tensor),
            Some(r) => r.record(&Op::Cast(dtype), &[Operand::Tensor(&tensor)]),
            None => eval::cast(&tensor, dtype),
        }
    }

    /// Whether the two are one generator.
    pub(crate) fn is_same(&self, other: &Generator) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The streams, to draw from or to put back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Mt19937> {
        let state = self.0.lock();
        note_state(self, &state);
        state
    }

    /// The streams, unnoticed.
    pub(super) fn lock_unnoted(&self) -> MutexGuard<'_, Mt19937> {
        self.0.lock()
    }
}

/// Defines draws twice from one definition: the form that panics at the caller's line, and the `try_` twin.
macro_rules! draws {
    ($( $(#[$doc:meta])* fn $name:ident / $try_name:ident ( $($arg:ident : $ty:ty),* $(,)? ) = ($kind:expr, $shape:expr, $dtype:expr); )*) => {
        impl Generator {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Generator::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name(&self $(, $arg: $ty)*) -> Tensor {
                must(self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Generator::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the arguments do not fit.
            pub fn $try_name(&self $(, $arg: $ty)*) -> Result<Tensor> {
                self.draw($kind, &recorder::sizes_of($shape), $dtype)
            }
        )*}
    };
}

draws! {
    /// Uniform numbers in [0, 1), as `torch.rand`.
    fn rand / try_rand(shape: &[usize], dtype: DType) = (Kind::Uniform { low: 0.0, high: 1.0 }, shape, dtype);

    /// Uniform numbers in [low, high), as `torch.empty(shape).uniform_(low, high)`.
    fn uniform / try_uniform(shape: &[usize], dtype: DType, low: f64, high: f64) = (Kind::Uniform { low, high }, shape, dtype);

    /// Normally distributed numbers with mean 0 and variance 1, as `torch.randn`.
    fn randn / try_randn(shape: &[usize], dtype: DType) = (Kind::Normal { mean: 0.0, std: 1.0 }, shape, dtype);

    /// Normally distributed numbers, as `torch.normal(mean, std, shape)`.
    fn normal_of / try_normal_of(shape: &[usize], dtype: DType, mean: f64, std: f64) = (Kind::Normal { mean, std }, shape, dtype);

    /// Exponentially distributed numbers with rate `lambd`, as `torch.empty(shape).exponential_(lambd)`.
    fn exponential / try_exponential(shape: &[usize], dtype: DType, lambd: f64) = (Kind::Exponential { rate: lambd }, shape, dtype);

    /// Integers in [low, high), as `torch.randint`.
    fn randint / try_randint(low: i64, high: i64, shape: &[usize]) = (Kind::Integers { low, high }, shape, DType::I64);

    /// The numbers 0, …, n-1 in random order, as `torch.randperm`.
    fn randperm / try_randperm(n: usize) = (Kind::Permutation, &[n], DType::I64);

    /// 1 with probability `p`, else 0, as `torch.empty(shape).bernoulli_(p)`.
    fn bernoulli_of / try_bernoulli_of(shape: &[usize], dtype: DType, p: f64) = (Kind::Bernoulli { p }, shape, dtype);

    /// Whole numbers from 0 up to what the dtype holds exactly, as `torch.empty(shape).random_()`.
    fn random / try_random(shape: &[usize], dtype: DType) = (Kind::Whole { of: dtype }, shape, dtype);
}

pub(crate) fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Argument(otherwise())) }
}

/// That no trace is recorded, for what only Rust can do with a generator.
pub(crate) fn untraced(what: &str, at: &'static Location<'static>) -> Result<()> {
    match recorder::active() {
        Some(r) => Err(r.host_read(what, at)),
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
#[track_caller]
pub fn seed() -> u64 {
    default_generator().seed()
}

/// The seed that the default generator began with.
#[track_caller]
pub fn initial_seed() -> u64 {
    default_generator().initial_seed()
}

/// The state of the default generator, see [`Generator::get_state`].
#[track_caller]
pub fn get_rng_state() -> Vec<u8> {
    default_generator().get_state()
}

/// Lets the default generator go on from a saved state.
///
/// # Errors
/// As [`Generator::set_state`].
#[track_caller]
pub fn set_rng_state(state: &[u8]) -> Result<()> {
    default_generator().set_state(state)
}

/// Runs `f`, and puts the default generator back to where it was, also where `f` panics.
///
/// # Panics
/// Inside a trace.
///
/// ```
/// use allotrope::prelude::*;
/// use allotrope::tensor::random::fork_rng;
/// manual_seed(1);
/// fork_rng(|| randn(&[100]));
/// assert_eq!(rand(&[1]).item::<f32>(), 0.757_631_6);
/// ```
#[track_caller]
pub fn fork_rng<T>(f: impl FnOnce() -> T) -> T {
    must(untraced("fork_rng()", Location::caller()));
    struct Restore(Mt19937);
    impl Drop for Restore {
        fn drop(&mut self) {
            std::mem::swap(&mut *default_generator().lock(), &mut self.0);
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
        /// When the arguments do not fit.
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

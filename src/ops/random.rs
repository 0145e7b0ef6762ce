//! Random tensors from PyTorch's CPU streams, by a generator or by the one of the process. Filling tensors in place, and
//! draws that other tensors parametrise, are in `sampling.rs`.

use crate::error::{Error, Result, called, must};
use crate::kernels::rng::Mt19937;
use crate::mode::values::no_host_read;
use crate::tensor::draw::Kind;
use crate::tensor::size::sizes_of;
use crate::tensor::{Generator, Tensor};
use allotrope_ir::DType;
use std::panic::Location;
use std::sync::OnceLock;

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
            #[track_caller]
            pub fn $try_name(&self $(, $arg: $ty)*) -> Result<Tensor> {
                called(self.draw($kind, &sizes_of($shape), $dtype))
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
    if holds { Ok(()) } else { Err(Error::argument(otherwise())) }
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
    must(no_host_read("fork_rng()", Location::caller()));
    struct Restore(Mt19937);
    impl Drop for Restore {
        fn drop(&mut self) {
            std::mem::swap(&mut *default_generator().lock(), &mut self.0);
        }
    }
    let _restore = Restore(default_generator().state().clone());
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

//! The state of a random generator, which clones share. It draws nothing and never asks the mode.

use crate::kernels::rng::Mt19937;
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;

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

    /// Another generator, which goes on from the state of this one by itself.
    pub(crate) fn forked(&self) -> Generator {
        Generator(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Whether the two are one generator.
    pub(crate) fn is_same(&self, other: &Generator) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The streams, without taking note of what is drawn from them.
    pub(crate) fn state(&self) -> MutexGuard<'_, Mt19937> {
        self.0.lock()
    }
}

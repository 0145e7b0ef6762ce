//! A switch on the host that programs may branch on: a trace remembers the answer that it was recorded with, and
//! calls with another one run another variant.

use super::recorder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A host-side switch that is safe to branch on inside a trace, such as train/eval. Clones share their state.
///
/// ```
/// use allotrope::{prelude::*, tensor::Flag};
/// let doubled = Flag::new(false);
/// let f = trace(|x: &Tensor| if doubled.get() { x * 2.0 } else { x * 1.0 });
/// let x = Tensor::ones(&[1], DType::F32);
/// assert_eq!(f.call(&x)?.item::<f32>(), 1.0);
/// doubled.set(true);
/// assert_eq!(f.call(&x)?.item::<f32>(), 2.0);
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    pub fn new(on: bool) -> Flag {
        Flag(Arc::new(AtomicBool::new(on)))
    }

    /// The state; a running trace will hold for this answer only.
    pub fn get(&self) -> bool {
        if let Some(r) = recorder::active() {
            r.flag(self);
        }
        self.peek()
    }

    /// The state, unnoticed by a running trace.
    pub(crate) fn peek(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

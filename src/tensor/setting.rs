//! A value on the host that clones share, and how often it has changed. It never asks the mode: what reading and setting
//! it means there is `impl Setting` in the mode's folder.

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value on the host that is safe to branch on inside a trace: a depth, a mode, a schedule's phase. Clones share it.
///
/// What a closure reads of it is a guard of the compiled variant: one variant for each value that was met, so it is for
/// values of which there are few. What a closure sets is set when a call has succeeded, as a tensor changed in place is.
/// A number that is new on every call belongs into a tensor.
///
/// ```
/// use allotrope::{prelude::*, tensor::Setting};
/// let depth = Setting::new(1usize);
/// let f = trace(|x: &Tensor| (0..depth.get()).fold(x.clone(), |x, _| x * 2.0));
/// let x = Tensor::ones(&[1], DType::F32);
/// assert_eq!(f.call(&x)?.item::<f32>(), 2.0);
/// depth.set(3);
/// assert_eq!(f.call(&x)?.item::<f32>(), 8.0);
/// # Ok::<(), allotrope::Error>(())
/// ```
pub struct Setting<T>(Arc<Shared<T>>);

/// A switch that is safe to branch on inside a trace, such as train/eval.
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
pub type Flag = Setting<bool>;

struct Shared<T> {
    value: Mutex<T>,
    /// How often it became another value, so that a guard seldom has to compare.
    changes: AtomicU64,
}

impl<T> Clone for Setting<T> {
    fn clone(&self) -> Setting<T> {
        Setting(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Setting<T> {
    fn default() -> Setting<T> {
        Setting::of(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Setting").field(&*self.0.value.lock()).finish()
    }
}

impl<T> Setting<T> {
    fn of(value: T) -> Setting<T> {
        Setting(Arc::new(Shared { value: Mutex::new(value), changes: AtomicU64::new(0) }))
    }
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Setting<T> {
    pub fn new(value: T) -> Setting<T> {
        Setting::of(value)
    }

    /// Whether the two are one setting.
    pub(crate) fn is_same(&self, other: &Setting<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The value, which no running trace takes note of.
    pub(crate) fn peek(&self) -> T {
        self.0.value.lock().clone()
    }

    /// Whether this is the value.
    pub(crate) fn has(&self, value: &T) -> bool {
        *self.0.value.lock() == *value
    }

    /// Sets the value, whatever is being recorded.
    pub(crate) fn put(&self, value: T) {
        let mut now = self.0.value.lock();
        if *now != value {
            let old = std::mem::replace(&mut *now, value);
            self.0.changes.fetch_add(1, Ordering::Release);
            drop(now);
            // Whatever the value holds is dropped without the lock.
            drop(old);
        }
    }

    /// Identity of the setting.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>() as usize
    }

    /// How often it became another value.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }
}

//! Values on the host that programs may branch on: a trace remembers what it read, and calls where that is otherwise run
//! another variant; what it sets is set by each call that succeeds. No element of a tensor is ever kept here.

use super::recorder;
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::panic::Location;
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

    /// The value; a running trace will hold for this one only.
    #[track_caller]
    pub fn get(&self) -> T {
        self.get_as("the Setting")
    }

    /// As [`Setting::get`], for a value that messages call so.
    #[track_caller]
    pub(crate) fn get_as(&self, name: &'static str) -> T {
        if let Some(r) = recorder::active() {
            // The number of changes is read before the value: a guard that is too old only compares once more.
            let changes = self.changes();
            let given = r.host_value(Arc::new(self.held(self.peek(), changes, name, Location::caller())));
            if let Some(set) = given.as_ref().and_then(|g| g.value().downcast_ref::<T>()) {
                return set.clone();
            }
        }
        self.peek()
    }

    /// Sets the value. Inside a trace each call does so, when it has succeeded.
    ///
    /// # Panics
    /// Inside the body of a loop of a trace, where each step would have to set it.
    #[track_caller]
    pub fn set(&self, value: T) {
        match recorder::active() {
            Some(r) => crate::error::must(r.set_host_value(Arc::new(self.held(
                value,
                // It does not hold before a call has succeeded.
                u64::MAX,
                "the Setting",
                Location::caller(),
            )))),
            None => self.put(value),
        }
    }

    /// Whether the two are one setting.
    pub(crate) fn is_same(&self, other: &Setting<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What a trace keeps that has read this value of it.
    #[track_caller]
    pub(crate) fn read_as(&self, value: T) -> Arc<dyn HostValue> {
        Arc::new(self.held(value, u64::MAX, "the Setting", Location::caller()))
    }

    /// The value, unnoticed by a running trace.
    pub(crate) fn peek(&self) -> T {
        self.0.value.lock().clone()
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

    fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    fn held(&self, value: T, changes: u64, name: &'static str, at: &'static Location<'static>) -> Held<T> {
        Held { changes: AtomicU64::new(changes), setting: self.clone(), value, name, at }
    }
}

/// What a trace keeps of a setting: a value that it read, or one that it sets.
pub(crate) trait HostValue: Send + Sync {
    /// Identity of the setting.
    fn id(&self) -> usize;
    fn value(&self) -> &dyn Any;
    /// The [`Setting`].
    fn setting(&self) -> &dyn Any;
    /// Whether the setting has this value.
    fn holds(&self) -> bool;
    /// Gives the setting this value.
    fn apply(&self);
    /// The value that the setting has now.
    fn now(&self) -> Arc<dyn HostValue>;
    /// Whether both are the same value of the same setting.
    fn is_same(&self, other: &dyn HostValue) -> bool;
    /// What it is, in words.
    fn name(&self) -> &'static str;
    /// Where the program asked for it.
    fn place(&self) -> &'static Location<'static>;
}

struct Held<T> {
    setting: Setting<T>,
    value: T,
    /// The changes of the setting after which it had this value.
    changes: AtomicU64,
    name: &'static str,
    at: &'static Location<'static>,
}

impl<T: Clone + PartialEq + Send + Sync + 'static> HostValue for Held<T> {
    fn id(&self) -> usize {
        Arc::as_ptr(&self.setting.0).cast::<()>() as usize
    }

    fn value(&self) -> &dyn Any {
        &self.value
    }

    fn setting(&self) -> &dyn Any {
        &self.setting
    }

    fn holds(&self) -> bool {
        let changes = self.setting.changes();
        if changes == self.changes.load(Ordering::Relaxed) {
            return true;
        }
        // It has been something else in between: it may be what it was.
        let holds = *self.setting.0.value.lock() == self.value;
        if holds {
            self.changes.store(changes, Ordering::Relaxed);
        }
        holds
    }

    fn apply(&self) {
        self.setting.put(self.value.clone());
    }

    fn now(&self) -> Arc<dyn HostValue> {
        let changes = self.setting.changes();
        Arc::new(self.setting.held(self.setting.peek(), changes, self.name, self.at))
    }

    fn is_same(&self, other: &dyn HostValue) -> bool {
        self.id() == other.id() && other.value().downcast_ref::<T>().is_some_and(|v| *v == self.value)
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn place(&self) -> &'static Location<'static> {
        self.at
    }
}

//! Values on the host that programs may branch on: a trace remembers what it read, and calls where that is otherwise run
//! another variant; what it sets is set by each call that succeeds. No element of a tensor is ever kept here.

use super::recorder::settings::HostValue;
use super::slot;
use crate::error::must;
use crate::tensor::Setting;
use std::any::Any;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl<T: Clone + PartialEq + Send + Sync + 'static> Setting<T> {
    /// The value; a running trace will hold for this one only.
    #[track_caller]
    pub fn get(&self) -> T {
        self.get_as("the Setting")
    }

    /// As [`Setting::get`], for a value that messages call so.
    #[track_caller]
    pub(crate) fn get_as(&self, name: &'static str) -> T {
        if let Some(r) = slot::recorder() {
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
    /// Inside the body of a loop of a trace, where each iteration would have to set it.
    #[track_caller]
    pub fn set(&self, value: T) {
        match slot::recorder() {
            Some(r) => must(r.set_host_value(Arc::new(self.held(
                value,
                // It does not hold before a call has succeeded.
                u64::MAX,
                "the Setting",
                Location::caller(),
            )))),
            None => self.put(value),
        }
    }

    /// What a trace keeps that has read this value of it.
    #[track_caller]
    pub(crate) fn read_as(&self, value: T) -> Arc<dyn HostValue> {
        Arc::new(self.held(value, u64::MAX, "the Setting", Location::caller()))
    }

    fn held(&self, value: T, changes: u64, name: &'static str, at: &'static Location<'static>) -> Held<T> {
        Held { changes: AtomicU64::new(changes), setting: self.clone(), value, name, at }
    }
}

/// What a trace keeps of a setting.
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
        self.setting.id()
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
        let holds = self.setting.has(&self.value);
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

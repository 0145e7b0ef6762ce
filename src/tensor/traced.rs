//! The elements of a value of a running trace: which value of which graph they are now. A capture makes and replaces
//! them; nothing is recorded here.

use allotrope_ir::{NodeId, Value};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The elements of one traced value, which in-place operations replace.
pub(crate) struct Cell {
    /// Which builder of which capture it belongs to.
    pub(crate) scope: u64,
    value: AtomicU64,
    /// In-place changes so far.
    pub(crate) version: AtomicU32,
}

impl Cell {
    pub(crate) fn new(scope: u64, value: Value) -> Cell {
        Cell { scope, value: AtomicU64::new(packed(value)), version: AtomicU32::new(0) }
    }

    pub(crate) fn value(&self) -> Value {
        let bits = self.value.load(Ordering::Relaxed);
        Value { node: NodeId((bits >> 32) as u32), port: bits as u32 }
    }

    /// The elements are `value` from here on; gives what they were.
    pub(crate) fn replace(&self, value: Value) -> Value {
        let before = self.value();
        self.value.store(packed(value), Ordering::Relaxed);
        before
    }
}

fn packed(value: Value) -> u64 {
    u64::from(value.node.0) << 32 | u64::from(value.port)
}

/// Builders that one capture can have.
const SCOPES_PER_CAPTURE: u64 = 1 << 24;

/// The first builder of a new capture; the others have the numbers after it.
pub(crate) fn new_capture() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(SCOPES_PER_CAPTURE, Ordering::Relaxed)
}

/// Names the capture of a builder.
pub(crate) fn capture_of(scope: u64) -> u32 {
    (scope / SCOPES_PER_CAPTURE) as u32
}

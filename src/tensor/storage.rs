//! The locked storage that a tensor and its views share: memory of one device, and how often it was changed in place.
//! It knows no elements, no shapes, and no way to either.

use crate::backend::Memory;
use crate::device::Device;
use parking_lot::RecursiveRwLock;
pub(crate) use parking_lot::{RecursiveRwLockReadGuard as ReadGuard, RecursiveRwLockWriteGuard as WriteGuard};
use std::sync::atomic::{AtomicU32, Ordering};

/// The memory that a tensor and its views share, and how often it was changed in place.
pub(crate) struct Storage {
    /// Recursive: one operation may read a tensor twice.
    memory: RecursiveRwLock<Memory>,
    version: AtomicU32,
    device: Device,
}

impl Storage {
    #[inline]
    pub(crate) fn new(device: Device, memory: Memory) -> Storage {
        Storage { memory: RecursiveRwLock::new(memory), version: AtomicU32::new(0), device }
    }

    /// Whose memory it is.
    #[inline]
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Read access; may be taken more than once by one thread.
    #[inline]
    pub(crate) fn read(&self) -> ReadGuard<'_, Memory> {
        self.memory.read()
    }

    /// Read access, if nothing is being written.
    pub(crate) fn try_read(&self) -> Option<ReadGuard<'_, Memory>> {
        self.memory.try_read()
    }

    /// Write access, if nothing else is looking; counts as a change.
    pub(crate) fn try_write(&self) -> Option<WriteGuard<'_, Memory>> {
        let guard = self.memory.try_write()?;
        // Who holds the lock is the only one to count.
        self.version.store(self.version().wrapping_add(1), Ordering::Relaxed);
        Some(guard)
    }

    /// The memory of a storage that nothing else holds; counts as a change.
    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        *self.version.get_mut() += 1;
        self.memory.get_mut()
    }

    /// The number of in-place changes so far.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Relaxed)
    }
}

//! The allocator: aligned buffers that are recycled per thread or taken over from a `Vec`, and the locked storage that
//! tensors share.
//! It knows bytes and element types, never shapes.

use parking_lot::RecursiveRwLock;
pub(crate) use parking_lot::{RecursiveRwLockReadGuard as ReadGuard, RecursiveRwLockWriteGuard as WriteGuard};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

pub use crate::kernels::Element;

/// Alignment of every buffer in bytes: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;
/// Buffers of up to this many bytes are kept for reuse.
const LARGEST_KEPT: usize = 1 << 20;
/// Bytes that a thread keeps for reuse.
const KEPT_PER_THREAD: usize = 8 << 20;

/// Gives the empty buffer its alignment.
#[repr(align(64))]
struct Line;

const _: () = assert!(align_of::<Line>() == ALIGN);

/// A block of bytes: a 64-byte aligned one of our own, or that of a `Vec`, aligned for its elements. The bytes in use
/// are always initialised.
pub(crate) struct Buffer {
    start: NonNull<u8>,
    /// Bytes in use.
    len: usize,
    /// Bytes allocated; 0 where there is no block. Of our own blocks a power of two or more than [`LARGEST_KEPT`].
    capacity: usize,
    /// Alignment that the block was allocated with: [`ALIGN`], or less for the block of a `Vec`.
    align: usize,
}

// SAFETY: a Buffer owns its block alone, and the block is plain bytes.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

#[derive(Default)]
struct Kept {
    /// One list per power of two.
    lists: [Vec<NonNull<u8>>; 21],
    bytes: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (class, list) in self.lists.iter_mut().enumerate() {
            for start in list.drain(..) {
                // SAFETY: a kept block came from `alloc_zeroed` with the layout of its class and is in no Buffer.
                unsafe { dealloc(start.as_ptr(), layout(1 << class)) }
            }
        }
    }
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, ALIGN).expect("tensor of more than isize::MAX bytes")
}

impl Buffer {
    /// A buffer of `len` bytes with any contents.
    pub(crate) fn new(len: usize) -> Buffer {
        if len == 0 {
            return Buffer { start: NonNull::<Line>::dangling().cast(), len: 0, capacity: 0, align: ALIGN };
        }
        let capacity = len.next_power_of_two().max(ALIGN);
        let kept = match capacity <= LARGEST_KEPT {
            true => KEPT
                .try_with(|k| {
                    let mut k = k.borrow_mut();
                    let start = k.lists[capacity.trailing_zeros() as usize].pop();
                    k.bytes -= if start.is_some() { capacity } else { 0 };
                    start
                })
                .ok()
                .flatten(),
            false => None,
        };
        // Large blocks take what they need; a power of two would waste up to half of it.
        let capacity = if capacity > LARGEST_KEPT { len.next_multiple_of(ALIGN) } else { capacity };
        let start = kept.unwrap_or_else(|| {
            // SAFETY: capacity is not zero.
            let start = unsafe { alloc_zeroed(layout(capacity)) };
            NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout(capacity)))
        });
        Buffer { start, len, capacity, align: ALIGN }
    }

    /// The elements of a `Vec`, where they are. The buffer may only be used as elements of `T`, which the dtype of its
    /// tensor says; another type may want more alignment.
    pub(crate) fn adopt<T: Element>(data: Vec<T>) -> Buffer {
        const { assert!(align_of::<T>() < ALIGN, "the alignment tells whose block it is") }
        let mut data = ManuallyDrop::new(data);
        let (len, capacity) = (data.len() * size_of::<T>(), data.capacity() * size_of::<T>());
        match NonNull::new(data.as_mut_ptr()) {
            Some(start) if capacity > 0 => Buffer { start: start.cast(), len, capacity, align: align_of::<T>() },
            _ => Buffer::new(0),
        }
    }

    /// A buffer of zeros.
    pub(crate) fn zeroed(len: usize) -> Buffer {
        let mut buffer = Buffer::new(len);
        buffer.bytes_mut().fill(0);
        buffer
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the block has `len` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// The buffer as elements. It must have been made for this type, which a tensor's dtype says.
    pub(crate) fn slice<T: Element>(&self) -> &[T] {
        debug_assert!(self.start.cast::<T>().is_aligned(), "bug in allotrope: a buffer used as another type");
        // SAFETY: our own blocks are aligned for every element type, adopted ones for the type that they are of. The
        // bytes are initialised, and every bit pattern is a number; buffers of bool are zeroed when made, or were
        // bools, and are only ever written as bool.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len / size_of::<T>()) }
    }

    pub(crate) fn slice_mut<T: Element>(&mut self) -> &mut [T] {
        debug_assert!(self.start.cast::<T>().is_aligned(), "bug in allotrope: a buffer used as another type");
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len / size_of::<T>()) }
    }
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer::new(0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.capacity == 0 {
            return;
        }
        let (start, capacity) = (self.start, self.capacity);
        if self.align != ALIGN {
            let layout = Layout::from_size_align(capacity, self.align).expect("the layout of a Vec");
            // SAFETY: the block is a Vec's that was given up to us, and Vec allocates with this layout.
            return unsafe { dealloc(start.as_ptr(), layout) };
        }
        let kept = capacity <= LARGEST_KEPT
            && KEPT
                .try_with(|k| {
                    let mut k = k.borrow_mut();
                    let room = k.bytes + capacity <= KEPT_PER_THREAD;
                    if room {
                        k.bytes += capacity;
                        k.lists[capacity.trailing_zeros() as usize].push(start);
                    }
                    room
                })
                .unwrap_or(false);
        if !kept {
            // SAFETY: the block came from `alloc_zeroed` with this layout and nothing else holds it.
            unsafe { dealloc(start.as_ptr(), layout(capacity)) }
        }
    }
}

/// The elements that a tensor and its views share, and how often they were changed in place.
pub(crate) struct Storage {
    /// Recursive: one operation may read a tensor twice.
    buffer: RecursiveRwLock<Buffer>,
    version: AtomicU32,
}

impl Storage {
    pub(crate) fn new(buffer: Buffer) -> Storage {
        Storage { buffer: RecursiveRwLock::new(buffer), version: AtomicU32::new(0) }
    }

    /// Read access; may be taken more than once by one thread.
    pub(crate) fn read(&self) -> ReadGuard<'_, Buffer> {
        self.buffer.read()
    }

    /// Read access, if nothing is being written.
    pub(crate) fn try_read(&self) -> Option<ReadGuard<'_, Buffer>> {
        self.buffer.try_read()
    }

    /// Write access, if nothing else is looking; counts as a change.
    pub(crate) fn try_write(&self) -> Option<WriteGuard<'_, Buffer>> {
        let guard = self.buffer.try_write()?;
        // Who holds the lock is the only one to count.
        self.version.store(self.version().wrapping_add(1), Ordering::Relaxed);
        Some(guard)
    }

    /// The buffer of a storage that nothing else holds; counts as a change.
    pub(crate) fn buffer_mut(&mut self) -> &mut Buffer {
        *self.version.get_mut() += 1;
        self.buffer.get_mut()
    }

    /// The number of in-place changes so far.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Relaxed)
    }
}

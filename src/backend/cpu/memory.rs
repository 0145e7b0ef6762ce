//! The allocator of this processor: aligned blocks that are recycled per thread or taken over from a `Vec`.
//! It knows bytes and element types, never shapes. What is in a block can be reached inside of this backend only, and
//! through [`host`](super::host).

use crate::backend::cpu::machine;
use crate::backend::element::FromElement;
use crate::error::Result;
use allotrope_ir::DType;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Alignment of every block in bytes: a cache line, and the widest vector.
const ALIGN: usize = 64;
/// Blocks of up to this many bytes are kept for reuse.
const LARGEST_KEPT: usize = 1 << 20;
/// Bytes that a thread keeps for reuse.
const KEPT_PER_THREAD: usize = 8 << 20;

/// Gives the empty block its alignment.
#[repr(align(64))]
struct Line;

const _: () = assert!(align_of::<Line>() == ALIGN);

/// A block of bytes: a 64-byte aligned one of our own, or that of a `Vec`, aligned for its elements. The bytes in use
/// are always initialised.
pub(in crate::backend) struct Block {
    start: NonNull<u8>,
    /// Bytes in use.
    len: usize,
    /// Bytes allocated; 0 where there is no block. Of our own blocks a power of two or more than [`LARGEST_KEPT`].
    capacity: usize,
    /// Alignment that the block was allocated with: [`ALIGN`], or less for the block of a `Vec`.
    align: usize,
    /// What its elements are: the only type that it is seen as.
    dtype: DType,
}

// SAFETY: a Block owns its block alone, and the block is plain bytes.
unsafe impl Send for Block {}
// SAFETY: shared access only reads.
unsafe impl Sync for Block {}

#[derive(Default)]
struct FreeBlocks {
    /// One list per power of two.
    lists: [Vec<NonNull<u8>>; 21],
    bytes: usize,
}

impl Drop for FreeBlocks {
    fn drop(&mut self) {
        for (class, list) in self.lists.iter_mut().enumerate() {
            for start in list.drain(..) {
                // SAFETY: a kept block came from `alloc_zeroed` with the layout of its class and is in no Block.
                unsafe { dealloc(start.as_ptr(), layout(1 << class)) }
            }
        }
    }
}

thread_local! {
    static FREE_BLOCKS: RefCell<FreeBlocks> = RefCell::default();
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, ALIGN).expect("bug in allotrope: more bytes than any machine has")
}

impl Block {
    /// A block of no bytes.
    fn empty(dtype: DType) -> Block {
        Block { start: NonNull::<Line>::dangling().cast(), len: 0, capacity: 0, align: ALIGN, dtype }
    }

    /// A block of `len` bytes: zeros where they are bools, of which other bytes are none, else any contents.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn new(dtype: DType, len: usize) -> Result<Block> {
        let mut block = Block::uninitialised(dtype, len)?;
        if dtype == DType::Bool {
            block.bytes_mut().fill(0);
        }
        Ok(block)
    }

    /// A block of a copy of these bytes.
    ///
    /// # Errors
    /// When there is no memory for it.
    ///
    /// # Panics
    /// A bug of the caller: bytes that are no bools.
    pub(super) fn of_bytes(dtype: DType, bytes: &[u8]) -> Result<Block> {
        assert!(dtype != DType::Bool || bytes.iter().all(|b| *b < 2), "bug in allotrope: bytes that are no bools");
        let mut block = Block::uninitialised(dtype, bytes.len())?;
        block.bytes_mut().copy_from_slice(bytes);
        Ok(block)
    }

    /// A block whose contents may be left over from another one.
    fn uninitialised(dtype: DType, len: usize) -> Result<Block> {
        if len == 0 {
            return Ok(Block::empty(dtype));
        }
        machine::check(len)?;
        let capacity = len.next_power_of_two().max(ALIGN);
        let kept = match capacity <= LARGEST_KEPT {
            true => FREE_BLOCKS
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
        // SAFETY: capacity is not zero.
        let start = kept.or_else(|| NonNull::new(unsafe { alloc_zeroed(layout(capacity)) }));
        let start = start.ok_or_else(|| machine::refused(len))?;
        Ok(Block { start, len, capacity, align: ALIGN, dtype })
    }

    /// The elements of a `Vec`, where they are.
    pub(super) fn adopt<T: FromElement>(data: Vec<T>) -> Block {
        const { assert!(align_of::<T>() < ALIGN, "the alignment tells whose block it is") }
        let mut data = ManuallyDrop::new(data);
        let (len, capacity) = (data.len() * size_of::<T>(), data.capacity() * size_of::<T>());
        match NonNull::new(data.as_mut_ptr()) {
            Some(start) if capacity > 0 => {
                Block { start: start.cast(), len, capacity, align: align_of::<T>(), dtype: T::DTYPE }
            }
            _ => Block::empty(T::DTYPE),
        }
    }

    pub(in crate::backend) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the block has `len` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// That the elements are of this type, before they are seen as such.
    #[inline]
    fn check<T: FromElement>(&self) {
        if self.dtype != T::DTYPE {
            another_type(self.dtype, T::DTYPE);
        }
    }

    /// The block as elements.
    ///
    /// # Panics
    /// A bug of the caller: the block was made for another type.
    pub(super) fn slice<T: FromElement>(&self) -> &[T] {
        self.check::<T>();
        // SAFETY: the block was made for this type: our own blocks are aligned for every one, adopted ones for the type
        // that they are of. The bytes are initialised, and every bit pattern is a number; blocks of bool are zeroed
        // when made, or were bools, and are only ever written as bool.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len / size_of::<T>()) }
    }

    /// As [`Block::slice`], to be changed.
    pub(super) fn slice_mut<T: FromElement>(&mut self) -> &mut [T] {
        self.check::<T>();
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len / size_of::<T>()) }
    }
}

#[cold]
#[inline(never)]
fn another_type(of: DType, wanted: DType) -> ! {
    panic!("bug in allotrope: memory of {of} was used as {wanted}")
}

impl Drop for Block {
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
            && FREE_BLOCKS
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

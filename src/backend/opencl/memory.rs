//! Memory of a device: slabs of bytes, in which blocks are given out by their offset. A block that is freed may be given out
//! again at once, since the device's one queue orders all that is done with it. It knows bytes only, and does nothing on the
//! device but to ask it for slabs.

use super::handles::Buffer;
use crate::backend::{DeviceMemory, Memory};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Blocks begin at multiples of this, which fits every vector and every line of a cache.
pub const ALIGN: usize = 256;
/// Blocks of up to this many bytes share slabs with each other only: a small one that stays would keep a large one's place.
const SMALL: usize = 1 << 20;
/// Bytes of a slab for small blocks.
const SMALL_SLAB: usize = 4 << 20;
/// Bytes that a slab for large blocks is a multiple of.
const LARGE_STEP: usize = 2 << 20;

/// Whether blocks are small ones.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Small,
    Large,
}

impl Class {
    fn of(bytes: usize) -> Class {
        if bytes <= SMALL { Class::Small } else { Class::Large }
    }
}

/// What there is of a device's memory, in bytes.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// In all.
    pub total: usize,
    /// In one buffer.
    pub largest: usize,
    /// In slabs that are kept although no block is in them.
    pub kept: usize,
    /// Each block is a buffer of its own, so that tools which watch buffers see the bounds of blocks.
    pub apart: bool,
}

/// Bytes of a pool.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In blocks.
    pub used: usize,
    /// In slabs.
    pub held: usize,
    /// In slabs without a block.
    pub unused: usize,
}

/// Why there is no block of so many bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Refused<E> {
    /// No buffer may be so large.
    TooLarge { largest: usize },
    /// So many bytes are not given out yet.
    Full { available: usize },
    /// The device has no more, whatever it said, or it failed.
    Device(E),
}

/// The slabs of a device.
pub struct Pool {
    limits: Limits,
    slabs: Mutex<Slabs>,
}

#[derive(Default)]
struct Slabs {
    by_number: BTreeMap<usize, Slab>,
    /// What is free: class, bytes, number of the slab, offset. The smallest that suffices is taken.
    free: BTreeSet<(Class, usize, usize, usize)>,
    next_number: usize,
    usage: Usage,
}

struct Slab {
    class: Class,
    buffer: Arc<Buffer>,
    bytes: usize,
    /// Bytes that are free, by their offset. No two of them touch.
    free: BTreeMap<usize, usize>,
}

impl Slab {
    fn is_unused(&self) -> bool {
        self.free.get(&0) == Some(&self.bytes)
    }
}

/// A block of a device's memory, of any contents.
pub struct Block {
    pool: Arc<Pool>,
    buffer: Arc<Buffer>,
    slab: usize,
    offset: usize,
    /// Bytes in use, and bytes of the block.
    bytes: usize,
    capacity: usize,
}

impl Block {
    /// The buffer that it is in.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Where it begins in the buffer, in bytes: a multiple of [`ALIGN`].
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl DeviceMemory for Block {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.free(self.slab, self.offset, self.capacity);
    }
}

impl Pool {
    pub fn new(limits: Limits) -> Pool {
        Pool { limits, slabs: Mutex::default() }
    }

    pub fn usage(&self) -> Usage {
        self.slabs.lock().usage
    }

    /// A block of so many bytes; one of none has a place too, so that it can be an argument. `slab` makes a buffer of the
    /// device.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn block<E>(
        self: &Arc<Pool>,
        bytes: usize,
        slab: impl Fn(usize) -> Result<Buffer, E>,
    ) -> Result<Block, Refused<E>> {
        let Limits { total, largest, apart, .. } = self.limits;
        let capacity = match bytes.max(1).checked_next_multiple_of(ALIGN) {
            Some(capacity) if capacity <= largest => capacity,
            _ => return Err(Refused::TooLarge { largest }),
        };
        let mut slabs = self.slabs.lock();
        let place = match slabs.take(capacity) {
            Some(place) => place,
            None => {
                let class = Class::of(capacity);
                let whole = match class {
                    Class::Small | Class::Large if apart => capacity,
                    Class::Small => SMALL_SLAB.min(largest),
                    Class::Large => capacity.next_multiple_of(LARGE_STEP).min(largest),
                };
                // Slabs that nothing is in make room for this one, and where that is not enough it is as small as can be.
                let mut tried = Err(Refused::Full { available: total.saturating_sub(slabs.usage.used) });
                for (size, keep) in [(whole, true), (whole, false), (capacity, false)] {
                    if !keep {
                        slabs.release(0);
                    }
                    if slabs.usage.held.saturating_add(size) <= total {
                        tried = slab(size).map(|buffer| (buffer, size)).map_err(Refused::Device);
                    }
                    if tried.is_ok() {
                        break;
                    }
                }
                let (buffer, size) = tried?;
                slabs.add(class, buffer, size);
                slabs.take(capacity).expect("bug in allotrope: a new slab without room")
            }
        };
        let (slab, offset) = place;
        let buffer = Arc::clone(&slabs.by_number[&slab].buffer);
        drop(slabs);
        Ok(Block { pool: Arc::clone(self), buffer, slab, offset, bytes, capacity })
    }

    /// Gives slabs back that no block is in.
    pub fn release(&self) {
        self.slabs.lock().release(0);
    }

    fn free(&self, slab: usize, offset: usize, capacity: usize) {
        let mut slabs = self.slabs.lock();
        slabs.give_back(slab, offset, capacity);
        slabs.release(if self.limits.apart { 0 } else { self.limits.kept });
    }
}

impl Slabs {
    fn add(&mut self, class: Class, buffer: Buffer, bytes: usize) {
        let number = self.next_number;
        self.next_number += 1;
        let slab = Slab { class, buffer: Arc::new(buffer), bytes, free: BTreeMap::from([(0, bytes)]) };
        self.by_number.insert(number, slab);
        self.free.insert((class, bytes, number, 0));
        self.usage.held += bytes;
        self.usage.unused += bytes;
    }

    /// The smallest place that suffices, as the number of its slab and its offset.
    fn take(&mut self, capacity: usize) -> Option<(usize, usize)> {
        let class = Class::of(capacity);
        let found = *self.free.range((class, capacity, 0, 0)..).next()?;
        let (of, length, number, offset) = found;
        if of != class {
            return None;
        }
        self.free.remove(&found);
        let slab = self.by_number.get_mut(&number).expect("bug in allotrope: a free place of no slab");
        let was_unused = slab.is_unused();
        let bytes = slab.bytes;
        slab.free.remove(&offset);
        if length > capacity {
            slab.free.insert(offset + capacity, length - capacity);
            self.free.insert((class, length - capacity, number, offset + capacity));
        }
        self.usage.used += capacity;
        self.usage.unused -= if was_unused { bytes } else { 0 };
        Some((number, offset))
    }

    /// The place is free, with those that it touches.
    fn give_back(&mut self, number: usize, offset: usize, capacity: usize) {
        let Slabs { by_number, free, usage, .. } = self;
        let slab = by_number.get_mut(&number).expect("bug in allotrope: a block of no slab");
        let (mut start, mut end) = (offset, offset + capacity);
        let before = slab.free.range(..offset).next_back().filter(|(at, length)| *at + *length == offset);
        let after = slab.free.get_key_value(&end);
        let touching = before.into_iter().chain(after).map(|(at, length)| (*at, *length));
        for (at, length) in touching.collect::<SmallVec<[_; 2]>>() {
            slab.free.remove(&at);
            free.remove(&(slab.class, length, number, at));
            (start, end) = (start.min(at), end.max(at + length));
        }
        slab.free.insert(start, end - start);
        free.insert((slab.class, end - start, number, start));
        usage.used -= capacity;
        usage.unused += if slab.is_unused() { slab.bytes } else { 0 };
    }

    /// Gives slabs back that no block is in, the largest first, until no more than so many bytes of them are left.
    fn release(&mut self, kept: usize) {
        if self.usage.unused <= kept {
            return;
        }
        let unused = self.by_number.iter().filter(|(_, slab)| slab.is_unused());
        let mut unused: Vec<(usize, usize)> = unused.map(|(number, slab)| (slab.bytes, *number)).collect();
        unused.sort_unstable();
        while let Some((bytes, number)) = unused.pop().filter(|_| self.usage.unused > kept) {
            let slab = self.by_number.remove(&number).expect("bug in allotrope: a slab that is not there");
            self.free.remove(&(slab.class, bytes, number, 0));
            self.usage.held -= bytes;
            self.usage.unused -= bytes;
        }
    }
}

/// The memory as this backend made it.
pub(super) fn block(memory: &Memory) -> &Block {
    memory.get().expect("bug in allotrope: memory of another device")
}

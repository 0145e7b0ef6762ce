//! Places for the scratch buffers, by liveness: two buffers share a slot when they are never needed at the same time and
//! are of the same symbolic size, or both of a fixed one. Nothing is moved, and no instruction is reordered.

use crate::schedule::Schedule;
use crate::schedule::buffer::{BufId, Buffer, Location, LoopId};
use crate::schedule::info::BufferInfo;
use crate::schedule::instruction::{Carry, Instruction, Next};
use crate::schedule::size::Size;
use crate::schedule::view::View;
use allotrope_ir::Dim;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Every slot begins at a multiple of this many bytes.
pub const ALIGN: i64 = 64;

/// Scratch memory that a backend needs while it runs a kernel, beside what the schedule says.
#[derive(Clone, Debug, Default)]
pub struct Temporaries {
    /// Buffers of scratch; their ids come after those of the schedule.
    pub buffers: Vec<Buffer>,
    /// For each kernel or operation, by its number, the buffers that it alone uses: they mean nothing before and after it.
    pub of: Vec<SmallVec<[BufId; 2]>>,
}

/// The layout of the scratch memory: of the buffers of a schedule, and of temporaries behind them.
#[derive(Debug, Default)]
pub struct MemoryPlan {
    /// For each buffer that is scratch and used, its slot.
    pub slot: Vec<Option<usize>>,
    pub slots: Vec<Slot>,
    /// For each buffer that is used, the first and the last kernel while it is.
    pub alive: Vec<Option<(usize, usize)>>,
    /// Bytes of all slots of fixed size.
    fixed: usize,
    symbolic: Vec<Size>,
}

#[derive(Debug)]
pub struct Slot {
    /// Bytes, before rounding up.
    pub size: Dim,
}

impl MemoryPlan {
    /// The plan for a schedule, and for what a backend needs beside it.
    pub fn of(schedule: &Schedule, temporaries: &Temporaries) -> MemoryPlan {
        plan(schedule, temporaries)
    }

    /// The buffers that it holds, in the order in which they come to life.
    pub fn buffers(&self, schedule: &Schedule, temporaries: &Temporaries) -> Vec<BufferInfo> {
        let buffers = schedule.buffers.iter().chain(&temporaries.buffers);
        let mut all: Vec<BufferInfo> = (buffers.zip(&self.alive).zip(&self.slot))
            .filter(|((b, _), _)| b.location == Location::Scratch)
            .filter_map(|((b, alive), slot)| {
                let bytes = &b.len * &Dim::fixed(b.dtype.size());
                Some(BufferInfo { bytes, alive: (*alive)?, place: (*slot)? })
            })
            .collect();
        all.sort_by_key(|b| b.alive);
        all
    }

    /// Takes so many bytes more behind the slots of fixed size.
    pub fn reserve(&mut self, bytes: usize) {
        self.fixed += bytes;
    }

    /// Bytes of scratch under a binding: the slots of fixed size first, then the others, in order.
    pub fn bytes(&self, binding: &[usize]) -> usize {
        let rounded = |s: &Size| s.eval(binding).next_multiple_of(ALIGN as usize);
        self.fixed + self.symbolic.iter().map(rounded).sum::<usize>()
    }
}

struct Lives<'a> {
    schedule: &'a Schedule,
    temporaries: &'a Temporaries,
    /// First and last position of each buffer.
    range: Vec<(u32, u32)>,
    /// The loops around, with their start, and what must live to their end.
    stack: Vec<(LoopId, u32, Vec<BufId>)>,
    now: u32,
    /// Kernels that come before each position, and how many there are.
    kernels: Vec<usize>,
    count: usize,
}

impl Lives<'_> {
    /// Comes to the next position.
    fn tick(&mut self) {
        self.now += 1;
        self.kernels.push(self.count);
    }

    /// The kernels during the life of a buffer. They are numbered as they come.
    fn alive(&self, (first, last): (u32, u32)) -> Option<(usize, usize)> {
        let until = |position: usize| self.kernels.get(position).copied().unwrap_or(self.count);
        let begin = until((first as usize).saturating_sub(1));
        (first != u32::MAX).then(|| (begin, until(last as usize).saturating_sub(1).max(begin)))
    }

    fn touch(&mut self, b: BufId, at: u32) {
        let r = &mut self.range[b.0 as usize];
        *r = (r.0.min(at), r.1.max(at));
    }

    fn access(&mut self, b: BufId) {
        let buffer = self.schedule.buffer(b);
        match &buffer.location {
            Location::Element { of, .. } => self.access(*of),
            Location::Moving { into } => into.iter().for_each(|&b| self.access(b)),
            Location::Input(_) | Location::Output(_) => {}
            Location::Scratch => {
                let inside = match buffer.owner {
                    None => 0,
                    Some(s) => self.stack.iter().position(|l| l.0 == s).map_or(0, |i| i + 1),
                };
                self.touch(b, self.now);
                // Other iterations may need what is made outside the loop.
                if let Some((_, start, until)) = self.stack.get_mut(inside) {
                    let start = *start;
                    until.push(b);
                    self.touch(b, start);
                }
            }
        }
    }

    fn walk(&mut self, instructions: &[Instruction]) {
        for instruction in instructions {
            self.tick();
            let number = instruction.number();
            self.count += usize::from(number.is_some());
            instruction.buffers(&mut |b| self.access(b));
            for &b in number.and_then(|n| self.temporaries.of.get(n)).into_iter().flatten() {
                self.touch(b, self.now);
            }
            if let Instruction::Loop(s) = instruction {
                let carries = |l: &mut Self| {
                    for Carry { current, init, next } in &s.carries {
                        init.buf().into_iter().for_each(|b| l.access(b));
                        l.access(*current);
                        if let Next::PingPong { target, .. } = next {
                            l.access(*target);
                        }
                    }
                };
                carries(self);
                let (before, each) = s.control();
                before.into_iter().chain(each).for_each(|b| self.access(b));
                self.stack.push((s.id, self.now, Vec::new()));
                each.into_iter().for_each(|b| self.access(b));
                self.walk(&s.body);
                let (_, _, until) = self.stack.pop().expect("pushed above");
                self.tick();
                until.into_iter().for_each(|b| self.touch(b, self.now));
                carries(self);
                s.tails.iter().filter_map(View::buf).for_each(|b| self.access(b));
            }
        }
    }
}

fn plan(schedule: &Schedule, temporaries: &Temporaries) -> MemoryPlan {
    let buffers: Vec<&Buffer> = schedule.buffers.iter().chain(&temporaries.buffers).collect();
    let mut lives = Lives {
        schedule,
        temporaries,
        range: vec![(u32::MAX, 0); buffers.len()],
        stack: Vec::new(),
        now: 0,
        kernels: Vec::new(),
        count: 0,
    };
    lives.walk(&schedule.instructions);
    // Buffers that come to life together are taken in their order.
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&b| lives.range[b].0 != u32::MAX).collect();
    order.sort_by_key(|&b| lives.range[b].0);
    let mut out = MemoryPlan { slot: vec![None; buffers.len()], ..MemoryPlan::default() };
    let mut free = Free::default();
    for b in order {
        let (first, last) = lives.range[b];
        let buffer = buffers[b];
        let size = &buffer.len * &Dim::Fixed(buffer.dtype.size() as i64);
        free.until(first, &out.slots);
        let slot = free.take(&size).unwrap_or_else(|| {
            out.slots.push(Slot { size: size.clone() });
            out.slots.len() - 1
        });
        let s = &mut out.slots[slot];
        if let (Dim::Fixed(have), Dim::Fixed(need)) = (&s.size, &size) {
            s.size = Dim::Fixed(*have.max(need));
        }
        free.busy.push(Reverse((last, slot)));
        out.slot[b] = Some(slot);
    }
    out.alive = lives.range.iter().map(|range| lives.alive(*range)).collect();
    for s in &out.slots {
        match s.size.as_fixed() {
            Some(n) => out.fixed += n.next_multiple_of(ALIGN as usize),
            None => out.symbolic.push(Size::of(&s.size)),
        }
    }
    out
}

/// The slots by when they are free, and those that are by their size.
#[derive(Default)]
struct Free {
    /// The last position at which a slot is in use, the earliest first.
    busy: BinaryHeap<Reverse<(u32, usize)>>,
    fixed: BTreeSet<(i64, usize)>,
    symbolic: FxHashMap<Dim, BTreeSet<usize>>,
}

impl Free {
    /// Finds the slots that are free from `position` on.
    fn until(&mut self, position: u32, slots: &[Slot]) {
        while let Some(Reverse((last, slot))) = self.busy.peek().copied()
            && last < position
        {
            self.busy.pop();
            match &slots[slot].size {
                Dim::Fixed(n) => _ = self.fixed.insert((*n, slot)),
                d => _ = self.symbolic.entry(d.clone()).or_default().insert(slot),
            }
        }
    }

    /// A free slot for so many bytes: of that size where it is symbolic; else the tightest that is large enough, else
    /// the largest, to be grown. Of equal ones the first.
    fn take(&mut self, size: &Dim) -> Option<usize> {
        let Dim::Fixed(n) = size else { return self.symbolic.get_mut(size)?.pop_first() };
        let large = self.fixed.range((*n, 0)..).next().copied();
        let found = large.or_else(|| self.fixed.range((self.fixed.last()?.0, 0)..).next().copied())?;
        self.fixed.remove(&found);
        Some(found.1)
    }
}

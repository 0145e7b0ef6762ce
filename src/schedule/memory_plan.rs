//! Places for the scratch buffers, by liveness: two buffers share a slot when they are never needed at the same time and
//! are of the same symbolic size, or both of a fixed one. Nothing is moved, and no instruction is reordered.

use crate::schedule::buffer::{BufId, Buffer, Location, LoopId};
use crate::schedule::content::Schedule;
use crate::schedule::info::BufferInfo;
use crate::schedule::instruction::{Carry, Instruction, Next};
use crate::schedule::polynomial::Polynomial;
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
    symbolic: Vec<Polynomial>,
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
        // More than there can be stays that, and is refused when it is asked for.
        let rounded = |s: &Polynomial| s.eval(binding).checked_next_multiple_of(ALIGN as usize).unwrap_or(usize::MAX);
        self.symbolic.iter().map(rounded).fold(self.fixed, usize::saturating_add)
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
            if let Instruction::Loop(l) = instruction {
                let carries = |lives: &mut Self| {
                    for Carry { current, init, next } in &l.carries {
                        init.buf().into_iter().for_each(|b| lives.access(b));
                        lives.access(*current);
                        if let Next::PingPong { target, .. } = next {
                            lives.access(*target);
                        }
                    }
                };
                carries(self);
                let (before, each) = l.control();
                before.into_iter().chain(each).for_each(|b| self.access(b));
                self.stack.push((l.id, self.now, Vec::new()));
                each.into_iter().for_each(|b| self.access(b));
                self.walk(&l.body);
                let (_, _, until) = self.stack.pop().expect("pushed above");
                self.tick();
                until.into_iter().for_each(|b| self.touch(b, self.now));
                carries(self);
                l.tails.iter().filter_map(View::buf).for_each(|b| self.access(b));
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
            Some(n) => {
                out.fixed = out.fixed.saturating_add(n.checked_next_multiple_of(ALIGN as usize).unwrap_or(usize::MAX))
            }
            None => out.symbolic.push(Polynomial::of(&s.size)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use allotrope_ir::DType;

    fn schedule(text: &str) -> Schedule {
        Schedule::of(&text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap()
    }

    fn chain() -> Schedule {
        schedule(
            r#"graph(%0: f32[8, 8] "x", %1: f32[8, 8] "w") {
  %2: f32[8, 8] = matmul %0, %1
  %3: f32[8, 8] = matmul %2, %1
  %4: f32[8, 8] = matmul %3, %1
  %5: f32[8, 8] = matmul %4, %1
  return %5
}"#,
        )
    }

    fn slots(plan: &MemoryPlan) -> Vec<usize> {
        plan.slot.iter().flatten().copied().collect()
    }

    #[test]
    fn buffers_share_a_slot_when_they_are_never_needed_together() {
        let s = chain();
        let plan = MemoryPlan::of(&s, &Temporaries::default());
        assert_eq!(slots(&plan), [0, 1, 0]);
        assert_eq!(plan.bytes(&[]), 2 * 256);
        assert_eq!(plan.slot.len(), s.buffers.len());
    }

    #[test]
    fn temporaries_live_during_their_kernel_only() {
        let s = chain();
        let temporary = Buffer { location: Location::Scratch, dtype: DType::F32, len: Dim::Fixed(10), owner: None };
        let id = |i: usize| BufId((s.buffers.len() + i) as u32);
        let of = [vec![], vec![id(0), id(1)], vec![id(2)], vec![]];
        let temporaries =
            Temporaries { buffers: vec![temporary; 3], of: of.into_iter().map(|t| t.into_iter().collect()).collect() };
        let plan = MemoryPlan::of(&s, &temporaries);
        // Those of kernel 1 take slots of their own; that of kernel 2 takes one that they have left.
        assert_eq!(slots(&plan), [0, 1, 0, 2, 3, 2]);
        assert_eq!(plan.bytes(&[]), 2 * 256 + 2 * 64);
        let alive: Vec<_> = plan.buffers(&s, &temporaries).iter().map(|b| b.alive).collect();
        assert_eq!(alive, [(0, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 3)]);
    }

    #[test]
    fn what_every_iteration_reads_lives_to_the_end_of_the_loop() {
        let s = schedule(
            r#"graph(%0: f32[1, 4] "h", %1: f32[4, 4] "w") {
  %2: f32[4, 4] = matmul %1, %1
  %3: f32[1, 4] = scan %0, %2 carries=1 xs=0 length=6 {
    graph(%0: f32[1, 4] "h", %1: f32[4, 4] "w") {
      %2: f32[1, 4] = matmul %0, %1
      %3: f32[1, 4] = matmul %2, %1
      return %3
    }
  }
  return %3
}"#,
        );
        let plan = MemoryPlan::of(&s, &Temporaries::default());
        let squared = s.instructions.iter().find_map(|i| match i {
            Instruction::Operation(o) => o.operator.out().buf(),
            _ => None,
        });
        let slot = plan.slot[squared.unwrap().0 as usize];
        assert!(slot.is_some());
        assert_eq!(plan.slot.iter().filter(|other| **other == slot).count(), 1, "{plan:?}");
    }
}

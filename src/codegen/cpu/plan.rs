//! Addresses for the scratch buffers, by liveness: two buffers share a place when they are never needed at the same
//! time and are of the same symbolic size, or both of a fixed one. Nothing is moved, and no step is reordered.

use super::layout::{BufId, View};
use super::program::{Carry, Next, Place, Program, ScanId, Step, buffers_of};
use super::size::Size;
use allotrope_ir::Dim;

/// Every place begins at a multiple of this many bytes.
pub const ALIGN: i64 = 64;

/// The layout of the scratch memory.
#[derive(Debug, Default)]
pub struct Plan {
    /// For each buffer, its slot.
    pub slot: Vec<Option<usize>>,
    pub slots: Vec<Slot>,
    /// Bytes of all slots of fixed size.
    fixed: usize,
    symbolic: Vec<Size>,
}

#[derive(Debug)]
pub struct Slot {
    /// Bytes, before rounding up.
    pub size: Dim,
    /// The last position at which it is in use.
    busy: u32,
}

impl Plan {
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
    program: &'a Program,
    /// First and last position of each buffer.
    range: Vec<(u32, u32)>,
    /// The loops around, with their start, and what must live to their end.
    stack: Vec<(ScanId, u32, Vec<BufId>)>,
    now: u32,
}

impl Lives<'_> {
    fn touch(&mut self, b: BufId, at: u32) {
        let r = &mut self.range[b.0 as usize];
        *r = (r.0.min(at), r.1.max(at));
    }

    fn access(&mut self, b: BufId) {
        let buffer = &self.program.buffers[b.0 as usize];
        match &buffer.place {
            Place::Element { of, .. } => self.access(*of),
            Place::Moving { into } => into.iter().for_each(|&b| self.access(b)),
            Place::Input(_) | Place::Output(_) => {}
            Place::Scratch => {
                let inside = match buffer.owner {
                    None => 0,
                    Some(s) => self.stack.iter().position(|l| l.0 == s).map_or(0, |i| i + 1),
                };
                self.touch(b, self.now);
                // Other rounds may need what is made outside the loop.
                if let Some((_, start, until)) = self.stack.get_mut(inside) {
                    let start = *start;
                    until.push(b);
                    self.touch(b, start);
                }
            }
        }
    }

    fn walk(&mut self, steps: &[Step]) {
        for step in steps {
            self.now += 1;
            buffers_of(step, &mut |b| self.access(b));
            debug_assert!(!matches!(step, Step::Part(_)), "a program is planned before it is cut");
            if let Step::Scan(s) = step {
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
                let (before, each) = s.asks();
                before.into_iter().chain(each).for_each(|b| self.access(b));
                self.stack.push((s.id, self.now, Vec::new()));
                each.into_iter().for_each(|b| self.access(b));
                self.walk(&s.body);
                let (_, _, until) = self.stack.pop().expect("pushed above");
                self.now += 1;
                until.into_iter().for_each(|b| self.touch(b, self.now));
                carries(self);
                s.tails.iter().filter_map(View::buf).for_each(|b| self.access(b));
            }
        }
    }
}

pub fn plan(program: &Program) -> Plan {
    let mut lives = Lives { program, range: vec![(u32::MAX, 0); program.buffers.len()], stack: Vec::new(), now: 0 };
    lives.walk(&program.steps);
    let mut order: Vec<usize> = (0..program.buffers.len()).filter(|&b| lives.range[b].0 != u32::MAX).collect();
    order.sort_by_key(|&b| lives.range[b].0);
    let mut out = Plan { slot: vec![None; program.buffers.len()], ..Plan::default() };
    for b in order {
        let (first, last) = lives.range[b];
        let buffer = &program.buffers[b];
        let size = &buffer.len * &Dim::Fixed(buffer.dtype.size() as i64);
        let free = |s: &Slot| s.busy < first;
        let found = match &size {
            Dim::Poly(_) => out.slots.iter().position(|s| free(s) && s.size == size),
            Dim::Fixed(n) => {
                // The tightest that is large enough, else the largest, grown.
                let fixed = out.slots.iter().enumerate().filter_map(|(i, s)| match s.size {
                    Dim::Fixed(m) if free(s) => Some((if m >= *n { (0, m - n) } else { (1, n - m) }, i)),
                    _ => None,
                });
                fixed.min().map(|f| f.1)
            }
        };
        let slot = found.unwrap_or_else(|| {
            out.slots.push(Slot { size: size.clone(), busy: 0 });
            out.slots.len() - 1
        });
        let s = &mut out.slots[slot];
        if let (Dim::Fixed(have), Dim::Fixed(need)) = (&s.size, &size) {
            s.size = Dim::Fixed(*have.max(need));
        }
        s.busy = last;
        out.slot[b] = Some(slot);
    }
    for s in &out.slots {
        match s.size.as_fixed() {
            Some(n) => out.fixed += n.next_multiple_of(ALIGN as usize),
            None => out.symbolic.push(Size::of(&s.size)),
        }
    }
    out
}

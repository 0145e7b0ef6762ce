//! Loops, checks and the guard as Cranelift IR. The instructions in a loop's body are emitted by whoever gives it.

use crate::backend::cpu::calls;
use crate::backend::cpu::emit::{Emitter, mem};
use crate::backend::cpu::frame::Cell;
use crate::schedule::{Base, Iterations, Loop, Next, View, numel};
use allotrope_ir::Dim;
use cranelift::codegen::ir::BlockArg;
use cranelift::prelude::types::{I8, I16, I32, I64};
use cranelift::prelude::*;

impl Emitter<'_> {
    /// No check has failed yet.
    pub fn begin_checks(&mut self) {
        let none = self.int(0);
        self.save(Cell::Status, none);
    }

    pub fn check(&mut self, check: usize, condition: &View) {
        let holds = self.scalar(condition);
        let before = self.recall(Cell::Status, I64);
        let number = self.int(check as i64 + 1);
        let first = self.b.ins().icmp_imm_s(IntCC::Equal, before, 0);
        let failed = self.b.ins().select(first, number, before);
        let now = self.b.ins().select(holds, before, failed);
        self.save(Cell::Status, now);
    }

    pub fn guard(&mut self) {
        let status = self.recall(Cell::Status, I64);
        let (failed, passed) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(failed);
        self.b.ins().brif(status, failed, &[], passed, &[]);
        self.b.switch_to_block(failed);
        self.b.ins().return_(&[status]);
        self.b.switch_to_block(passed);
    }

    /// The loop, whose body `emit` writes.
    pub fn loop_of(&mut self, s: &Loop, emit: &mut dyn FnMut(&mut Self)) {
        if s.length == Dim::Fixed(0) && !matches!(s.iterations, Iterations::While { .. }) {
            for c in &s.carries {
                let init = self.address(&c.init);
                self.set_moving(c.current, init);
            }
            return;
        }
        let length = self.dim(&s.length);
        let iterations = match &s.iterations {
            Iterations::Count(n) => {
                let n = self.scalar(n);
                let zero = self.int(0);
                let n = self.b.ins().smax(n, zero);
                self.b.ins().smin(n, length)
            }
            Iterations::All | Iterations::While { .. } => length,
        };
        let (head, body, exit) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let iteration = self.b.append_block_param(head, I64);
        let zero = self.int(0);
        let mut args: Vec<BlockArg> = vec![zero.into()];
        let (mut toggles, mut moving) = (Vec::new(), Vec::new());
        for c in &s.carries {
            let init = self.address(&c.init);
            args.push(init.into());
            let current = self.b.append_block_param(head, I64);
            moving.push((c.current, current));
            toggles.push(match c.next {
                Next::At(_) => None,
                Next::PingPong { target, buffers } => {
                    let (p, q) = (self.buffer(buffers[0]), self.buffer(buffers[1]));
                    let both = self.b.ins().bxor(p, q);
                    args.push(p.into());
                    let t = self.b.append_block_param(head, I64);
                    moving.push((target, t));
                    Some(both)
                }
            });
        }
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(head);
        moving.iter().for_each(|(b, at)| self.set_moving(*b, *at));
        match &s.iterations {
            Iterations::All | Iterations::Count(_) => {
                let more = self.b.ins().icmp(IntCC::SignedLessThan, iteration, iterations);
                self.b.ins().brif(more, body, &[], exit, &[]);
            }
            Iterations::While { flag, limit } => self.ask(flag, *limit, iteration, length, [body, exit]),
        }
        self.b.switch_to_block(body);
        let index = if s.reverse {
            let last = self.b.ins().iadd_imm_s(iterations, -1);
            self.b.ins().isub(last, iteration)
        } else {
            iteration
        };
        self.set_index(s.id, index);
        emit(self);
        let next = self.b.ins().iadd_imm_s(iteration, 1);
        let mut args: Vec<BlockArg> = vec![next.into()];
        for (c, both) in s.carries.iter().zip(toggles) {
            match (&c.next, both) {
                (Next::At(b), _) => {
                    let at = self.buffer(*b);
                    args.push(at.into());
                }
                (Next::PingPong { target, .. }, both) => {
                    let t = self.buffer(*target);
                    args.push(t.into());
                    let other = self.b.ins().bxor(t, both.expect("made with the target"));
                    args.push(other.into());
                }
            }
        }
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(exit);
        for tail in &s.tails {
            self.clear(tail, iteration, length);
        }
    }

    /// Goes on to the first block where the flag is true and there is capacity for another iteration, else to the second.
    fn ask(&mut self, flag: &View, limit: Option<usize>, iteration: Value, length: Value, [body, exit]: [Block; 2]) {
        let asked = self.b.create_block();
        // Where a check has failed, what the flag says means nothing, and the loop need not end by itself.
        if !self.input.schedule.checks.is_empty() {
            let status = self.recall(Cell::Status, I64);
            self.b.ins().brif(status, exit, &[], asked, &[]);
        } else {
            self.b.ins().jump(asked, &[]);
        }
        self.b.switch_to_block(asked);
        let more = self.scalar(flag);
        let Some(check) = limit else {
            self.b.ins().brif(more, body, &[], exit, &[]);
            return;
        };
        let (wanted, stop) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(stop);
        self.b.ins().brif(more, wanted, &[], exit, &[]);
        self.b.switch_to_block(wanted);
        let fits = self.b.ins().icmp(IntCC::SignedLessThan, iteration, length);
        self.b.ins().brif(fits, body, &[], stop, &[]);
        self.b.switch_to_block(stop);
        // No check has failed before: that was asked above.
        let number = self.int(check as i64 + 1);
        self.save(Cell::Status, number);
        self.b.ins().jump(exit, &[]);
    }

    /// Sets the elements of the first axis of `x`, which is contiguous, from `begin` on to 0.
    fn clear(&mut self, x: &View, begin: Value, length: Value) {
        let ty = match x.dtype.size() {
            1 => I8,
            2 => I16,
            4 => I32,
            _ => I64,
        };
        let left = self.b.ins().isub(length, begin);
        let one = numel(&x.shape[1..]);
        let step = self.dim(&one);
        let n = self.b.ins().imul(left, step);
        let bytes = self.dim_bytes(&one, x.dtype);
        let skipped = self.b.ins().imul(begin, bytes);
        let at = self.address(x);
        let at = self.b.ins().iadd(at, skipped);
        let size = x.dtype.size() as i64;
        self.count(n, 1, false, &mut |e, i| {
            let place = e.b.ins().imul_imm_s(i, size);
            let place = e.b.ins().iadd(at, place);
            let zero = e.b.ins().iconst(ty, 0);
            e.b.ins().store(mem(), zero, place, 0);
        });
    }

    /// The one element of a view.
    fn scalar(&mut self, x: &View) -> Value {
        match &x.base {
            Base::Buf(_) => {
                let at = self.address(x);
                self.b.ins().load(calls::machine_type(x.dtype), mem(), at, 0)
            }
            base => self.immediate(base, None),
        }
    }
}

//! The cells that the functions of one schedule share: sizes that are computed once in a call, and, where a schedule was
//! cut, what one function computes and another one needs. Each cell is a word. It emits only their loads and stores.

use crate::backend::cpu::emit::{Emitter, mem};
use crate::schedule::{ALIGN, BufId, LoopId, MemoryPlan, ScalarId};
use allotrope_ir::Dim;
use cranelift::codegen::ir::{StackSlot, StackSlotData, StackSlotKind};
use cranelift::prelude::types::I64;
use cranelift::prelude::*;
use cranelift_module::FuncId;
use rustc_hash::FxHashMap;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    Dim(Dim),
    /// Where a slot of symbolic size begins, in bytes.
    Slot(usize),
    Scalar(ScalarId),
    /// Where a moving buffer is.
    Moving(BufId),
    /// The index of a loop.
    Index(LoopId),
    /// The number of the first check that failed, or 0.
    Status,
}

pub struct Frame {
    /// Whether several functions use it: then it lies in the scratch memory, behind the slots of fixed size.
    shared: bool,
    /// Where each cell is, in bytes.
    cells: FxHashMap<Cell, i32>,
    /// Where slots of fixed size begin.
    fixed: Vec<Option<i64>>,
    fixed_bytes: i64,
    /// The functions that the entry calls.
    pub functions: Vec<FuncId>,
}

/// Where the function that is being emitted finds the frame.
pub enum Home {
    Closed,
    Stack(StackSlot),
    Address(Value),
}

impl Frame {
    pub fn new(plan: &MemoryPlan, shared: bool) -> Frame {
        let mut at = 0;
        let mut place = |size: &Dim| match size {
            Dim::Fixed(n) => {
                let begin = at;
                at += (n + ALIGN - 1) / ALIGN * ALIGN;
                Some(begin)
            }
            Dim::Poly(_) => None,
        };
        let fixed = plan.slots.iter().map(|s| place(&s.size)).collect();
        Frame { shared, cells: FxHashMap::default(), fixed, fixed_bytes: at, functions: Vec::new() }
    }

    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Where a slot of fixed size begins.
    pub fn fixed(&self, slot: usize) -> Option<i64> {
        self.fixed[slot]
    }

    pub fn has(&self, cell: &Cell) -> bool {
        self.cells.contains_key(cell)
    }

    /// The sizes that cells hold, in the order in which they were first needed.
    pub fn constants(&self) -> Vec<Dim> {
        let dim = |(cell, at): (&Cell, &i32)| if let Cell::Dim(d) = cell { Some((*at, d.clone())) } else { None };
        let mut dims: Vec<(i32, Dim)> = self.cells.iter().filter_map(dim).collect();
        dims.sort_by_key(|d| d.0);
        dims.into_iter().map(|d| d.1).collect()
    }

    /// Bytes of scratch memory that it takes, once everything is emitted.
    pub fn scratch_bytes(&self) -> usize {
        if self.shared { (8 * self.cells.len()).next_multiple_of(ALIGN as usize) } else { 0 }
    }

    /// Where slots of symbolic size begin, once everything is emitted.
    pub fn symbolic_slots_begin(&self) -> i64 {
        self.fixed_bytes + self.scratch_bytes() as i64
    }
}

impl Emitter<'_> {
    /// Finds the frame for the function that begins here.
    pub fn open_home(&mut self) {
        self.home = if self.frame.shared {
            Home::Address(self.b.ins().iadd_imm_s(self.params[3], self.frame.fixed_bytes))
        } else {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 0, 3);
            Home::Stack(self.b.create_sized_stack_slot(data))
        };
    }

    /// Ends the function that owns the frame.
    pub fn close_home(&mut self) {
        if let Home::Stack(slot) = self.home {
            self.b.func.sized_stack_slots[slot].size = 8 * self.frame.cells.len().max(1) as u32;
        }
    }

    fn place_of(&mut self, cell: Cell) -> i32 {
        let next = 8 * self.frame.cells.len() as i32;
        *self.frame.cells.entry(cell).or_insert(next)
    }

    pub fn recall(&mut self, cell: Cell, ty: Type) -> Value {
        let at = self.place_of(cell);
        match self.home {
            Home::Stack(slot) => self.b.ins().stack_load(I64, ty, slot, at),
            Home::Address(base) => self.b.ins().load(ty, mem(), base, at),
            Home::Closed => unreachable!("a function begins with its frame"),
        }
    }

    /// What another function of the schedule has saved with [`Emitter::share`].
    pub fn recall_shared(&mut self, cell: Cell, ty: Type) -> Value {
        assert!(self.frame.shared, "bug in this library: {cell:?} is used before it is computed");
        self.recall(cell, ty)
    }

    pub fn save(&mut self, cell: Cell, value: Value) {
        let at = self.place_of(cell);
        match self.home {
            Home::Stack(slot) => _ = self.b.ins().stack_store(I64, value, slot, at),
            Home::Address(base) => _ = self.b.ins().store(mem(), value, base, at),
            Home::Closed => unreachable!("a function begins with its frame"),
        }
    }

    /// Saves for the other functions of the schedule, where there are any, what this one has computed.
    pub fn share(&mut self, cell: Cell, value: Value) {
        if self.frame.shared {
            self.save(cell, value);
        }
    }
}

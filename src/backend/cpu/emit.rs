//! Schedule to Cranelift IR: one function, or several where [`crate::backend::cpu::functions`] has cut it. This file has what
//! every instruction needs: dimensions, addresses, loops, calls; the instructions themselves are in
//! [`crate::backend::cpu::kernel`], [`crate::backend::cpu::operators`] and [`crate::backend::cpu::control`]. It decides
//! nothing about memory or order.

use crate::backend::cpu::block_plan::BlockPlans;
use crate::backend::cpu::calls::{self, Function};
use crate::backend::cpu::frame::{Cell, Frame, Home};
use crate::backend::cpu::functions::{Functions, Unit};
use crate::backend::cpu::jit;
use crate::backend::cpu::options::CompileError;
use crate::backend::cpu::profile::Stamp;
use crate::schedule::{
    ALIGN, Base, BufId, Buffer, Instruction, Location, LoopId, MemoryPlan, ScalarId, Schedule, View,
};
use allotrope_ir::{DType, Dim};
use cranelift::codegen::ir::{BlockArg, FuncRef, StackSlotData, StackSlotKind};
use cranelift::prelude::types::{F32, F64, I8, I16, I32, I64};
use cranelift::prelude::*;
use cranelift_module::{FuncId, Linkage, Module};
use rustc_hash::FxHashMap;

/// Loads and stores of this function never trap; vectors may lie at any address.
pub fn mem() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// What is emitted: a schedule, and what the CPU has planned for it.
pub struct Input<'a> {
    pub schedule: &'a Schedule,
    pub plans: &'a BlockPlans,
    pub plan: &'a MemoryPlan,
    pub functions: Functions<'a>,
    /// Whether the code tells the time before and after each kernel, see [`crate::backend::cpu::profile`].
    pub stamps: bool,
}

impl Input<'_> {
    /// A buffer of the schedule, or one of the temporaries behind them.
    fn buffer(&self, id: BufId) -> &Buffer {
        let own = &self.schedule.buffers;
        let i = id.0 as usize;
        own.get(i).unwrap_or_else(|| &self.plans.temporaries.buffers[i - own.len()])
    }
}

pub struct Emitter<'a> {
    pub b: FunctionBuilder<'a>,
    pub input: &'a Input<'a>,
    module: &'a mut dyn Module,
    /// Addresses: the binding, the inputs, the outputs, the scratch memory.
    pub(crate) params: [Value; 4],
    /// What the functions of the program share.
    pub(crate) frame: &'a mut Frame,
    pub(crate) home: Home,
    scalars: Vec<Option<Value>>,
    /// The current addresses of moving buffers.
    moving: FxHashMap<BufId, Value>,
    /// The current indices of the loops around.
    indices: FxHashMap<LoopId, Value>,
    functions: FxHashMap<Function, FuncRef>,
    /// Names of the functions called, by their number in the module.
    called: Vec<(FuncId, String)>,
}

/// Emits and compiles the whole program. Gives the function to call, whose parameters are four addresses and whose
/// result is the number of the first check that failed, or 0; and the bytes of scratch that the frame takes.
pub fn emit(input: &Input, builder: &mut jit::Builder) -> Result<(FuncId, usize), CompileError> {
    let functions = &input.functions;
    let mut frame = Frame::new(input.plan, !functions.called.is_empty());
    for (i, instructions) in functions.called.iter().enumerate() {
        let id = builder.function(&format!("part{i}"), 4, false, &mut |module, func, context| {
            let (mut e, entry) = Emitter::new(input, &mut frame, module, func, context);
            e.b.switch_to_block(entry);
            e.open_home();
            instructions.iter().for_each(|i| e.instruction(i));
            e.b.ins().return_(&[]);
            e.finish()
        })?;
        frame.functions.push(id);
    }
    // The entry block of the whole comes first, and is filled last: only then is it known which dimensions are needed.
    let id = builder.function("step", 4, true, &mut |module, func, context| {
        let (mut e, entry) = Emitter::new(input, &mut frame, module, func, context);
        let start = e.b.create_block();
        e.b.switch_to_block(start);
        e.open_home();
        if !input.schedule.checks.is_empty() {
            e.begin_checks();
        }
        e.units(&functions.entry);
        // With checks, this comes after the guard.
        let passed = e.int(0);
        e.b.ins().return_(&[passed]);
        e.prologue(entry, start);
        e.finish()
    })?;
    Ok((id, frame.scratch_bytes()))
}

impl<'a> Emitter<'a> {
    fn new(
        input: &'a Input<'a>,
        frame: &'a mut Frame,
        module: &'a mut dyn Module,
        func: &'a mut codegen::ir::Function,
        context: &'a mut FunctionBuilderContext,
    ) -> (Emitter<'a>, Block) {
        let mut b = FunctionBuilder::new(func, context);
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        let params = std::array::from_fn(|i| b.block_params(entry)[i]);
        b.func.layout.append_block(entry);
        let e = Emitter {
            b,
            input,
            module,
            params,
            frame,
            home: Home::Closed,
            scalars: vec![None; input.schedule.scalars.len()],
            moving: FxHashMap::default(),
            indices: FxHashMap::default(),
            functions: FxHashMap::default(),
            called: Vec::new(),
        };
        (e, entry)
    }

    fn finish(self) -> Vec<(FuncId, String)> {
        let config = self.module.target_config();
        let Emitter { mut b, called, .. } = self;
        b.seal_all_blocks();
        b.finalize(config);
        called
    }
}

impl Emitter<'_> {
    pub fn units(&mut self, units: &[Unit]) {
        for unit in units {
            match unit {
                Unit::One(instruction) => self.instruction(instruction),
                Unit::Loop(l, body) => self.loop_of(l, &mut |e| e.units(body)),
                Unit::Call(i) => self.call_function(*i),
            }
        }
    }

    pub fn instruction(&mut self, instruction: &Instruction) {
        let timed = instruction.number().filter(|_| self.input.stamps);
        self.stamp(Function::Stamp(Stamp::Begin), timed);
        match instruction {
            Instruction::Kernel(k) => self.kernel(k),
            Instruction::Operation(o) => self.operator(&o.operator),
            Instruction::Loop(l) => self.loop_of(l, &mut |e| l.body.iter().for_each(|i| e.instruction(i))),
            Instruction::Check { check, condition } => self.check(*check, condition),
            Instruction::Guard => self.guard(),
        }
        self.stamp(Function::Stamp(Stamp::End), timed);
    }

    /// Tells the time at which a kernel begins or ends.
    fn stamp(&mut self, function: Function, kernel: Option<usize>) {
        if let Some(kernel) = kernel {
            let number = self.int(kernel as i64);
            self.call(function, &[number]);
        }
    }

    /// Runs the instructions of another function of this schedule.
    fn call_function(&mut self, i: usize) {
        let id = self.frame.functions[i];
        let f = self.module.declare_func_in_func(id, self.b.func);
        // Each function may lie anywhere in memory.
        self.b.func.dfg.ext_funcs[f].colocated = false;
        self.called.push((id, format!("part{i}")));
        self.b.ins().call(f, &self.params);
    }

    /// Computes what is constant during a call.
    fn prologue(&mut self, entry: Block, start: Block) {
        self.b.switch_to_block(entry);
        if self.frame.is_shared() {
            self.open_home();
        }
        let cells = self.frame.constants();
        if self.input.plan.slots.iter().any(|s| matches!(s.size, Dim::Poly(_))) {
            let mut at = self.int(self.frame.symbolic_slots_begin());
            for (i, slot) in self.input.plan.slots.iter().enumerate() {
                let Dim::Poly(_) = &slot.size else { continue };
                if self.frame.has(&Cell::Slot(i)) {
                    self.save(Cell::Slot(i), at);
                }
                let size = self.polynomial(&slot.size);
                let size = self.b.ins().iadd_imm_s(size, ALIGN - 1);
                let size = self.b.ins().band_imm_s(size, -ALIGN);
                at = self.b.ins().iadd(at, size);
            }
        }
        for d in cells {
            let v = self.polynomial(&d);
            self.save(Cell::Dim(d), v);
        }
        self.close_home();
        self.b.ins().jump(start, &[]);
    }

    fn polynomial(&mut self, d: &Dim) -> Value {
        let mut sum = None;
        for (symbols, factor) in d.terms() {
            let mut product = None;
            for s in symbols {
                let v = self.b.ins().load(I64, mem(), self.params[0], 8 * s.0 as i32);
                product = Some(product.map_or(v, |p| self.b.ins().imul(p, v)));
            }
            let term = match product {
                None => self.int(factor),
                Some(p) if factor == 1 => p,
                Some(p) => self.b.ins().imul_imm_s(p, factor),
            };
            sum = Some(sum.map_or(term, |s| self.b.ins().iadd(s, term)));
        }
        sum.unwrap_or_else(|| self.int(0))
    }

    pub fn int(&mut self, n: i64) -> Value {
        self.b.ins().iconst(I64, n)
    }

    /// The value of a dimension.
    pub fn dim(&mut self, d: &Dim) -> Value {
        match d {
            Dim::Fixed(n) => self.int(*n),
            d => self.recall(Cell::Dim(d.clone()), I64),
        }
    }

    /// `d` elements of `dtype`, in bytes.
    pub fn dim_bytes(&mut self, d: &Dim, dtype: DType) -> Value {
        self.dim(&(d * &Dim::Fixed(dtype.size() as i64)))
    }

    /// `base + d` elements of `dtype`.
    pub fn advance(&mut self, base: Value, d: &Dim, dtype: DType) -> Value {
        match d {
            Dim::Fixed(0) => base,
            Dim::Fixed(n) => self.b.ins().iadd_imm_s(base, n * dtype.size() as i64),
            d => {
                let n = self.dim_bytes(d, dtype);
                self.b.ins().iadd(base, n)
            }
        }
    }

    /// The address of a buffer.
    pub fn buffer(&mut self, id: BufId) -> Value {
        let input = self.input;
        let buffer = input.buffer(id);
        match &buffer.location {
            Location::Input(i) => self.b.ins().load(I64, mem(), self.params[1], 8 * *i as i32),
            Location::Output(j) => self.b.ins().load(I64, mem(), self.params[2], 8 * *j as i32),
            Location::Scratch => {
                let slot = self.input.plan.slot[id.0 as usize].expect("a buffer that is used has a slot");
                match self.frame.fixed(slot) {
                    Some(0) => self.params[3],
                    Some(at) => self.b.ins().iadd_imm_s(self.params[3], at),
                    None => {
                        let at = self.recall(Cell::Slot(slot), I64);
                        self.b.ins().iadd(self.params[3], at)
                    }
                }
            }
            Location::Element { of, offset, stride, of_loop } => {
                let base = self.buffer(*of);
                let base = self.advance(base, offset, buffer.dtype);
                let stride = self.dim_bytes(stride, buffer.dtype);
                let index = self.index(*of_loop);
                let at = self.b.ins().imul(index, stride);
                self.b.ins().iadd(base, at)
            }
            Location::Moving { .. } => match self.moving.get(&id) {
                Some(&at) => at,
                None => self.recall_shared(Cell::Moving(id), I64),
            },
        }
    }

    /// The current index of a loop around.
    fn index(&mut self, of_loop: LoopId) -> Value {
        match self.indices.get(&of_loop) {
            Some(&index) => index,
            None => self.recall_shared(Cell::Index(of_loop), I64),
        }
    }

    /// Where a moving buffer is from here on.
    pub fn set_moving(&mut self, b: BufId, at: Value) {
        self.moving.insert(b, at);
        self.share(Cell::Moving(b), at);
    }

    pub fn set_index(&mut self, of_loop: LoopId, index: Value) {
        self.indices.insert(of_loop, index);
        self.share(Cell::Index(of_loop), index);
    }

    pub fn set_scalar(&mut self, s: ScalarId, v: Value) {
        self.scalars[s.0 as usize] = Some(v);
        self.share(Cell::Scalar(s), v);
    }

    /// The address of the first element of a view in memory.
    pub fn address(&mut self, v: &View) -> Value {
        let Base::Buf(b) = v.base else { unreachable!("{v:?} does not lie in memory") };
        let base = self.buffer(b);
        self.advance(base, &v.offset, v.dtype)
    }

    /// Calls a library function.
    pub fn call(&mut self, function: Function, args: &[Value]) -> Option<Value> {
        let f = match self.functions.get(&function) {
            Some(f) => *f,
            None => {
                let linked = function.linked();
                let mut sig = self.module.make_signature();
                linked.declare(&mut sig);
                let id =
                    self.module.declare_function(linked.name, Linkage::Import, &sig).expect("one signature per name");
                let f = self.module.declare_func_in_func(id, self.b.func);
                self.functions.insert(function, f);
                self.called.push((id, linked.name.to_string()));
                f
            }
        };
        let inst = self.b.ins().call(f, args);
        self.b.inst_results(inst).first().copied()
    }

    /// `body` for 0, step, … below `n`; the last step may be cut short by the caller. Nothing at all where n is 0.
    pub fn for_each(&mut self, n: &Dim, step: i64, body: &mut dyn FnMut(&mut Self, Value)) {
        match n {
            Dim::Fixed(n) if *n <= 0 => {}
            Dim::Fixed(n) if *n <= step => {
                let zero = self.int(0);
                body(self, zero);
            }
            n => {
                let end = self.dim(n);
                self.count(end, step, n.as_fixed().is_some(), body);
            }
        }
    }

    /// `body` for 0, step, … below `end`, which is known to be above 0 where `some`.
    pub fn count(&mut self, end: Value, step: i64, some: bool, body: &mut dyn FnMut(&mut Self, Value)) {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        let i = self.b.append_block_param(head, I64);
        let zero = self.int(0);
        if some {
            self.b.ins().jump(head, &[zero.into()]);
        } else {
            let any = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, end, 0);
            self.b.ins().brif(any, head, &[BlockArg::from(zero)], exit, &[]);
        }
        self.b.switch_to_block(head);
        body(self, i);
        let next = self.b.ins().iadd_imm_s(i, step);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, end);
        self.b.ins().brif(more, head, &[BlockArg::from(next)], exit, &[]);
        self.b.switch_to_block(exit);
    }

    /// One element of a view that does not lie in memory; `at` is its position, for an iota.
    pub fn immediate(&mut self, base: &Base, at: Option<Value>) -> Value {
        use allotrope_ir::Scalar;
        match base {
            Base::Const(Scalar::Bool(x)) => self.b.ins().iconst(I8, *x as i64),
            Base::Const(s @ (Scalar::U8(_) | Scalar::I32(_) | Scalar::F16(_) | Scalar::BF16(_))) => {
                self.b.ins().iconst(calls::machine_type(s.dtype()), s.bits() as i64)
            }
            Base::Const(Scalar::I64(x)) => self.int(*x),
            Base::Const(Scalar::F32(x)) => self.b.ins().f32const(Ieee32::with_bits(x.to_bits())),
            Base::Const(Scalar::F64(x)) => self.b.ins().f64const(Ieee64::with_bits(x.to_bits())),
            Base::Extent(d) => self.dim(d),
            Base::Scalar(s) => match self.scalars[s.0 as usize] {
                Some(v) => v,
                None => {
                    self.recall_shared(Cell::Scalar(*s), calls::machine_type(self.input.schedule.scalars[s.0 as usize]))
                }
            },
            Base::Index => at.expect("an iota is walked"),
            Base::Buf(_) => unreachable!("lies in memory"),
        }
    }

    /// Scratch on the stack.
    pub fn stack(&mut self, bytes: u32) -> Value {
        let slot = self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4));
        self.b.ins().stack_addr(I64, slot, 0)
    }
}

/// The vector of 16 bytes whose lanes are elements of this dtype.
pub fn vector_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 => F32.by(4).expect("a vector type"),
        DType::F64 => F64.by(2).expect("a vector type"),
        DType::I64 => I64.by(2).expect("a vector type"),
        DType::I32 => I32.by(4).expect("a vector type"),
        DType::F16 | DType::BF16 => I16.by(8).expect("a vector type"),
        DType::Bool | DType::U8 => I8.by(16).expect("a vector type"),
    }
}

//! Program to Cranelift IR: one function for all of it. This file has what every step needs: dimensions, addresses,
//! loops, calls; the steps themselves are in [`super::loops`] and [`super::steps`]. It decides nothing about memory or
//! order.

use super::calls;
use super::layout::{Base, BufId, View};
use super::plan::{ALIGN, Plan};
use super::program::{Place, Program, ScanId, Step};
use allotrope_ir::{DType, Dim};
use cranelift::codegen::ir::{BlockArg, FuncRef, StackSlot, StackSlotData, StackSlotKind};
use cranelift::prelude::types::{F32, F64, I8, I16, I32, I64};
use cranelift::prelude::*;
use cranelift_module::{FuncId, Linkage, Module};
use rustc_hash::FxHashMap;

/// Loads and stores of this function never trap; vectors may lie at any address.
pub fn mem() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// What is computed once at the start of the function, from the binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Constant {
    Dim(Dim),
    /// Where a slot of symbolic size begins, in bytes.
    Slot(usize),
}

pub struct Emitter<'a> {
    pub b: FunctionBuilder<'a>,
    pub program: &'a Program,
    plan: &'a Plan,
    module: &'a mut dyn Module,
    /// Addresses: the binding, the inputs, the outputs, the scratch memory.
    params: [Value; 4],
    constants: FxHashMap<Constant, i32>,
    constant_slot: StackSlot,
    /// Where slots of fixed size begin.
    fixed: Vec<Option<i64>>,
    pub scalars: Vec<Option<Value>>,
    /// The current addresses of moving buffers.
    pub moving: FxHashMap<BufId, Value>,
    /// The rounds of the loops around.
    pub rounds: FxHashMap<ScanId, Value>,
    functions: FxHashMap<String, FuncRef>,
    /// Names of the functions called, by their number in the module.
    pub called: Vec<(FuncId, String)>,
    /// The number of the first check that failed, in a program that has checks.
    pub status: Option<StackSlot>,
}

/// Emits the whole program into `func`, whose signature is four addresses and, as its result, the number of the first
/// check that failed, or 0.
pub fn emit(
    program: &Program,
    plan: &Plan,
    module: &mut dyn Module,
    func: &mut codegen::ir::Function,
    context: &mut FunctionBuilderContext,
) -> Vec<(FuncId, String)> {
    let config = module.target_config();
    let mut b = FunctionBuilder::new(func, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    let params = std::array::from_fn(|i| b.block_params(entry)[i]);
    // The entry block comes first, and is filled last: only then is it known which dimensions are needed.
    b.func.layout.append_block(entry);
    let start = b.create_block();
    b.switch_to_block(start);
    let constant_slot = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 0, 3));
    let mut fixed = Vec::new();
    let mut at = 0;
    for slot in &plan.slots {
        fixed.push(match slot.size {
            Dim::Fixed(n) => {
                at += (n + ALIGN - 1) / ALIGN * ALIGN;
                Some(at - (n + ALIGN - 1) / ALIGN * ALIGN)
            }
            Dim::Poly(_) => None,
        });
    }
    let mut e = Emitter {
        b,
        program,
        plan,
        module,
        params,
        constants: FxHashMap::default(),
        constant_slot,
        fixed,
        scalars: vec![None; program.scalars.len()],
        moving: FxHashMap::default(),
        rounds: FxHashMap::default(),
        functions: FxHashMap::default(),
        called: Vec::new(),
        status: None,
    };
    if !program.checks.is_empty() {
        e.begin_checks();
    }
    e.steps(&program.steps);
    // With checks, this comes after the guard.
    let passed = e.int(0);
    e.b.ins().return_(&[passed]);
    e.prologue(entry, start, at);
    let Emitter { mut b, called, .. } = e;
    b.seal_all_blocks();
    b.finalize(config);
    called
}

impl Emitter<'_> {
    pub fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Kernel(k) => self.kernel(k),
                Step::Matmul(m) => self.matmul(m),
                Step::Reduce(r) => self.strided_reduce(r),
                Step::Library(c) => self.library(c),
                Step::Scan(s) => self.scan(s),
                Step::Check { number, condition } => self.check(*number, condition),
                Step::Guard => self.guard(),
            }
        }
    }

    /// Computes what is constant during a call.
    fn prologue(&mut self, entry: Block, start: Block, fixed_bytes: i64) {
        self.b.switch_to_block(entry);
        let mut wanted: Vec<(Constant, i32)> = self.constants.drain().collect();
        wanted.sort_by_key(|w| w.1);
        let slots = self.plan.slots.iter().any(|s| matches!(s.size, Dim::Poly(_)));
        let mut offset = slots.then(|| self.int(fixed_bytes));
        for (i, slot) in self.plan.slots.iter().enumerate() {
            let (Dim::Poly(_), Some(at)) = (&slot.size, offset) else { continue };
            if let Some((_, place)) = wanted.iter().find(|w| w.0 == Constant::Slot(i)) {
                self.b.ins().stack_store(I64, at, self.constant_slot, *place);
            }
            let size = self.polynomial(&slot.size);
            let size = self.b.ins().iadd_imm_s(size, ALIGN - 1);
            let size = self.b.ins().band_imm_s(size, -ALIGN);
            offset = Some(self.b.ins().iadd(at, size));
        }
        for (c, place) in &wanted {
            if let Constant::Dim(d) = c {
                let v = self.polynomial(d);
                self.b.ins().stack_store(I64, v, self.constant_slot, *place);
            }
        }
        self.b.func.sized_stack_slots[self.constant_slot].size = 8 * wanted.len().max(1) as u32;
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

    fn constant(&mut self, c: Constant) -> Value {
        let next = 8 * self.constants.len() as i32;
        let at = *self.constants.entry(c).or_insert(next);
        self.b.ins().stack_load(I64, I64, self.constant_slot, at)
    }

    pub fn int(&mut self, n: i64) -> Value {
        self.b.ins().iconst(I64, n)
    }

    /// The value of a dimension.
    pub fn dim(&mut self, d: &Dim) -> Value {
        match d {
            Dim::Fixed(n) => self.int(*n),
            d => self.constant(Constant::Dim(d.clone())),
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
        let program = self.program;
        let buffer = &program.buffers[id.0 as usize];
        match &buffer.place {
            Place::Input(i) => self.b.ins().load(I64, mem(), self.params[1], 8 * *i as i32),
            Place::Output(j) => self.b.ins().load(I64, mem(), self.params[2], 8 * *j as i32),
            Place::Scratch => {
                let slot = self.plan.slot[id.0 as usize].expect("a buffer that is used has a slot");
                match self.fixed[slot] {
                    Some(0) => self.params[3],
                    Some(at) => self.b.ins().iadd_imm_s(self.params[3], at),
                    None => {
                        let at = self.constant(Constant::Slot(slot));
                        self.b.ins().iadd(self.params[3], at)
                    }
                }
            }
            Place::Element { of, offset, step, scan } => {
                let base = self.buffer(*of);
                let base = self.advance(base, offset, buffer.dtype);
                let step = self.dim_bytes(step, buffer.dtype);
                let at = self.b.ins().imul(self.rounds[scan], step);
                self.b.ins().iadd(base, at)
            }
            Place::Moving { .. } => self.moving[&id],
        }
    }

    /// The address of the first element of a view in memory.
    pub fn address(&mut self, v: &View) -> Value {
        let Base::Buf(b) = v.base else { unreachable!("{v:?} does not lie in memory") };
        let base = self.buffer(b);
        self.advance(base, &v.offset, v.dtype)
    }

    /// Calls a library function.
    pub fn call(&mut self, name: &str, args: &[Value]) -> Option<Value> {
        let f = match self.functions.get(name) {
            Some(f) => *f,
            None => {
                let mut sig = self.module.make_signature();
                calls::signature(name, &mut sig);
                let id = self.module.declare_function(name, Linkage::Import, &sig).expect("one signature per name");
                let f = self.module.declare_func_in_func(id, self.b.func);
                self.functions.insert(name.to_string(), f);
                self.called.push((id, name.to_string()));
                f
            }
        };
        let inst = self.b.ins().call(f, args);
        self.b.inst_results(inst).first().copied()
    }

    /// `body` for 0, step, … below `n`; the last round may be cut short by the caller. Nothing at all where n is 0.
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
            Base::Ssa(s) => self.scalars[s.0 as usize].expect("scalars are computed before they are used"),
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

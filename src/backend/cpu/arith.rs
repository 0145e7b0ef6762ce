//! The arithmetic of one element or one vector, as Cranelift IR: exactly what IEEE 754 rounds exactly, and integers
//! that wrap. Nothing here is approximated, contracted or reordered.

use crate::backend::cpu::calls::machine_type;
use crate::backend::cpu::emit::{Emitter, vector_type};
use crate::schedule::ExprKind;
use allotrope_ir::{BinaryOp, CompareOp, DType, UnaryOp};
use cranelift::codegen::ir::Endianness;
use cranelift::prelude::types::{F32, F64, I8, I32, I64};
use cranelift::prelude::*;

/// How many elements a value holds. In vectors that are computed with, a bool is a mask as wide as the elements beside it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lanes {
    One,
    /// Of eight bytes.
    Two,
    /// Of four bytes.
    Four,
    /// Of two bytes, which are only moved.
    Eight,
    /// Of one byte, which are only moved: a bool is a byte here too.
    Sixteen,
}

impl Lanes {
    /// Bytes of one element in a vector.
    pub fn bytes(self) -> usize {
        match self {
            Lanes::One | Lanes::Two => 8,
            Lanes::Four => 4,
            Lanes::Eight => 2,
            Lanes::Sixteen => 1,
        }
    }

    fn mask(self) -> Type {
        match self {
            Lanes::One => I8,
            Lanes::Two => I64.by(2).expect("a vector type"),
            Lanes::Four => I32.by(4).expect("a vector type"),
            Lanes::Eight | Lanes::Sixteen => unreachable!("these are only moved"),
        }
    }
}

/// The order of lanes when their number changes.
fn little() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

/// Whether [`Emitter::apply`] knows the operation on vectors, given that all its dtypes have vectors.
pub fn has_vectors(kind: &ExprKind, from: DType, to: DType) -> bool {
    match kind {
        ExprKind::Unary(op, _) => *op != UnaryOp::Abs || to != DType::I64,
        ExprKind::Cast(_) => {
            from == to
                || from == DType::Bool
                || (to == DType::Bool && from != DType::I64)
                || (from == DType::I32 && to == DType::F32)
        }
        ExprKind::Reduce(..) | ExprKind::Leaf(_) | ExprKind::Widen(_) | ExprKind::Narrow(_) => false,
        ExprKind::Binary(..) | ExprKind::Compare(..) | ExprKind::Select(..) => true,
    }
}

impl Emitter<'_> {
    /// A value in every lane.
    pub fn splat(&mut self, v: Value, dtype: DType, lanes: Lanes) -> Value {
        if dtype != DType::Bool || lanes == Lanes::Sixteen {
            return self.b.ins().splat(vector_type(dtype), v);
        }
        let lane = if lanes == Lanes::Four { I32 } else { I64 };
        let v = self.b.ins().uextend(lane, v);
        let v = self.b.ins().ineg(v);
        self.b.ins().splat(lanes.mask(), v)
    }

    /// Four bools, as bytes, as a mask of four lanes.
    pub fn bytes_to_mask(&mut self, bytes: Value) -> Value {
        let mask = Lanes::Four.mask();
        let x = self.b.ins().scalar_to_vector(mask, bytes);
        let x = self.b.ins().bitcast(I8.by(16).expect("a vector type"), little(), x);
        let x = self.b.ins().uwiden_low(x);
        let x = self.b.ins().uwiden_low(x);
        self.b.ins().ineg(x)
    }

    /// A mask of four lanes as four bools.
    pub fn mask_to_bytes(&mut self, mask: Value) -> Value {
        let x = self.b.ins().ineg(mask);
        let x = self.b.ins().snarrow(x, x);
        let x = self.b.ins().snarrow(x, x);
        let x = self.b.ins().bitcast(Lanes::Four.mask(), little(), x);
        self.b.ins().extractlane(x, 0)
    }

    /// One operation; its operands are of dtype `from` (a select's second and third of `to`), its result of `to`.
    pub fn apply(&mut self, kind: &ExprKind, args: &[Value], from: DType, to: DType, lanes: Lanes) -> Value {
        match kind {
            ExprKind::Unary(op, _) => self.unary(*op, args[0], to, lanes),
            ExprKind::Binary(op, ..) => self.binary(*op, args[0], args[1], to, lanes),
            ExprKind::Compare(op, ..) => self.compare(*op, args[0], args[1], from, lanes),
            ExprKind::Select(..) => self.choose(args[0], args[1], args[2], to, lanes),
            ExprKind::Cast(_) => self.cast(args[0], from, to, lanes),
            ExprKind::Leaf(_) | ExprKind::Reduce(..) | ExprKind::Widen(_) | ExprKind::Narrow(_) => {
                unreachable!("not arithmetic")
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Value, dtype: DType, lanes: Lanes) -> Value {
        let float = dtype.is_float();
        match op {
            UnaryOp::Neg if float => self.b.ins().fneg(x),
            UnaryOp::Neg => self.b.ins().ineg(x),
            UnaryOp::Abs if float => self.b.ins().fabs(x),
            UnaryOp::Abs if dtype == DType::U8 => x,
            UnaryOp::Abs => self.b.ins().iabs(x),
            UnaryOp::Sqrt => self.b.ins().sqrt(x),
            UnaryOp::Floor => self.b.ins().floor(x),
            UnaryOp::Ceil => self.b.ins().ceil(x),
            UnaryOp::Round => self.b.ins().nearest(x),
            UnaryOp::Trunc => self.b.ins().trunc(x),
            UnaryOp::Not if lanes == Lanes::One && dtype == DType::Bool => self.b.ins().bxor_imm_u(x, 1),
            UnaryOp::Not => self.b.ins().bnot(x),
            UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tanh
            | UnaryOp::Exp2
            | UnaryOp::Expm1
            | UnaryOp::Log2
            | UnaryOp::Log10
            | UnaryOp::Log1p
            | UnaryOp::Tan
            | UnaryOp::Asin
            | UnaryOp::Acos
            | UnaryOp::Atan
            | UnaryOp::Sinh
            | UnaryOp::Cosh
            | UnaryOp::Asinh
            | UnaryOp::Acosh
            | UnaryOp::Atanh
            | UnaryOp::Erf
            | UnaryOp::Erfc => unreachable!("{} is called, never generated", op.name()),
        }
    }

    fn binary(&mut self, op: BinaryOp, a: Value, b: Value, dtype: DType, lanes: Lanes) -> Value {
        let float = dtype.is_float();
        match op {
            BinaryOp::Add if float => self.b.ins().fadd(a, b),
            BinaryOp::Sub if float => self.b.ins().fsub(a, b),
            BinaryOp::Mul if float => self.b.ins().fmul(a, b),
            BinaryOp::Div => self.b.ins().fdiv(a, b),
            BinaryOp::Add => self.b.ins().iadd(a, b),
            BinaryOp::Sub => self.b.ins().isub(a, b),
            BinaryOp::Mul => self.b.ins().imul(a, b),
            BinaryOp::Maximum | BinaryOp::Minimum => {
                let op = if op == BinaryOp::Maximum { CompareOp::Gt } else { CompareOp::Lt };
                let mut second = self.compare(op, b, a, dtype, lanes);
                if float {
                    let nan = self.compare(CompareOp::Ne, b, b, dtype, lanes);
                    second = self.b.ins().bor(second, nan);
                }
                self.choose(second, b, a, dtype, lanes)
            }
            BinaryOp::And => self.b.ins().band(a, b),
            BinaryOp::Or => self.b.ins().bor(a, b),
            BinaryOp::Xor => self.b.ins().bxor(a, b),
            BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Rem | BinaryOp::Quotient => {
                unreachable!("{} is called, never generated", op.name())
            }
        }
    }

    fn compare(&mut self, op: CompareOp, a: Value, b: Value, dtype: DType, lanes: Lanes) -> Value {
        if dtype.is_float() {
            let cc = match op {
                CompareOp::Eq => FloatCC::Equal,
                CompareOp::Ne => FloatCC::NotEqual,
                CompareOp::Lt => FloatCC::LessThan,
                CompareOp::Le => FloatCC::LessThanOrEqual,
                CompareOp::Gt => FloatCC::GreaterThan,
                CompareOp::Ge => FloatCC::GreaterThanOrEqual,
            };
            return self.b.ins().fcmp(cc, a, b);
        }
        if dtype == DType::Bool && lanes != Lanes::One {
            let differ = self.b.ins().bxor(a, b);
            return if op == CompareOp::Ne { differ } else { self.b.ins().bnot(differ) };
        }
        let cc = match op {
            CompareOp::Eq => IntCC::Equal,
            CompareOp::Ne => IntCC::NotEqual,
            CompareOp::Lt => IntCC::SignedLessThan,
            CompareOp::Le => IntCC::SignedLessThanOrEqual,
            CompareOp::Gt => IntCC::SignedGreaterThan,
            CompareOp::Ge => IntCC::SignedGreaterThanOrEqual,
        };
        let signed = matches!(dtype, DType::I32 | DType::I64);
        self.b.ins().icmp(if signed { cc } else { cc.unsigned() }, a, b)
    }

    fn choose(&mut self, c: Value, a: Value, b: Value, dtype: DType, lanes: Lanes) -> Value {
        if lanes == Lanes::One {
            return self.b.ins().select(c, a, b);
        }
        let ty = if dtype == DType::Bool { lanes.mask() } else { vector_type(dtype) };
        let c = if ty == lanes.mask() { c } else { self.b.ins().bitcast(ty, MemFlagsData::new(), c) };
        self.b.ins().bitselect(c, a, b)
    }

    fn cast(&mut self, x: Value, from: DType, to: DType, lanes: Lanes) -> Value {
        if from == to {
            return x;
        }
        if lanes != Lanes::One {
            if to == DType::Bool {
                let zero = self.number(0, from);
                let zero = self.splat(zero, from, lanes);
                return self.compare(CompareOp::Ne, x, zero, from, lanes);
            }
            let ty = vector_type(to);
            if from != DType::Bool {
                return self.b.ins().fcvt_from_sint(ty, x);
            }
            let one = self.number(1, to);
            let one = self.splat(one, to, lanes);
            let x = if ty == lanes.mask() { x } else { self.b.ins().bitcast(ty, MemFlagsData::new(), x) };
            return self.b.ins().band(x, one);
        }
        match (from, to) {
            (_, DType::Bool) => {
                let zero = self.number(0, from);
                self.compare(CompareOp::Ne, x, zero, from, lanes)
            }
            (DType::F32, DType::F64) => self.b.ins().fpromote(F64, x),
            (DType::F64, DType::F32) => self.b.ins().fdemote(F32, x),
            (DType::F32 | DType::F64, _) => {
                let x = self.b.ins().fcvt_to_sint_sat(I64, x);
                self.resize(x, DType::I64, to)
            }
            (_, DType::F32 | DType::F64) => {
                let x = if machine_type(from) == I8 { self.b.ins().uextend(I32, x) } else { x };
                self.b.ins().fcvt_from_sint(machine_type(to), x)
            }
            (_, _) => self.resize(x, from, to),
        }
    }

    /// An integer (or a bool) as one of another width: extended by its sign where it has one, or wrapped.
    fn resize(&mut self, x: Value, from: DType, to: DType) -> Value {
        let ty = machine_type(to);
        match from.size().cmp(&to.size()) {
            std::cmp::Ordering::Equal => x,
            std::cmp::Ordering::Greater => self.b.ins().ireduce(ty, x),
            std::cmp::Ordering::Less if from == DType::I32 => self.b.ins().sextend(ty, x),
            std::cmp::Ordering::Less => self.b.ins().uextend(ty, x),
        }
    }

    fn number(&mut self, n: i32, dtype: DType) -> Value {
        match dtype {
            DType::F32 => self.b.ins().f32const(n as f32),
            DType::F64 => self.b.ins().f64const(n as f64),
            _ => self.b.ins().iconst(machine_type(dtype), n as i64),
        }
    }
}

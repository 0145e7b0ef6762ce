//! What the entries of the function table are: a typed key, a signature and an address each. Never holds an algorithm.

use crate::ops::{ArgOp, BinaryOp, ReduceOp, ScatterOp, UnaryOp};
use allotrope_ir::DType;

/// Functions that differ in the type of their elements only.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Unary(UnaryOp),
    Binary(BinaryOp),
    /// From a half-precision float to f32.
    Widen,
    /// From f32 to a half-precision float.
    Narrow,
    Matmul,
    /// Of operands whose rows and columns are several axes.
    MatmulAxes,
    Matvec,
    Rank1Acc,
    /// Of elements that lie one after the other.
    Reduce(ReduceOp),
    ReduceBegin(ReduceOp),
    ReduceUpdate(ReduceOp),
    ReduceFinish(ReduceOp),
    /// Over any axes.
    ReduceStrided(ReduceOp),
    Gather,
    Scatter(ScatterOp),
    ArgReduce(ArgOp),
    ArgSort,
    Recurrence,
    OverlapAdd,
}

impl Family {
    /// The function of the family for elements of this type: the half-precision one where there are two.
    pub const fn of(self, dtype: DType) -> KernelId {
        KernelId { family: self, dtype }
    }
}

/// The key of an entry.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelId {
    pub family: Family,
    pub dtype: DType,
}

/// What an argument or a result is to the machine; a pointer is an `I64`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    U8,
    I32,
    I64,
    F32,
    F64,
}

/// The arguments of a function, and its result.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub arguments: &'static [Word],
    pub result: Option<Word>,
}

/// A function of the table.
#[derive(Copy, Clone, Debug)]
pub struct Entry {
    pub id: KernelId,
    /// Its name for a linker: that of the table's field. Nothing can be read from it.
    pub name: &'static str,
    pub signature: Signature,
    pub address: *const u8,
}

/// A type that is passed as one word.
pub(crate) trait AsWord {
    const WORD: Word;
}

macro_rules! words {
    ($($t:ty => $word:ident),+) => { $( impl AsWord for $t { const WORD: Word = Word::$word; } )+ };
}
words!(u8 => U8, i32 => I32, u32 => I32, i64 => I64, u64 => I64, usize => I64, isize => I64, f32 => F32, f64 => F64);

impl<T> AsWord for *const T {
    const WORD: Word = Word::I64;
}

impl<T> AsWord for *mut T {
    const WORD: Word = Word::I64;
}

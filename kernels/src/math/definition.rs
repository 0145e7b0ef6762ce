//! Which function of the math files each operation is. Never a function itself: the runs on the CPU and the text for
//! other devices are both made from these rows.

use crate::ops::{BinaryOp, UnaryOp};
use allotrope_ir::DType;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Unary(UnaryOp),
    Binary(BinaryOp),
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Operation::Unary(op) => op.name(),
            Operation::Binary(op) => op.name(),
        }
    }
}

/// An operation on one element of a dtype, by the names of functions, `module::function`.
#[derive(Copy, Clone, Debug)]
pub struct Definition {
    pub operation: Operation,
    pub dtype: DType,
    pub function: &'static str,
    /// Where the function does not hold for all operands.
    pub partial: Option<Partial>,
}

/// The function holds where `covers` says so; elsewhere the value is that of `otherwise`.
#[derive(Copy, Clone, Debug)]
pub struct Partial {
    pub covers: &'static str,
    pub otherwise: &'static str,
}

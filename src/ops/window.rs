//! Overlapping pieces of an axis, and their sum back onto it: what convolution, pooling and `unfold` are made of.
//! Each is the derivative of the other, so both can be differentiated as often as wanted.

use super::grads1;
use crate::autograd::record::differentiable;
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_at_least, specialize};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::Op;

/// How the pieces lie: `step` elements apart, their own elements `dilation` apart.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pieces {
    pub(crate) axis: usize,
    pub(crate) size: Size,
    pub(crate) step: usize,
    pub(crate) dilation: usize,
}

impl Pieces {
    /// How many pieces an axis of `n` elements has. With steps of one the number stays symbolic; else a symbolic axis
    /// becomes the number that it is in this call.
    pub(crate) fn count(&self, op: &'static str, n: Size) -> Result<Size> {
        specialize(&[self.size], "the size of a window");
        let span = self.dilation * (self.size.hint().max(1) - 1) + 1;
        if n.hint() < span {
            return Err(Error::operands(
                op,
                format!("a window of {span} elements does not fit into an axis of {}", n.hint()),
            ));
        }
        if self.step == 1 {
            demand_at_least(n, span);
            return Ok(n.minus(Size::from(span - 1)));
        }
        specialize(&[n], "an axis is cut into pieces with a step");
        Ok(Size::from((n.hint() - span) / self.step + 1))
    }
}

/// The pieces of an axis, the place in the piece as a new last axis: `[.., n, ..] -> [.., count, .., size]`.
pub(crate) fn window(x: &Tensor, count: Size, p: Pieces) -> Result<Tensor> {
    let op = Op::Window { axis: p.axis, count, size: p.size, step: p.step, dilation: p.dilation };
    super::movement::seen(x, op, "UnfoldBackward0")
}

/// The pieces added back onto an axis of `len` elements: `[.., count, .., size] -> [.., len, ..]`.
pub(crate) fn overlap_add(x: &Tensor, len: Size, p: Pieces) -> Result<Tensor> {
    let count = x.sizes()[p.axis];
    let op = Op::OverlapAdd { axis: p.axis, len, step: p.step, dilation: p.dilation };
    differentiable(&op, "FoldBackward0", &[Operand::Tensor(x)], |_| {
        move |_: &_, g: &Tensor| grads1(window(g, count, p)?)
    })
}

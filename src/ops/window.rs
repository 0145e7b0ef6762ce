//! Overlapping windows of an axis, and the sum of windows into an axis: what convolution, pooling and `unfold` are made of.
//! Each is the derivative of the other, so both can be differentiated any number of times.

use super::grads1;
use crate::autograd::record::differentiable;
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_at_least, specialize};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::Op;

/// The layout of windows: they start `step` elements apart, and their own elements are `dilation` apart.
#[derive(Copy, Clone, Debug)]
pub(crate) struct WindowSpec {
    pub(crate) axis: usize,
    pub(crate) size: Size,
    pub(crate) step: usize,
    pub(crate) dilation: usize,
}

impl WindowSpec {
    /// How many windows an axis of `n` elements has. With a step of 1 the number stays symbolic; else a symbolic axis
    /// becomes the number that it is in this call.
    pub(crate) fn count(&self, op: &'static str, n: Size) -> Result<Size> {
        specialize(&[self.size], "the size of a window");
        let span = self.dilation.saturating_mul(self.size.hint().max(1) - 1).saturating_add(1);
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
        specialize(&[n], "an axis is cut into windows with a step");
        Ok(Size::from((n.hint() - span) / self.step + 1))
    }
}

/// The windows of an axis, the place in the window as a new last axis: `[.., n, ..] -> [.., count, .., size]`.
pub(crate) fn window(x: &Tensor, count: Size, p: WindowSpec) -> Result<Tensor> {
    let op = Op::Window { axis: p.axis, count, size: p.size, step: p.step, dilation: p.dilation };
    super::movement::seen(x, op, "UnfoldBackward0")
}

/// Windows added up in an axis of `len` elements: `[.., count, .., size] -> [.., len, ..]`.
pub(crate) fn overlap_add(x: &Tensor, len: Size, p: WindowSpec) -> Result<Tensor> {
    let count = x.sizes()[p.axis];
    let op = Op::OverlapAdd { axis: p.axis, len, step: p.step, dilation: p.dilation };
    differentiable(&op, "FoldBackward0", &[Operand::Tensor(x)], |_| {
        move |_: &_, g: &Tensor| grads1(window(g, count, p)?)
    })
}

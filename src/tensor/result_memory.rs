//! What the memory of each primitive's result is beside that of its operands, for what records or infers values instead of
//! computing them: the strides that the eager result would have. It makes no tensor; the rules themselves are
//! [`super::result_layout`]'s.

use super::operand::Operand;
use super::result_layout::LayoutRule;
use super::strides::Strides;
use super::view_op::view_strides;
use allotrope_ir::{Class, Elementwise, Op, View};

/// What the memory of a primitive's result is.
pub(crate) enum ResultMemory<'a, D> {
    /// Its own, which follows the operands.
    Own(LayoutRule),
    /// That of its operand, seen so.
    Seen(View<'a, D>),
    /// That of its first operand as it is.
    Same,
}

impl<'a, D> ResultMemory<'a, D> {
    pub(crate) fn of(op: &'a Op<D>) -> ResultMemory<'a, D> {
        let rule = match op.class() {
            Class::Elementwise(Elementwise::Cast(_)) => LayoutRule::Preserved,
            Class::Elementwise(_) => LayoutRule::Elementwise,
            Class::View(view) => match view {
                View::Broadcast(_) | View::Permute(_) | View::Slice { .. } | View::Window { .. } => {
                    return ResultMemory::Seen(view);
                }
                View::Flip(_) => LayoutRule::Preserved,
                // Where it shows the elements, who takes the view says so.
                View::Reshape(_) => LayoutRule::RowMajor,
            },
            Class::Check(_) | Class::Barrier(_) => return ResultMemory::Same,
            Class::Leaf(_) | Class::Reduction(..) | Class::Contraction(_) => LayoutRule::RowMajor,
            Class::Axis(_) | Class::Loop(_) | Class::Fusion(_) => LayoutRule::RowMajor,
        };
        ResultMemory::Own(rule)
    }

    /// The strides of a result of this shape; none says row-major order.
    pub(crate) fn strides(&self, shape: &[usize], operands: &[Operand<'_>]) -> Option<Strides> {
        let first = || operands.first().and_then(Operand::tensor);
        match self {
            ResultMemory::Own(rule) => rule.strides(shape, operands.iter().map(Operand::laid_out)),
            ResultMemory::Seen(view) => first().and_then(|x| view_strides(*view, x.shape_hint(), x.laid_out(), shape)),
            ResultMemory::Same => first().map(|x| Strides::from_slice(x.laid_out())),
        }
    }
}

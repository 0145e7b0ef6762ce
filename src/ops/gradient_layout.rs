//! How the gradients of operators that are one node lie in memory, and which of them are the given gradient itself: PyTorch's
//! formulas give the one or the other, and here they are composed otherwise. No derivative is written here.

use super::movement::fresh;
use crate::autograd::is_grad_enabled;
use crate::error::Result;
use crate::mode::layout::{are_images, as_images, heads_inside, laid_out, row_major};
use crate::mode::sizes::all_same;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Size, Tensor};
use allotrope_ir::Extent;

/// What the gradient of an operand follows.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Follows {
    /// Nothing: it lies in row-major order.
    Nothing,
    /// The gradient of the result, then the operand.
    Given,
    /// The operand, then the gradient of the result.
    Operand,
    /// The gradient as it is computed, and is a copy.
    Copy,
    /// Nothing: it lies with all heads of one place together.
    Heads,
    /// Nothing: that of the first operand lies pixel by pixel.
    Images,
    /// The operand, as a copy of it.
    Like,
}

/// How the gradients of one node lie.
#[derive(Clone, Copy, Default)]
pub(crate) struct GradientLayout {
    follows: Option<Follows>,
    /// The gradient of the first operand is the given one.
    is_given: bool,
    /// It is, where gradients are not recorded: whether it depends on the operand must not depend on sizes.
    is_given_unrecorded: bool,
}

impl GradientLayout {
    /// That of a node of this name with these operands.
    pub(crate) fn of(node: &str, operands: &[&Tensor]) -> GradientLayout {
        let none = GradientLayout::default();
        let follows = |follows| GradientLayout { follows: Some(follows), ..none };
        match node {
            // Without axes there is nothing to go along.
            "CumprodBackward0" | "CumsumBackward0" | "LogcumsumexpBackward0" | "ProdBackward0" | "ProdBackward1" => {
                GradientLayout { is_given: operands[0].dim() == 0, ..follows(Follows::Nothing) }
            }
            "ScatterAddBackward0" | "IndexAddBackward0" | "AddcmulBackward0" | "AddcdivBackward0" => {
                GradientLayout { is_given: true, ..none }
            }
            "CummaxBackward0"
            | "CumminBackward0"
            | "EmbeddingBackward0"
            | "GatherBackward0"
            | "GluBackward0"
            | "HuberLossBackward0"
            | "IndexSelectBackward0"
            | "KthvalueBackward0"
            | "MaxBackward0"
            | "MinBackward0"
            | "MseLossBackward0"
            | "MvBackward0"
            | "NativeLayerNormBackward0"
            | "ReflectionPad1DBackward0"
            | "ReflectionPad2DBackward0"
            | "ReflectionPad3DBackward0"
            | "ReplicationPad1DBackward0"
            | "ReplicationPad2DBackward0"
            | "ReplicationPad3DBackward0"
            | "RollBackward0"
            | "SmoothL1LossBackward0"
            | "SortBackward0"
            | "SortBackward1"
            | "TopkBackward0" => follows(Follows::Nothing),
            // What lies pixel by pixel has such a gradient.
            "AdaptiveAvgPool2DBackward0"
            | "AdaptiveAvgPool3DBackward0"
            | "AvgPool1DBackward0"
            | "AvgPool2DBackward0"
            | "AvgPool3DBackward0"
            | "Col2ImBackward0"
            | "ConvolutionBackward0"
            | "Im2ColBackward0"
            | "MaxPool2DWithIndicesBackward0"
            | "MaxPool3DWithIndicesBackward0"
            | "NativeBatchNormBackward0"
            | "NativeGroupNormBackward0" => match operands.iter().any(|x| are_images(x)) {
                true => follows(Follows::Images),
                false => follows(Follows::Nothing),
            },
            "ConstantPadNdBackward0" | "CopySlices" => follows(Follows::Copy),
            "ScaledDotProductFlashAttentionForCpuBackward0" => follows(Follows::Heads),
            "MaskedSelectBackward0" | "TakeBackward0" => follows(Follows::Like),
            "GeluBackward0" | "IndexFillBackward0" | "IndexFillBackward1" | "MishBackward0" | "SiluBackward0" => {
                follows(Follows::Given)
            }
            "BinaryCrossEntropyBackward0" | "BinaryCrossEntropyWithLogitsBackward0" => follows(Follows::Operand),
            _ => none,
        }
    }

    /// That of a node whose gradients lie in row-major order.
    pub(crate) fn row_major() -> GradientLayout {
        GradientLayout { follows: Some(Follows::Nothing), ..GradientLayout::default() }
    }

    /// That of a node that goes along one axis, by which nothing changes where it has one element, or there are none.
    pub(crate) fn along(node: &str, x: &Tensor, axis: usize) -> GradientLayout {
        let (one, none) = (Size::from(1), Size::from(0));
        let is_one = node != "LogcumsumexpBackward0" && x.sizes().get(axis).is_some_and(|n| n.same(&one));
        let is_none = x.sizes().iter().any(|n| n.same(&none));
        let of = GradientLayout::of(node, &[x]);
        let is_sum = node == "CumsumBackward0";
        GradientLayout { is_given: of.is_given || (is_sum && is_one), is_given_unrecorded: is_one || is_none, ..of }
    }

    /// The gradient of operand `i`, which is kept where it is given here, as PyTorch's for the `given` one of the result.
    pub(crate) fn apply(self, gradient: Tensor, i: usize, given: &Tensor, operand: Option<&Tensor>) -> Result<Tensor> {
        let is_given = self.is_given || (self.is_given_unrecorded && !is_grad_enabled());
        if is_given && i == 0 && gradient.dtype() == given.dtype() && all_same(&gradient.sizes(), &given.sizes()) {
            return Ok(given.clone());
        }
        let whole = || given.expand_sizes(&gradient.sizes());
        match self.follows {
            None => Ok(gradient),
            Some(Follows::Copy) => fresh(&gradient),
            Some(Follows::Heads) => heads_inside(gradient),
            Some(Follows::Nothing) => match gradient.shares_elements_of(given) {
                true => row_major(fresh(&gradient)?),
                false => row_major(gradient),
            },
            Some(Follows::Images) => as_images(gradient, i == 0),
            Some(Follows::Given) if i > 0 => Ok(gradient),
            Some(Follows::Given) => {
                let given = whole()?;
                laid_out(gradient, LayoutRule::Elementwise, &[Operand::Tensor(&given)])
            }
            Some(follows) => {
                let rule = if follows == Follows::Like { LayoutRule::Preserved } else { LayoutRule::Elementwise };
                match operand {
                    Some(x) => laid_out(gradient, rule, &[Operand::Tensor(x)]),
                    None => Ok(gradient),
                }
            }
        }
    }
}

//! Maps that are linear in each operand.

use crate::error::{Error, Result};
use crate::mode::sizes::{demand_equal, is_zero, numel};
use crate::ops::gradient_layout::GradientLayout;
use crate::ops::linalg::product_plus;
use crate::ops::results::unlinked;
use crate::ops::single_node::{Keeps, single_laid_out};
use crate::ops::twin_fns;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;

/// x Wᵀ + b as PyTorch's tape has it, for operands that fit; none for others.
fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Option<Tensor>> {
    let (own, w) = (x.sizes(), weight.sizes());
    let one_dtype = x.dtype() == weight.dtype() && x.dtype() == bias.dtype() && x.dtype() != DType::Bool;
    if own.is_empty()
        || !one_dtype
        || bias.dim() != 1
        || !demand_equal(own[own.len() - 1], w[1])
        || !bias.has_size(0, w[0])
    {
        return Ok(None);
    }
    // PyTorch multiplies and adds where it can't see rows and bias as they lie.
    if own.len() != 2 && !(x.is_dense() && bias.is_dense()) {
        return Ok(None);
    }
    let rows = numel(&own[..own.len() - 1]);
    let flat = if own.len() == 2 { x.clone() } else { x.reshape_sizes(&[rows, w[1]])? };
    let y = product_plus(&bias.expand_sizes(&[rows, w[0]])?, &flat, &weight.try_t()?)?;
    if own.len() == 2 {
        return Ok(Some(y));
    }
    let mut sizes = own;
    let last = sizes.len() - 1;
    sizes[last] = w[0];
    Ok(Some(unlinked(&y.reshape_as_node("UnsafeViewBackward0", &sizes)?)))
}

twin_fns! {
    /// x Wᵀ + b: `[.., in] -> [.., out]` with weights `[out, in]` and a bias `[out]`. Weights `[in]` give one number for
    /// each row: `[.., in] -> [..]`.
    ///
    /// ```
    /// use allotrope::functional::linear;
    /// use allotrope::prelude::*;
    /// let w = Tensor::from_vec(vec![1.0f32, 10.0], &[1, 2]);
    /// let x = Tensor::from_vec(vec![2.0f32, 3.0], &[2]);
    /// assert_eq!(linear(&x, &w, None).to_vec::<f32>(), [32.0]);
    /// ```
    fn linear / try_linear(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        if !(1..=2).contains(&weight.dim()) {
            return Err(Error::operands(
                "linear",
                format!("the weight must be [out, in] or [in], got {:?}", weight.shape_hint()),
            ));
        }
        if let Some(b) = bias
            && weight.dim() == 2
            && let Some(y) = affine(input, weight, b)?
        {
            return Ok(y);
        }
        let product = input.try_matmul(&weight.try_t()?).map_err(|e| match e {
            Error::Operands { message, .. } => {
                Error::operands("linear", format!("x times the transposed weight: {message}"))
            }
            other => other,
        })?;
        match bias {
            Some(b) => product.try_add(b),
            None => Ok(product),
        }
    }

    /// `y[k] = x1 W[k] x2 + b[k]`: `[.., in1]` and `[.., in2] -> [.., out]` with weights `[out, in1, in2]` and a bias
    /// `[out]`.
    fn bilinear / try_bilinear(input1: &Tensor, input2: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let fail = || Err(Error::operands(
            "bilinear",
            format!(
                "inputs {:?} and {:?} with weights {:?}: they must be [.., in1], [.., in2] with equal leading axes, and [out, in1, in2]",
                input1.shape_hint(), input2.shape_hint(), weight.shape_hint()
            ),
        ));
        let (n, w) = (input1.dim(), weight.sizes());
        if n == 0 || input2.dim() != n || weight.dim() != 3 {
            return fail();
        }
        let (a, b) = (input1.sizes(), input2.sizes());
        let lead: Sizes = a[..n - 1].iter().copied().collect();
        let fits = (0..n - 1).all(|i| demand_equal(a[i], b[i]))
            && demand_equal(a[n - 1], w[1])
            && demand_equal(b[n - 1], w[2]);
        if !fits {
            return fail();
        }
        if w[1..].iter().any(|&n| is_zero(n)) {
            return fail();
        }
        let rows = numel(&lead);
        // [rows, in1] x [in1, out in2] for all rows at once, then a vector for each row.
        let operands = [input1, weight, input2];
        let wanted = |i: usize| (0..3).any(|j| j != i && operands[j].is_requires_grad());
        let keeps: Vec<Keeps> = (0..3).filter(|&i| wanted(i)).map(Keeps::Operand).collect();
        let y = single_laid_out("ViewBackward0", &operands, &keeps, GradientLayout::row_major(), |t| {
            let flat = t[1].try_transpose(0, 1)?.reshape_sizes(&[w[1], numel(&[w[0], w[2]])])?;
            let half = t[0].reshape_sizes(&[rows, w[1]])?.try_matmul(&flat)?.reshape_sizes(&[rows, w[0], w[2]])?;
            let other = t[2].reshape_sizes(&[rows, w[2], Size::from(1)])?;
            let sizes: Sizes = lead.into_iter().chain([w[0]]).collect();
            half.try_matmul(&other)?.reshape_sizes(&sizes)
        })?;
        match bias {
            Some(b) => y.try_add(b),
            None => Ok(y),
        }
    }
}

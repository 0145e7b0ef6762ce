//! Maps that are linear in each operand.

use crate::error::Error;
use crate::mode::sizes::{demand_equal, is_zero, numel};
use crate::ops::twin_fns;
use crate::tensor::{Size, Sizes, Tensor};

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
        let flat = weight.try_transpose(0, 1)?.reshape_sizes(&[w[1], numel(&[w[0], w[2]])])?;
        let half = input1.reshape_sizes(&[rows, w[1]])?.try_matmul(&flat)?.reshape_sizes(&[rows, w[0], w[2]])?;
        let other = input2.reshape_sizes(&[rows, w[2], Size::from(1)])?;
        let sizes: Sizes = lead.into_iter().chain([w[0]]).collect();
        let y = half.try_matmul(&other)?.reshape_sizes(&sizes)?;
        match bias {
            Some(b) => y.try_add(b),
            None => Ok(y),
        }
    }
}

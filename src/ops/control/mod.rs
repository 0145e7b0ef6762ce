//! Control flow that stays control flow in a trace: `scan`, `while_loop` and `cond`. Eagerly each is a plain Rust loop or
//! `if`; in a trace bodies and branches are recorded once and serve every number of iterations. Either way each run of a
//! body is differentiated on its own ([`step`]), and walked back from the last to the first ([`walk`]), so the bits agree.

mod cond;
mod scan;
mod step;
mod walk;
mod while_loop;

pub use cond::{cond, try_cond};
pub use scan::{scan, scan_reverse, try_scan, try_scan_reverse};
pub use while_loop::{try_while_loop, while_loop};

use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::DType;
use std::sync::Arc;

/// What a loop or a branch is decided by, as a tensor without axes.
///
/// # Errors
/// When it is not a bool of one element.
fn condition(op: &'static str, flag: &Tensor) -> Result<Tensor> {
    let one = Size::from(1);
    if flag.dtype() != DType::Bool || !(0..flag.dim()).all(|i| flag.has_size(i, one)) {
        return Err(Error::operands(
            op,
            format!(
                "the condition must be a bool tensor of one element, got {}{:?}; compare, as in x.gt(0.0), and reduce with any() or all()",
                flag.dtype(),
                flag.shape_hint()
            ),
        ));
    }
    no_grad(|| flag.reshape_sizes(&[]))
}

/// Eager results with elements of their own, as those of a recorded loop or branch have them: one that only hands on a
/// tensor from outside would else be changed with it.
fn owned(results: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let shared = |t: &Tensor| t.strided().is_some_and(|s| Arc::strong_count(&s.storage) > 1);
    results.iter().map(|t| if shared(t) || !t.is_contiguous() { eval::copied(t) } else { Ok(t.alias()) }).collect()
}

//! Control flow that stays control flow in a trace: `scan`, `while_loop` and `cond`. Eagerly each is a plain Rust loop or
//! `if`; in a trace bodies and branches are recorded once and serve every number of iterations. Either way each run of
//! a body has a tape of its own ([`body`]), and the backward pass takes these tapes from the last to the first ([`backward`]), so the
//! bits agree.

mod backward;
mod body;
mod cond;
mod scan;
mod while_loop;

pub use cond::{cond, try_cond};
pub use scan::{scan, scan_reverse, try_scan, try_scan_reverse};
pub use while_loop::{try_while_loop, while_loop};

use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::tensor::{Size, Tensor, eval};
use allotrope_ir::DType;
use std::sync::Arc;

/// The tensor that decides a loop or a branch, without its axes.
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

/// Eager results in memory of their own, as a recorded loop or branch gives them: a body that returns a captured tensor
/// as it is would otherwise give a result that shares its memory.
fn owned(results: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let shared = |t: &Tensor| t.strided().is_some_and(|s| Arc::strong_count(&s.storage) > 1);
    results.iter().map(|t| if shared(t) || !t.is_contiguous() { eval::copied(t) } else { Ok(t.alias()) }).collect()
}

//! Loops and branches that stay what they are in a trace: recorded once, for any number of iterations.

use crate::error::Result;
use crate::tensor::{Size, Tensor};

/// A loop that is being recorded: what its body sees.
pub(crate) struct ScanBody {
    pub(crate) carries: Vec<Tensor>,
    pub(crate) xs: Vec<Tensor>,
    /// Names the body, for the loop that is its backward pass.
    pub(crate) scope: u64,
    /// The number of iterations that what is collected has the capacity for.
    pub(crate) limit: Size,
}

/// How many iterations a loop has that is recorded.
#[derive(Clone, Copy)]
pub(crate) enum Iterations<'a> {
    /// One for each element along the first axes.
    All(Size),
    /// As many as `n` says, an `i64[]` between 0 and `limit`.
    Count { n: &'a Tensor, limit: Size },
    /// As long as the first carry, a `bool[]`, is true.
    While,
}

/// A loop to record.
pub(crate) struct ScanSpec<'a> {
    pub(crate) carries: &'a [Tensor],
    pub(crate) xs: &'a [Tensor],
    pub(crate) iterations: Iterations<'a>,
    pub(crate) reverse: bool,
    /// The body whose backward pass this loop is, iteration by iteration: values of it may be used.
    pub(crate) mirror: Option<u64>,
}

pub(crate) trait LoopRecorder {
    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody>;
    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)>;
    /// Ends a branch, a loop without carries that has one iteration or none: gives what it gave, or where it has not run
    /// `otherwise`, zeros where that is not said.
    fn branch_end(&self, results: &[Tensor], otherwise: Option<&[Tensor]>) -> Result<Vec<Tensor>>;
    /// Abandons the loop that is being recorded, after an error in its body.
    fn scan_abandon(&self);
}

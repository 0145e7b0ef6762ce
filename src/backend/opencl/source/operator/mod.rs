//! Operators of the library as launches, one file each. What each computes is the definition of `allotrope_kernels`.

mod arg;
mod gather;
mod indices;
pub mod matmul;
mod overlap_add;
mod recurrence;
mod reduce;
mod scatter;
mod sort;

use crate::backend::opencl::source::body::Launches;
use crate::schedule::Operator;

/// The launches of an operator.
pub fn operator(launches: &mut Launches, o: &Operator) {
    match o {
        Operator::Matmul { a, b, out, accumulate } => matmul::matmul(launches, a, b, out, *accumulate),
        Operator::Reduce { op, axes, x, out } => reduce::reduce(launches, *op, axes, x, out),
        Operator::Gather { axis, x, index, out } => gather::gather(launches, *axis, x, index, out),
        Operator::Scatter { op, axis, index, source, out } => {
            scatter::scatter(launches, *op, *axis, index, source, out);
        }
        Operator::ArgReduce { op, axis, x, out } => arg::arg_reduce(launches, *op, *axis, x, out),
        Operator::ArgSort { axis, descending, x, out } => sort::argsort(launches, *axis, *descending, x, out),
        Operator::Recurrence { axis, reverse, a, b, out } => {
            recurrence::recurrence(launches, *axis, *reverse, a, b, out);
        }
        Operator::OverlapAdd { axis, len: _, step, dilation, x, out } => {
            overlap_add::overlap_add(launches, *axis, [*step, *dilation], x, out);
        }
    }
}

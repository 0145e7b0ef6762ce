//! Operators of the library as launches, one file each. What each computes is the definition of `allotrope_kernels`.

pub mod matmul;

use crate::backend::opencl::source::body::Launches;
use crate::schedule::Operator;

/// The launches of an operator.
pub fn operator(launches: &mut Launches, o: &Operator) {
    match o {
        Operator::Matmul { a, b, out, accumulate } => matmul::matmul(launches, a, b, out, *accumulate),
        Operator::Reduce { .. }
        | Operator::Gather { .. }
        | Operator::Scatter { .. }
        | Operator::ArgReduce { .. }
        | Operator::ArgSort { .. }
        | Operator::Recurrence { .. }
        | Operator::OverlapAdd { .. } => todo!(),
    }
}

//! Complete programs: the text of kernels with everything that it calls before it. It writes no kernel.

use crate::backend::opencl::source::fold::Fold;
use crate::backend::opencl::source::math;
use crate::backend::opencl::source::operator::matmul;
use allotrope_ir::{DType, ReduceOp};

/// What every program begins with. Nothing is contracted: `a * b + c` is rounded twice.
const HEAD: &str = "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#pragma OPENCL FP_CONTRACT OFF\n";

/// The text of kernels as a program.
pub fn complete(kernels: &str) -> String {
    let mut folds = String::new();
    for op in ReduceOp::ALL {
        for dtype in DType::ALL {
            let fold = Fold { op: *op, dtype };
            if kernels.contains(&fold.marker()) {
                folds.push_str(&fold.functions());
            }
        }
    }
    let products = matmul::functions(kernels);
    let library = math::library(&format!("{folds}{kernels}"), math::Arithmetic::EXACT);
    format!("{HEAD}{library}{folds}{products}{kernels}")
}

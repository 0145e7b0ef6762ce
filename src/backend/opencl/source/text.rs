//! Complete programs: the text of kernels with everything that it calls before it. It writes no kernel.

use crate::backend::opencl::source::fold::Fold;
use crate::backend::opencl::source::math::{self, Arithmetic};
use crate::backend::opencl::source::operator::matmul;
use allotrope_ir::{DType, ReduceOp};

/// What every program begins with. Nothing is contracted: `a * b + c` is rounded twice.
const HEAD: &str = "#ifdef cl_khr_fp64\n#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#endif\n\
    #pragma OPENCL FP_CONTRACT OFF\n";

/// The text of kernels as a program for a device that computes like this.
pub fn complete(kernels: &str, arithmetic: Arithmetic) -> String {
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
    let library = math::library(&format!("{folds}{kernels}"), arithmetic);
    format!("{HEAD}{library}{folds}{products}{kernels}")
}

/// Whether a program computes in f64.
pub fn has_double(program: &str) -> bool {
    program.contains("double")
}

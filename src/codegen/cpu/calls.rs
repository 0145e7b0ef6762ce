//! The library functions that generated code calls: their names, signatures and addresses. Nothing is computed here.

use super::pack;
use crate::kernels;
use allotrope_ir::{DType, ReduceOp};
use cranelift::prelude::types::{F32, F64, I32, I64};
use cranelift::prelude::{AbiParam, Signature, Type};

/// Bytes of a reduction's running state.
pub const STATE_BYTES: usize = kernels::REDUCE_STATE_SIZE;

/// Address of a library function.
pub fn address(name: &str) -> Option<*const u8> {
    if let Some(f) = pack::function(name) {
        return Some(f);
    }
    kernels::table().entries().into_iter().find(|e| e.0 == name).map(|e| e.1)
}

/// The machine type of one element; a bool is a byte.
pub fn machine_type(dtype: DType) -> Type {
    match dtype {
        DType::Bool => cranelift::prelude::types::I8,
        DType::I64 => I64,
        DType::F32 => F32,
        DType::F64 => F64,
    }
}

pub fn reduce_name(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Sum => "sum",
        ReduceOp::Max => "max",
        ReduceOp::Min => "min",
    }
}

/// Fills in the parameters and the result of the function with this name, `<function>_<dtype>`.
pub fn signature(name: &str, sig: &mut Signature) {
    let (function, dtype) = name.rsplit_once('_').expect("kernels are named after their dtype");
    let result = machine_type(DType::from_name(dtype).expect("kernels are named after their dtype"));
    let (words, returns) = match function {
        "exp" | "log" | "sin" | "cos" | "tanh" => (3, false),
        "pow" => (4, false),
        "matmul" => (11, false),
        "transpose" => (6, false),
        "matvec" | "rank1_acc" => (6, false),
        "sum" | "max" | "min" => (2, true),
        f if f.ends_with("_begin") => (1, false),
        f if f.ends_with("_update") => (3, false),
        f if f.ends_with("_finish") => (1, true),
        f if f.starts_with("reduce_") => (6, false),
        f => unreachable!("no kernel is called {f}"),
    };
    sig.params.extend((0..words).map(|_| AbiParam::new(I64)));
    if function == "matmul" {
        sig.params.push(AbiParam::new(I32));
    }
    if returns {
        sig.returns.push(AbiParam::new(result));
    }
}

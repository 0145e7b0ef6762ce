//! The library functions that generated code calls: their names, signatures and addresses. Nothing is computed here.

use crate::backend::cpu::{pack, profile};
use crate::kernels::simd::Level;
use crate::kernels::{self, simd};
use allotrope_ir::{BinaryOp, DType, ReduceOp, UnaryOp};
use cranelift::prelude::types::{F32, F64, I8, I16, I32, I64};
use cranelift::prelude::{AbiParam, Signature, Type};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// Bytes of a reduction's running state.
pub const STATE_BYTES: usize = kernels::REDUCE_STATE_SIZE;

/// Address of a library function.
pub fn address(name: &str) -> Option<*const u8> {
    if let Some(f) = pack::function(name).or_else(|| rounding(name)).or_else(|| profile::function(name)) {
        return Some(f);
    }
    // One map for each level of instructions, as which of them is used may change.
    static KERNELS: [OnceLock<FxHashMap<&str, usize>>; 3] = [const { OnceLock::new() }; 3];
    let level = match simd::level() {
        Level::Baseline => 0,
        Level::Avx2 => 1,
        Level::Avx512 => 2,
    };
    let map = KERNELS[level].get_or_init(|| {
        kernels::table().entries().into_iter().map(|(name, at)| (name, at.expose_provenance())).collect()
    });
    map.get(name).map(|&at| std::ptr::with_exposed_provenance(at))
}

/// What Cranelift calls to round to whole numbers where the processor has no instruction for it.
fn rounding(name: &str) -> Option<*const u8> {
    extern "C" fn ceil32(x: f32) -> f32 {
        x.ceil()
    }
    extern "C" fn floor32(x: f32) -> f32 {
        x.floor()
    }
    extern "C" fn trunc32(x: f32) -> f32 {
        x.trunc()
    }
    extern "C" fn nearest32(x: f32) -> f32 {
        x.round_ties_even()
    }
    extern "C" fn ceil64(x: f64) -> f64 {
        x.ceil()
    }
    extern "C" fn floor64(x: f64) -> f64 {
        x.floor()
    }
    extern "C" fn trunc64(x: f64) -> f64 {
        x.trunc()
    }
    extern "C" fn nearest64(x: f64) -> f64 {
        x.round_ties_even()
    }
    Some(match name {
        "ceilf" => ceil32 as *const u8,
        "floorf" => floor32 as *const u8,
        "truncf" => trunc32 as *const u8,
        "nearbyintf" => nearest32 as *const u8,
        "ceil" => ceil64 as *const u8,
        "floor" => floor64 as *const u8,
        "trunc" => trunc64 as *const u8,
        "nearbyint" => nearest64 as *const u8,
        _ => return None,
    })
}

/// The machine type of one element; a bool is a byte, a half-precision float is moved as an integer.
pub fn machine_type(dtype: DType) -> Type {
    match dtype {
        DType::Bool | DType::U8 => I8,
        DType::F16 | DType::BF16 => I16,
        DType::I32 => I32,
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
    if profile::function(name).is_some() {
        return sig.params.push(AbiParam::new(I64));
    }
    let (function, dtype) = name.rsplit_once('_').expect("kernels are named after their dtype");
    let result = machine_type(DType::from_name(dtype).expect("kernels are named after their dtype"));
    let (words, returns) = match function {
        "widen" | "narrow" => (3, false),
        f if UnaryOp::ALL.iter().any(|op| op.name() == f) => (3, false),
        f if BinaryOp::ALL.iter().any(|op| op.name() == f) => (4, false),
        "gather" | "recurrence" | "overlap_add" => (9, false),
        "scatter" | "scatter_add" => (10, false),
        "argmax" | "argmin" => (6, false),
        "argsort" => (7, false),
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

//! Every function of one f32 on every bit pattern: a kernel that tries a range of them, and what the CPU says. Used by
//! tests and by the command that tries all 2^32.

use super::{Arithmetic, c_type, library, unary};
use allotrope_ir::{DType, UnaryOp};
use allotrope_kernels::{Run, unary_run};

/// The kernel's name: arguments are the output, the first bit pattern and the distance to the next one; item `i` computes that of
/// pattern `begin + i * every`.
pub const KERNEL: &str = "at_sweep";

/// The functions that have an f32 to work on.
pub fn operations() -> impl Iterator<Item = UnaryOp> {
    UnaryOp::ALL.iter().copied().filter(|op| *op != UnaryOp::Not)
}

/// The kernel's source.
pub fn source(op: UnaryOp, arithmetic: Arithmetic) -> String {
    let c = c_type(DType::F32);
    let value = unary(op, DType::F32, "x");
    format!(
        "#pragma OPENCL FP_CONTRACT OFF\n{}\n__kernel void {KERNEL}(__global {c} *out, uint begin, uint every) {{\n\
         \x20   size_t i = get_global_id(0);\n    {c} x = as_float(begin + (uint)i * every);\n    out[i] = {value};\n}}\n",
        library(&value, arithmetic)
    )
}

/// The CPU's answer for the patterns from `begin` on, each `every` behind the last.
pub fn cpu(op: UnaryOp, begin: u32, every: u32, out: &mut [f32]) {
    let x: Vec<f32> =
        (0..out.len() as u32).map(|i| f32::from_bits(begin.wrapping_add(i.wrapping_mul(every)))).collect();
    unary_run(op, Run::Elements(&x), out);
}

//! The library functions that generated code calls, each by a typed key: their names for the linker, their signatures and
//! addresses. Nothing is computed here.

use crate::backend::cpu::{pack, profile};
use crate::kernels::simd::Level;
use crate::kernels::{self, KernelId, Signature, Word, simd};
use allotrope_ir::DType;
use cranelift::codegen::ir::{self, LibCall};
use cranelift::prelude::types::{F32, F64, I8, I16, I32, I64};
use cranelift::prelude::{AbiParam, Type};
use cranelift_module::default_libcall_names;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// Bytes of a reduction's running state.
pub const STATE_BYTES: usize = kernels::REDUCE_STATE_SIZE;

/// A function that generated code calls.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    Kernel(KernelId),
    /// See [`pack`].
    Transpose(pack::Width),
    /// See [`profile`].
    Stamp(profile::Stamp),
}

/// What the linker and a caller have to know of a function.
#[derive(Copy, Clone, Debug)]
pub struct Linked {
    pub name: &'static str,
    signature: Signature,
}

impl Function {
    /// # Panics
    /// A bug in this library: where the kernels have no such function.
    pub fn linked(self) -> Linked {
        match self {
            Function::Kernel(id) => {
                *kernel_entries().get(&id).unwrap_or_else(|| panic!("bug in this library: no {id:?}"))
            }
            Function::Transpose(width) => Linked { name: width.name(), signature: pack::SIGNATURE },
            Function::Stamp(stamp) => Linked { name: stamp.name(), signature: profile::SIGNATURE },
        }
    }
}

impl Linked {
    /// Fills in the parameters and the result.
    pub fn declare(&self, signature: &mut ir::Signature) {
        let abi = |word: &Word| {
            AbiParam::new(match word {
                Word::U8 => I8,
                Word::I32 => I32,
                Word::I64 => I64,
                Word::F32 => F32,
                Word::F64 => F64,
            })
        };
        signature.params.extend(self.signature.arguments.iter().map(abi));
        signature.returns.extend(self.signature.result.iter().map(abi));
    }
}

/// Names and signatures, which are the same at every level of instructions.
fn kernel_entries() -> &'static FxHashMap<KernelId, Linked> {
    static ENTRIES: OnceLock<FxHashMap<KernelId, Linked>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let linked = |e: kernels::Entry| (e.id, Linked { name: e.name, signature: e.signature });
        kernels::table().entries().into_iter().map(linked).collect()
    })
}

/// The address behind a name, for the linker.
pub fn address(name: &str) -> Option<*const u8> {
    // One map for each level of instructions, as which of them is used may change.
    static ADDRESSES: [OnceLock<FxHashMap<&str, usize>>; 3] = [const { OnceLock::new() }; 3];
    let level = match simd::level() {
        Level::Baseline => 0,
        Level::Avx2 => 1,
        Level::Avx512 => 2,
    };
    let map = ADDRESSES[level].get_or_init(|| {
        let kernels = kernels::table().entries().into_iter().map(|e| (e.name, e.address));
        let transposes = pack::Width::ALL.map(|w| (w.name(), w.address()));
        let stamps = profile::Stamp::ALL.map(|s| (s.name(), s.address()));
        let roundings = ROUNDING.map(|(call, name)| (name, rounding(call)));
        let all = kernels.chain(transposes).chain(stamps).chain(roundings);
        all.map(|(name, at)| (name, at.expose_provenance())).collect()
    });
    map.get(name).map(|&at| std::ptr::with_exposed_provenance(at))
}

/// What Cranelift calls to round to whole numbers where the processor has no instruction for it.
const ROUNDING: [(LibCall, &str); 8] = [
    (LibCall::CeilF32, "ceil_f32"),
    (LibCall::FloorF32, "floor_f32"),
    (LibCall::TruncF32, "trunc_f32"),
    (LibCall::NearestF32, "nearest_f32"),
    (LibCall::CeilF64, "ceil_f64"),
    (LibCall::FloorF64, "floor_f64"),
    (LibCall::TruncF64, "trunc_f64"),
    (LibCall::NearestF64, "nearest_f64"),
];

/// What Cranelift's own calls are named for the linker.
pub fn libcall_names() -> Box<dyn Fn(LibCall) -> String + Send + Sync> {
    let others = default_libcall_names();
    Box::new(move |call| match ROUNDING.iter().find(|r| r.0 == call) {
        Some((_, name)) => name.to_string(),
        None => others(call),
    })
}

/// The function that is such a call.
fn rounding(call: LibCall) -> *const u8 {
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
    match call {
        LibCall::CeilF32 => ceil32 as *const u8,
        LibCall::FloorF32 => floor32 as *const u8,
        LibCall::TruncF32 => trunc32 as *const u8,
        LibCall::NearestF32 => nearest32 as *const u8,
        LibCall::CeilF64 => ceil64 as *const u8,
        LibCall::FloorF64 => floor64 as *const u8,
        LibCall::TruncF64 => trunc64 as *const u8,
        LibCall::NearestF64 => nearest64 as *const u8,
        other => unreachable!("{other:?} rounds nothing"),
    }
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

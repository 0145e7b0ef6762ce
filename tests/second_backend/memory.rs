//! Memory in which nothing is what it would be on the host: the bytes lie in the reverse order, each of them inverted. Who
//! took it for the host's would see it at once.

use allotrope::backend::{DeviceMemory, Memory};
use allotrope::ir::{DType, Scalar};
use allotrope::tensor::FromElement;

pub struct Hidden(Vec<u8>);

impl DeviceMemory for Hidden {
    fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().map(|b| !b).collect()
}

/// Memory with these bytes.
pub fn hide(bytes: &[u8]) -> Memory {
    Memory::new(Hidden(turned(bytes)))
}

/// The bytes of memory that [`hide`] made.
pub fn show(memory: &Memory) -> Vec<u8> {
    turned(&memory.get::<Hidden>().expect("memory of this backend").0)
}

/// The memory holds these bytes from here on, as many as it had.
pub fn replace(memory: &mut Memory, bytes: &[u8]) {
    let own = memory.get_mut::<Hidden>().expect("memory of this backend");
    assert_eq!(own.0.len(), bytes.len());
    own.0 = turned(bytes);
}

/// Runs `$body` with `$T` as the Rust type of a dtype.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        with_type!(@match $dtype, $T, $body, F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, Bool bool, F16 half::f16, BF16 half::bf16)
    };
    (@match $dtype:expr, $T:ident, $body:expr, $($variant:ident $type:ty),+) => {
        match $dtype { $(allotrope::ir::DType::$variant => { type $T = $type; $body })+ }
    };
}
pub(crate) use with_type;

/// Elements from bytes of the host's order.
pub fn decode(dtype: DType, bytes: &[u8]) -> Vec<Scalar> {
    let one = |b: &[u8]| match dtype {
        DType::F32 => Scalar::F32(f32::from_ne_bytes(b.try_into().unwrap())),
        DType::F64 => Scalar::F64(f64::from_ne_bytes(b.try_into().unwrap())),
        DType::F16 => Scalar::F16(half::f16::from_ne_bytes(b.try_into().unwrap())),
        DType::BF16 => Scalar::BF16(half::bf16::from_ne_bytes(b.try_into().unwrap())),
        DType::I64 => Scalar::I64(i64::from_ne_bytes(b.try_into().unwrap())),
        DType::I32 => Scalar::I32(i32::from_ne_bytes(b.try_into().unwrap())),
        DType::U8 => Scalar::U8(b[0]),
        DType::Bool => Scalar::Bool(match b[0] {
            0 => false,
            1 => true,
            b => panic!("{b} is no bool: memory was taken for the host's"),
        }),
    };
    bytes.chunks(dtype.size()).map(one).collect()
}

/// Elements as bytes in the host's order.
pub fn encode(elements: &[Scalar]) -> Vec<u8> {
    let mut out = Vec::new();
    for s in elements {
        match s {
            Scalar::F32(x) => out.extend(x.to_ne_bytes()),
            Scalar::F64(x) => out.extend(x.to_ne_bytes()),
            Scalar::F16(x) => out.extend(x.to_ne_bytes()),
            Scalar::BF16(x) => out.extend(x.to_ne_bytes()),
            Scalar::I64(x) => out.extend(x.to_ne_bytes()),
            Scalar::I32(x) => out.extend(x.to_ne_bytes()),
            Scalar::U8(x) => out.push(*x),
            Scalar::Bool(x) => out.push(u8::from(*x)),
        }
    }
    out
}

/// Elements as their Rust type.
pub fn typed<T: FromElement>(elements: &[Scalar]) -> Vec<T> {
    elements.iter().map(|s| T::from_scalar(*s)).collect()
}

pub fn untyped<T: FromElement>(elements: &[T]) -> Vec<Scalar> {
    elements.iter().map(|x| x.to_scalar()).collect()
}

//! The element types and the scalar constants of the graph language. No promotion rules live here.

use half::{bf16, f16};
use std::fmt;
use std::hash::{Hash, Hasher};

/// The element type of a tensor or of a value in a graph, under PyTorch's meaning of the names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// 8-bit unsigned integer, wrapping on overflow.
    U8,
    /// 32-bit signed integer, wrapping on overflow.
    I32,
    /// 64-bit signed integer, wrapping on overflow.
    I64,
    /// IEEE 754 binary16: storage only, arithmetic is done in f32.
    F16,
    /// The upper half of an f32: storage only, arithmetic is done in f32.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DType {
    /// Every dtype, in promotion order (f16 and bf16 together promote to f32).
    pub const ALL: [DType; 8] =
        [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64];

    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 => 1,
            DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// True for the floating-point types.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// True for the integer types; bool is none.
    pub fn is_integer(self) -> bool {
        matches!(self, DType::U8 | DType::I32 | DType::I64)
    }

    /// True for the 16-bit floats, which are stored and moved but not computed with.
    pub fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::BF16)
    }

    /// The name that the text form and error messages use: `bool`, `u8`, `i32`, `i64`, `f16`, `bf16`, `f32`, `f64`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// The dtype of that name.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One constant element. Equality and hashing go by bits, so that -0.0 and 0.0 differ and NaN equals itself:
/// merging two constants must never change a result.
#[derive(Copy, Clone, Debug)]
pub enum Scalar {
    Bool(bool),
    U8(u8),
    I32(i32),
    I64(i64),
    F16(f16),
    BF16(bf16),
    F32(f32),
    F64(f64),
}

impl Scalar {
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::U8(_) => DType::U8,
            Scalar::I32(_) => DType::I32,
            Scalar::I64(_) => DType::I64,
            Scalar::F16(_) => DType::F16,
            Scalar::BF16(_) => DType::BF16,
            Scalar::F32(_) => DType::F32,
            Scalar::F64(_) => DType::F64,
        }
    }

    /// The bits of the element, zero-extended.
    pub fn bits(self) -> u64 {
        match self {
            Scalar::Bool(b) => b as u64,
            Scalar::U8(i) => i as u64,
            Scalar::I32(i) => i as u32 as u64,
            Scalar::I64(i) => i as u64,
            Scalar::F16(x) => x.to_bits() as u64,
            Scalar::BF16(x) => x.to_bits() as u64,
            Scalar::F32(x) => x.to_bits() as u64,
            Scalar::F64(x) => x.to_bits(),
        }
    }

    /// `x` rounded or truncated to `dtype` as a cast does.
    pub fn from_f64(x: f64, dtype: DType) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(x != 0.0),
            DType::U8 => Scalar::U8(x as i64 as u8),
            DType::I32 => Scalar::I32(x as i64 as i32),
            DType::I64 => Scalar::I64(x as i64),
            DType::F16 => Scalar::F16(f16::from_f32(x as f32)),
            DType::BF16 => Scalar::BF16(bf16::from_f32(x as f32)),
            DType::F32 => Scalar::F32(x as f32),
            DType::F64 => Scalar::F64(x),
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        self.dtype() == other.dtype() && self.bits() == other.bits()
    }
}
impl Eq for Scalar {}
impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.dtype(), self.bits()).hash(state)
    }
}

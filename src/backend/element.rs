//! The Rust types of the dtypes. It computes nothing.

use allotrope_ir::{DType, Scalar};

pub use crate::kernels::Element;

/// A Rust type that is the element of a dtype.
pub trait FromElement: Element {
    /// The dtype whose elements these are.
    const DTYPE: DType;
    #[doc(hidden)]
    fn from_scalar(s: Scalar) -> Self;
    #[doc(hidden)]
    fn to_scalar(self) -> Scalar;
}

macro_rules! elements {
    ($($t:ty = $dtype:ident),*) => {$(
        impl FromElement for $t {
            const DTYPE: DType = DType::$dtype;
            fn from_scalar(s: Scalar) -> $t {
                match s {
                    Scalar::$dtype(x) => x,
                    other => panic!("bug in allotrope: {:?} read as {}", other, DType::$dtype),
                }
            }
            fn to_scalar(self) -> Scalar {
                Scalar::$dtype(self)
            }
        }
    )*};
}
elements!(f32 = F32, f64 = F64, i64 = I64, i32 = I32, u8 = U8, bool = Bool, half::f16 = F16, half::bf16 = BF16);

/// Runs `$body` with `$T` as the Rust type of `$dtype`, of all dtypes, or of those that arithmetic is done in.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        with_type!(@match $dtype, $T, $body,
            F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, Bool bool, F16 half::f16, BF16 half::bf16;)
    };
    (number $dtype:expr, $T:ident => $body:expr) => {
        with_type!(@match $dtype, $T, $body, F32 f32, F64 f64, I64 i64, I32 i32, U8 u8;
            DType::Bool | DType::F16 | DType::BF16 => unreachable!("bug in allotrope: the type rules refuse {}", $dtype),)
    };
    (@match $dtype:expr, $T:ident, $body:expr, $($variant:ident $type:ty),+; $($rest:tt)*) => {
        match $dtype {
            $(DType::$variant => {
                type $T = $type;
                $body
            })+
            $($rest)*
        }
    };
}

pub(crate) use with_type;

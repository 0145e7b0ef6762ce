//! Rust types as elements of tensors: which dtype each of them is.

use super::storage::Element;
use allotrope_ir::{DType, Scalar};

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

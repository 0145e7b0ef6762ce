//! How two tensors differ, by their bits, in words. It only reads.

use crate::error::Result;
use crate::tensor::{Tensor, eval};
use allotrope_ir::{DType, Scalar};

/// The elements as constants, whatever the dtype.
fn scalars(t: &Tensor) -> Result<Vec<Scalar>> {
    macro_rules! each {
        ($($variant:ident: $type:ty),*) => {
            match t.dtype() {
                $(DType::$variant => eval::elements::<$type>(t)?.into_iter().map(Scalar::$variant).collect(),)*
            }
        };
    }
    Ok(each!(Bool: bool, U8: u8, I32: i32, I64: i64, F16: half::f16, BF16: half::bf16, F32: f32, F64: f64))
}

fn is_nan(s: Scalar) -> bool {
    match s {
        Scalar::F16(x) => x.is_nan(),
        Scalar::BF16(x) => x.is_nan(),
        Scalar::F32(x) => x.is_nan(),
        Scalar::F64(x) => x.is_nan(),
        Scalar::Bool(_) | Scalar::U8(_) | Scalar::I32(_) | Scalar::I64(_) => false,
    }
}

/// How `a`, which is eager, and `b` differ, if they do. Of a NaN only that it is one counts.
pub(super) fn difference(a: &Tensor, b: &Tensor) -> Option<String> {
    if a.dtype() != b.dtype() || a.shape_hint() != b.shape_hint() {
        let ty = |t: &Tensor| format!("{}{:?}", t.dtype(), t.shape_hint());
        return Some(format!("{} eagerly, {} traced", ty(a), ty(b)));
    }
    let (x, y) = match (scalars(a), scalars(b)) {
        (Ok(x), Ok(y)) => (x, y),
        (Err(e), _) | (_, Err(e)) => return Some(e.to_string()),
    };
    let differ = |i: &usize| x[*i] != y[*i] && !(is_nan(x[*i]) && is_nan(y[*i]));
    let all: Vec<usize> = (0..x.len()).filter(differ).collect();
    let first = *all.first()?;
    let mut place = Vec::new();
    let mut rest = first;
    for n in a.shape_hint().iter().rev() {
        place.insert(0, rest % n);
        rest /= n;
    }
    Some(format!(
        "{} of {} elements; the first, at {place:?}, is {} eagerly and {} traced",
        all.len(),
        x.len(),
        number(x[first]),
        number(y[first])
    ))
}

fn number(s: Scalar) -> String {
    match s {
        Scalar::Bool(x) => x.to_string(),
        Scalar::U8(x) => x.to_string(),
        Scalar::I32(x) => x.to_string(),
        Scalar::I64(x) => x.to_string(),
        Scalar::F16(x) => format!("{x:?} ({:#x})", x.to_bits()),
        Scalar::BF16(x) => format!("{x:?} ({:#x})", x.to_bits()),
        Scalar::F32(x) => format!("{x:?} ({:#x})", x.to_bits()),
        Scalar::F64(x) => format!("{x:?} ({:#x})", x.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::FromElement;

    fn tensor<T: FromElement>(x: Vec<T>) -> Tensor {
        let n = x.len();
        Tensor::from_vec(x, &[n])
    }

    #[test]
    fn elements_are_compared_by_bits_but_for_nan() {
        let nan = f32::from_bits(0x7fc0_0001);
        assert_eq!(difference(&tensor(vec![f32::NAN, 1.0]), &tensor(vec![nan, 1.0])), None);
        let how = difference(&tensor(vec![0.0f32, 1.0]), &tensor(vec![-0.0f32, 1.0])).unwrap();
        assert_eq!(how, "1 of 2 elements; the first, at [0], is 0.0 (0x0) eagerly and -0.0 (0x80000000) traced");
        let how = difference(&tensor(vec![1i64]), &tensor(vec![1.0f32])).unwrap();
        assert_eq!(how, "i64[1] eagerly, f32[1] traced");
    }
}

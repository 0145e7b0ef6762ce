//! Where the elements of a tensor lie: what shares memory with what, as far as a program can see it.

use allotrope::{DType, Device, Tensor, tensor::FromElement};
use half::{bf16, f16};

/// The bytes that a tensor spans.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    /// The address of its first element.
    pub first: usize,
    pub low: usize,
    pub high: usize,
}

/// None where there are no elements, or they are on another device, whose memory has no addresses here.
pub fn place(t: &Tensor) -> Option<Place> {
    if t.numel() == 0 || t.device() != Device::Cpu {
        return None;
    }
    fn of<T: FromElement>(t: &Tensor) -> Place {
        t.with_ndarray(|view: ndarray::ArrayViewD<'_, T>| {
            let size = size_of::<T>();
            let first = view.as_ptr() as usize;
            let (mut low, mut high) = (first, first + size);
            for (&n, &s) in view.shape().iter().zip(view.strides()) {
                let reach = (n - 1) * s.unsigned_abs() * size;
                if s < 0 { low -= reach } else { high += reach }
            }
            Place { first, low, high }
        })
    }
    Some(match t.dtype() {
        DType::F32 => of::<f32>(t),
        DType::F64 => of::<f64>(t),
        DType::I64 => of::<i64>(t),
        DType::I32 => of::<i32>(t),
        DType::U8 => of::<u8>(t),
        DType::Bool => of::<bool>(t),
        DType::F16 => of::<f16>(t),
        DType::BF16 => of::<bf16>(t),
    })
}

impl Place {
    /// Whether some byte is in both.
    pub fn overlaps(self, other: Place) -> bool {
        self.low < other.high && other.low < self.high
    }
}

//! What the tests share: equality to the bit, the recurrent model of the two examples, the one random generator.

use allotrope::prelude::*;
use std::sync::{Mutex, MutexGuard};

/// Every element as bits, all NaNs as one.
pub fn bits(t: &Tensor) -> Vec<u64> {
    match t.dtype() {
        DType::Bool => t.to_vec::<bool>().into_iter().map(u64::from).collect(),
        DType::U8 => t.to_vec::<u8>().into_iter().map(u64::from).collect(),
        DType::I32 => t.to_vec::<i32>().into_iter().map(|x| x as u64).collect(),
        DType::I64 => t.to_vec::<i64>().into_iter().map(|x| x as u64).collect(),
        DType::F16 => {
            let one = |x: half::f16| u64::from(if x.is_nan() { half::f16::NAN } else { x }.to_bits());
            t.to_vec::<half::f16>().into_iter().map(one).collect()
        }
        DType::BF16 => {
            let one = |x: half::bf16| u64::from(if x.is_nan() { half::bf16::NAN } else { x }.to_bits());
            t.to_vec::<half::bf16>().into_iter().map(one).collect()
        }
        DType::F32 => {
            let one = |x: f32| if x.is_nan() { u64::from(f32::NAN.to_bits()) } else { u64::from(x.to_bits()) };
            t.to_vec::<f32>().into_iter().map(one).collect()
        }
        DType::F64 => {
            let one = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
            t.to_vec::<f64>().into_iter().map(one).collect()
        }
    }
}

/// Every element as f64.
pub fn numbers(t: &Tensor) -> Vec<f64> {
    t.detach().to(DType::F64).to_vec::<f64>()
}

/// Where two tensors differ in dtype, shape or bits.
pub fn difference(a: &Tensor, b: &Tensor) -> Option<String> {
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        return Some(format!("{}{:?} against {}{:?}", a.dtype(), a.shape(), b.dtype(), b.shape()));
    }
    let (x, y) = (bits(a), bits(b));
    let i = (0..x.len()).find(|&i| x[i] != y[i])?;
    let (u, v) = (numbers(a)[i], numbers(b)[i]);
    Some(format!("element {i} of {}{:?}: {u:e} ({:#x}) against {v:e} ({:#x})", a.dtype(), a.shape(), x[i], y[i]))
}

/// Demands equal dtypes, shapes and bits.
#[track_caller]
pub fn assert_same(what: &str, a: &Tensor, b: &Tensor) {
    if let Some(d) = difference(a, b) {
        panic!("{what}: {d}");
    }
}

/// Demands pairwise equal bits.
#[track_caller]
pub fn assert_all_same(what: &str, a: &[Tensor], b: &[Tensor]) {
    assert_eq!(a.len(), b.len(), "{what}: as many tensors");
    a.iter().zip(b).enumerate().for_each(|(i, (x, y))| assert_same(&format!("{what} [{i}]"), x, y));
}

/// A copy that nothing done to the original reaches.
pub fn copy(t: &Tensor) -> Tensor {
    match t.dtype() {
        DType::Bool => Tensor::from_vec(t.to_vec::<bool>(), t.shape()),
        DType::U8 => Tensor::from_vec(t.to_vec::<u8>(), t.shape()),
        DType::I32 => Tensor::from_vec(t.to_vec::<i32>(), t.shape()),
        DType::I64 => Tensor::from_vec(t.to_vec::<i64>(), t.shape()),
        DType::F16 => Tensor::from_vec(t.to_vec::<half::f16>(), t.shape()),
        DType::BF16 => Tensor::from_vec(t.to_vec::<half::bf16>(), t.shape()),
        DType::F32 => Tensor::from_vec(t.to_vec::<f32>(), t.shape()),
        DType::F64 => Tensor::from_vec(t.to_vec::<f64>(), t.shape()),
    }
}

/// The OpenCL device, where there is one, and else plain words for that.
#[cfg(feature = "opencl")]
pub fn opencl() -> Option<Device> {
    use std::io::{Write, stderr};
    static SAID: std::sync::Once = std::sync::Once::new();
    match allotrope::backend::opencl::of(0).opened() {
        Ok(_) => Some(Device::OpenCl(0)),
        Err(error) => {
            // Past the harness, which shows what a test prints where it fails only.
            SAID.call_once(|| _ = writeln!(stderr(), "tests of OpenCL are skipped, there is no device: {error}"));
            None
        }
    }
}

/// The process has one default generator: tests that seed it hold this while they draw.
pub fn seeded(seed: u64) -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    let guard = DRAWING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    manual_seed(seed);
    guard
}

/// Draws from a generator of its own.
pub fn draw(seed: u64, shape: &[usize]) -> Tensor {
    allotrope::tensor::Generator::new(seed).randn(shape, DType::F32)
}

/// The model of the two recurrent examples.
#[derive(Module)]
pub struct SinToCos {
    pub rnn: nn::Rnn,
    pub out: nn::Linear,
}

impl SinToCos {
    pub fn new(seed: u64, hidden: usize) -> SinToCos {
        let _drawing = seeded(seed);
        SinToCos { rnn: nn::Rnn::new(1, hidden).batch_first(true), out: nn::Linear::new(hidden, 1) }
    }

    pub fn forward(&self, x: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        let (states, h) = self.rnn.forward(x, h);
        (self.out.forward(&states), h)
    }
}

/// What a panic says.
pub fn panic_text(f: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("should have panicked");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map_or_else(|_| String::new(), |text| text.to_string()),
    }
}

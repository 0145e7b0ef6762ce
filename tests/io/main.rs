//! Files of other libraries: what is written is read again, here and by PyTorch; what is damaged or hostile is an error.

mod damage;
mod npy;
mod pt;
mod pytorch;
mod safetensors;

use allotrope::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of its own that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("allotrope-io-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of all files in it, in order.
    pub fn names(&self) -> Vec<String> {
        let each = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = each.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file that PyTorch wrote: `tests/data/pt/make.py`.
pub fn from_pytorch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pt").join(name)
}

pub const DTYPES: [DType; 8] =
    [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64];

/// The elements as numbers, which every dtype's are exactly.
pub fn numbers(t: &Tensor) -> Vec<f64> {
    t.detach().to(DType::F64).to_vec::<f64>()
}

#[track_caller]
pub fn assert_same(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{what}");
    assert_eq!(numbers(got), numbers(want), "{what}");
}

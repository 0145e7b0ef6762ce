//! Data sets, samplers, loaders and the readers of files: PyTorch's orders, threads, and bad input.

mod order;
mod readers;
mod sets;
mod workers;

use allotrope::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The process has one default generator: tests that seed it or draw from it hold this meanwhile.
pub fn drawing() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A folder of its own that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("allotrope-data-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// A file with these bytes.
    pub fn with(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a program of PyTorch's, one for each seed: those of `ALLOTROPE_GOLDEN`, or the committed ones and those beside the
/// checkout.
pub fn golden(program: &str) -> Vec<(PathBuf, Value)> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(dir) else {
            eprintln!("golden: {} is not there", dir.display());
            return Vec::new();
        };
        let name = |p: &PathBuf| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = |p: &PathBuf| name(p).starts_with(&format!("{program}.seed")) && name(p).ends_with(".json");
        entries.filter_map(|e| Some(e.ok()?.path())).filter(wanted).collect()
    };
    let paths = match std::env::var_os("ALLOTROPE_GOLDEN") {
        Some(dir) => list(Path::new(&dir)),
        None => {
            let mut paths = list(&root().join("tests/data/golden"));
            assert!(!paths.is_empty(), "a committed copy of {program}");
            paths.extend(list(&root().join("../shared/golden")));
            paths
        }
    };
    paths.into_iter().map(|p| (p.clone(), serde_json::from_slice(&std::fs::read(p).unwrap()).unwrap())).collect()
}

/// Nested lists of numbers, flat.
pub fn list(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(list).collect(),
        v => vec![v.as_f64().unwrap_or_else(|| panic!("a number, got {v}"))],
    }
}

/// What PyTorch drew after a case: `tests/data/loading.py`.
pub fn after() -> Vec<i64> {
    randint(0, 1 << 30, &[3]).to_vec::<i64>()
}

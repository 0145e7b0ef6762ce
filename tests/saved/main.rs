//! Traced functions saved and loaded: what runs afterwards is what would have run, to the bit; what is damaged is refused
//! with words.

mod damage;
#[cfg(feature = "opencl")]
mod devices;
mod guards;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;
mod state;
mod training;
mod versions;

use allotrope::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// A folder of its own that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("allotrope-saved-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
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

/// The process has one default generator: tests that seed it or draw from it hold this meanwhile.
pub fn drawing() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The bits of the elements.
pub fn bits(t: &Tensor) -> Vec<u32> {
    t.to_vec::<f32>().into_iter().map(f32::to_bits).collect()
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path.with_extension("graph")).unwrap()
}

/// A file changed in place.
pub fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let path = path.with_extension("graph");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
}

/// The message of a load that fails.
pub fn refused(path: &Path) -> String {
    allotrope::trace::Program::load(path).unwrap_err().to_string()
}

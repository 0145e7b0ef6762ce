//! Files as wholes: one is written beside the place where it is to be and then renamed, so a crash leaves the old one as it was;
//! one is read only where it is a plain file, so nothing without an end is. What stands in a file is not judged here.

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The error of a file.
pub(crate) fn file_error(path: &Path, message: impl ToString) -> Error {
    Error::File { path: path.display().to_string(), message: message.to_string() }
}

/// A file on its way; removed where it does not become the real one.
pub(crate) struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    /// A name beside `path` that nothing else uses.
    pub(crate) fn beside(path: &Path) -> Draft {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        Draft { path: path.with_file_name(name), kept: false }
    }

    /// Where it is until it is renamed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file, which has reached the disk before, in the place of `to`.
    pub(crate) fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.kept = true;
        // The new name reaches the disk too, where folders can be opened; what the file holds is whole without that.
        if let Some(folder) = to.parent()
            && let Ok(folder) = File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing more can be done about a file that cannot be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a whole file: `put` writes beside `path`, and when that has reached the disk it gets the name. Until then, and where
/// anything fails, what was at `path` is there as it was. A link is followed.
///
/// # Errors
/// When the file cannot be written, or something that is no file is there.
pub(crate) fn write_whole(path: &Path, put: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let failed = |e: io::Error| file_error(path, format!("cannot be written: {e}"));
    let to = match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(file_error(path, "cannot be written: it is there, and is no file"));
        }
        Ok(_) => fs::canonicalize(path).map_err(failed)?,
        Err(_) => path.to_path_buf(),
    };
    if to.file_name().is_none() {
        return Err(file_error(path, "cannot be written: the path has no name of a file"));
    }
    let draft = Draft::beside(&to);
    let write = || {
        let mut out = BufWriter::new(File::create(draft.path())?);
        put(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().and_then(|()| draft.rename(&to)).map_err(failed)
}

/// The bytes of a file.
///
/// # Errors
/// When it cannot be read, or is no file but a folder or a device.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, u64::MAX - 1)
}

/// As [`read_whole`], of a file that has no more bytes than these.
///
/// # Errors
/// As there, and when it is larger.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|e| file_error(path, format!("cannot be read: {e}")))?;
    match bytes.len() as u64 > most {
        true => Err(file_error(path, format!("is larger than {} MiB, the most that is read", most >> 20))),
        false => Ok(bytes),
    }
}

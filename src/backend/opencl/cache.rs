//! What was built for a device, kept on disk: files that are named by a hash of what they were built from, which they hold too,
//! so that two of one hash are told apart. Whatever is wrong with a file or the folder, there is just nothing kept. It knows
//! nothing of what the bytes are.

use directories::ProjectDirs;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use std::{env, fs, process};

/// The variable that says where files are kept; "off" says that none are.
pub const VARIABLE: &str = "ALLOTROPE_OPENCL_CACHE";
/// Bytes of all files; those not used for the longest time are removed first.
const LIMIT: u64 = 256 << 20;
/// The first bytes of every file. Another number when the layout changes.
const MAGIC: &[u8; 12] = b"allotrope 1\n";
const ENDING: &str = "bin";

/// A folder of files, or nothing.
pub struct Cache {
    folder: Option<PathBuf>,
    limit: u64,
}

impl Cache {
    /// The user's, or that of [`VARIABLE`].
    pub fn of_user() -> Cache {
        let folder = match env::var_os(VARIABLE).filter(|given| !given.is_empty()) {
            Some(off) if off == "off" => None,
            Some(folder) => Some(folder.into()),
            None => ProjectDirs::from("", "", "allotrope").map(|dirs| dirs.cache_dir().join("opencl")),
        };
        Cache { folder, limit: LIMIT }
    }

    /// The folder, with so many bytes at most.
    pub fn at(folder: &Path, limit: u64) -> Cache {
        Cache { folder: Some(folder.to_path_buf()), limit }
    }

    /// Where the files are, if any are kept.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What was kept under this key.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let file = fs::read(&path).ok()?;
        let value = value(&file, key);
        match &value {
            // It was used now.
            Some(_) => _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now())),
            None => _ = fs::remove_file(&path),
        }
        value.map(<[u8]>::to_vec)
    }

    /// Keeps bytes under this key, if that is possible. Who reads it meanwhile sees all of it, or what was there before.
    pub fn put(&self, key: &str, value: &[u8]) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let Some((folder, path)) = self.folder.as_deref().zip(self.path(key)) else { return };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!("{}-{number}.tmp", process::id()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::File::create(&temporary))
            .and_then(|mut file| file.write_all(&whole(key, value)))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            _ = fs::remove_file(&temporary);
        }
        self.keep_to_limit(folder);
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{:016x}.{ENDING}", hash(key.as_bytes()))))
    }

    /// Removes the files that were not used for the longest time, and those that a process which ended did not finish.
    fn keep_to_limit(&self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let Ok(about) = entry.metadata() else { continue };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match entry.path().extension() {
                Some(ending) if ending == ENDING => files.push((used, about.len(), entry.path())),
                Some(ending) if ending == "tmp" && used.elapsed().is_ok_and(|age| age.as_secs() > 3600) => {
                    _ = fs::remove_file(entry.path());
                }
                // Nothing of ours.
                _ => {}
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= self.limit {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= bytes;
            }
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// A file: magic, hash of all that follows, length of the key, key, value.
fn whole(key: &str, value: &[u8]) -> Vec<u8> {
    let mut rest = (key.len() as u64).to_le_bytes().to_vec();
    rest.extend_from_slice(key.as_bytes());
    rest.extend_from_slice(value);
    [MAGIC, &hash(&rest).to_le_bytes()[..], &rest].concat()
}

/// The value in a file; none where it is not a whole one of this key.
fn value<'a>(file: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let rest = file.strip_prefix(MAGIC)?;
    let (sum, rest) = rest.split_first_chunk()?;
    if u64::from_le_bytes(*sum) != hash(rest) {
        return None;
    }
    let (length, rest) = rest.split_first_chunk()?;
    let (of, value) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    (of == key.as_bytes()).then_some(value)
}

//! The report's folder: tried before training starts, filled beside its place, moved there when complete.
//!
//! It never replaces a file that a report did not write, and leaves nothing behind when it fails.

use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file by which a folder is known to hold a report of ours, and the words it starts with.
pub(super) const MARK: &str = "results.json";
pub(super) const MARK_TEXT: &str = "\"generator\": \"allotrope compare\"";

const FITS: &str = "give a folder that does not exist yet, an empty one, or one that holds an earlier report, \
    in a place that you may write to";

/// A place that was found fit for a report.
#[derive(Debug)]
pub struct ReportFolder {
    target: PathBuf,
    /// The existing folder in which the unfinished report is built: the target itself, or its nearest
    /// existing ancestor, so that moving it into place stays on one file system.
    base: PathBuf,
}

impl ReportFolder {
    /// Checks that a report can be written to `target` by making and removing a folder there.
    ///
    /// # Errors
    /// When `target` is a file, holds files that are not a report's, or cannot be written to.
    pub fn check(target: &Path) -> Result<Self> {
        let refuse = |problem: String| failed(target, format!("{problem}; {FITS}"));
        if target.as_os_str().is_empty() {
            return Err(refuse("the name is empty".to_string()));
        }
        let base = match fs::metadata(target) {
            Ok(found) if found.is_dir() => {
                if let Some(stranger) = stranger_in(target).map_err(|e| refuse(reason(&e)))? {
                    return Err(refuse(format!("it holds {stranger}, which no report wrote")));
                }
                target.to_path_buf()
            }
            Ok(_) => return Err(refuse("it is a file, not a folder".to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(target).is_ok() {
                    return Err(refuse("it is a link to something that does not exist".to_string()));
                }
                existing_ancestor(target).map_err(|e| refuse(reason(&e)))?
            }
            Err(error) => return Err(refuse(reason(&error))),
        };
        let folder = Self { target: target.to_path_buf(), base };
        let trial = folder.staging();
        let tried = fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial));
        tried
            .map_err(|error| refuse(format!("{} cannot be written to ({})", folder.base.display(), reason(&error))))?;
        Ok(folder)
    }

    /// Lets `fill` write the files into a new folder, then moves them to their place. Nothing is left of them
    /// when `fill` fails.
    pub fn write(&self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let staging = self.staging();
        fs::create_dir(&staging).map_err(|error| failed(&staging, error))?;
        let done = fill(&staging).and_then(|()| self.settle(&staging).map_err(|error| failed(&self.target, error)));
        if staging.exists() {
            // Only after a failure; what goes wrong now would hide the first reason.
            let _ = fs::remove_dir_all(&staging);
        }
        done
    }

    fn settle(&self, staging: &Path) -> io::Result<()> {
        if !self.target.is_dir() {
            if let Some(parent) = self.target.parent() {
                fs::create_dir_all(parent)?;
            }
            return fs::rename(staging, &self.target);
        }
        for entry in fs::read_dir(staging)? {
            let entry = entry?;
            fs::rename(entry.path(), self.target.join(entry.file_name()))?;
        }
        fs::remove_dir(staging)
    }

    fn staging(&self) -> PathBuf {
        self.base.join(format!(".allotrope-report-{}", std::process::id()))
    }
}

fn failed(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::File { path: path.display().to_string(), message: message.to_string() }
}

/// The first file name in a folder that is neither empty nor a report of ours.
fn stranger_in(folder: &Path) -> io::Result<Option<String>> {
    let ours = fs::read_to_string(folder.join(MARK)).is_ok_and(|text| text.contains(MARK_TEXT));
    if ours {
        return Ok(None);
    }
    let first = fs::read_dir(folder)?.next().transpose()?;
    Ok(first.map(|entry| entry.file_name().to_string_lossy().into_owned()))
}

fn existing_ancestor(target: &Path) -> io::Result<PathBuf> {
    for ancestor in target.ancestors().skip(1) {
        // The ancestor of a relative one-part path is "", the current folder.
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        match fs::metadata(ancestor) {
            Ok(found) if found.is_dir() => return Ok(ancestor.to_path_buf()),
            Ok(_) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::NotFound))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder".to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An own folder under the system's one for temporary files, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = format!("allotrope-folder-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(folder);
            fs::create_dir_all(&path).expect("a folder for temporary files");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn fill(folder: &Path) -> Result<()> {
        fs::write(folder.join(MARK), format!("{{ {MARK_TEXT} }}")).expect("written");
        fs::write(folder.join("index.html"), "page").expect("written");
        Ok(())
    }

    #[test]
    fn a_new_folder_is_made_with_its_parents_and_may_be_written_again() {
        let scratch = Scratch::new("new");
        let target = scratch.0.join("a/b/report");
        let folder = ReportFolder::check(&target).expect("fit");
        assert!(!scratch.0.join("a").exists(), "checking writes nothing");
        folder.write(fill).expect("written");
        assert_eq!(fs::read_to_string(target.join("index.html")).expect("there"), "page");
        ReportFolder::check(&target).expect("fit again").write(fill).expect("written again");
        let left: Vec<_> = fs::read_dir(&target).expect("there").collect();
        assert_eq!(left.len(), 2, "no unfinished folder stays: {left:?}");
    }

    #[test]
    fn files_of_others_are_not_touched() {
        let scratch = Scratch::new("others");
        fs::write(scratch.0.join("index.html"), "mine").expect("written");
        let error = ReportFolder::check(&scratch.0).expect_err("refused").to_string();
        assert!(error.contains("index.html") && error.contains("give a folder"), "{error}");
    }

    #[test]
    fn a_file_and_a_path_through_a_file_are_refused() {
        let scratch = Scratch::new("file");
        let file = scratch.0.join("file");
        fs::write(&file, "").expect("written");
        for target in [file.clone(), file.join("report")] {
            let error = ReportFolder::check(&target).expect_err("refused").to_string();
            assert!(error.contains(&target.display().to_string()), "{error}");
            assert!(error.contains("file, not a folder"), "{error}");
        }
    }

    #[test]
    fn a_failure_while_writing_leaves_nothing() {
        let scratch = Scratch::new("failure");
        let target = scratch.0.join("report");
        let folder = ReportFolder::check(&target).expect("fit");
        let broken = folder.write(|path| {
            fill(path)?;
            Err(failed(path, "broken"))
        });
        assert!(broken.is_err() && !target.exists());
        assert_eq!(fs::read_dir(&scratch.0).expect("there").count(), 0);
    }
}

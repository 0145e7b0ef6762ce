//! Writes a report into its folder: page, plots, animation, data.

use super::folder::{self, ReportFolder};
use super::model::Report;
use super::{PAGE, animation, data, figures, html};
use crate::compare::memory;
use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

impl Report {
    /// Writes `index.html`, plots as SVG, the animation, `results.json` and CSV files into the folder, or nothing.
    ///
    /// # Errors
    /// When the folder holds files that no report wrote, or something cannot be drawn or written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.write_into(&ReportFolder::check(folder.as_ref())?)
    }

    /// As [`Report::write`], into a folder that was checked before the training.
    ///
    /// # Errors
    /// When something cannot be drawn or written; nothing is left then.
    pub fn write_into(&self, folder: &ReportFolder) -> Result<()> {
        folder.write(|path| self.fill(path))
    }

    fn fill(&self, path: &Path) -> Result<()> {
        let mut files = Vec::new();
        let mut put = |name: &str, text: &str| {
            files.push(name.to_string());
            written(&path.join(name), text)
        };
        let machine = data::Machine::here();
        put("losses.csv", &data::losses_csv(&self.comparisons))?;
        put("step_times.csv", &data::step_times_csv(&self.comparisons))?;
        let figures = self.comparisons.iter().map(figures::figures).collect::<Result<Vec<_>>>()?;
        for figure in figures.iter().flatten() {
            put(&figure.file, &figure.svg)?;
        }
        let has_animation = animation::write(&self.comparisons, &path.join("fit.gif"))?;
        // Last of the data, so that the peak it names covers the drawing too.
        put(folder::MARK, &data::json(self, &machine, memory::peak_rss_mib())?)?;
        if has_animation {
            files.push("fit.gif".to_string());
        }
        let page = html::Page { report: self, machine: &machine, figures: &figures, has_animation, files: &files };
        written(&path.join(PAGE), &page.html())
    }
}

fn written(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Error::File { path: path.display().to_string(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic;

    #[test]
    fn the_folder_is_complete_and_the_page_loads_nothing() {
        // ALLOTROPE_KEEP_REPORT names a folder to keep the synthetic report in, to look at it.
        let kept = std::env::var_os("ALLOTROPE_KEEP_REPORT");
        let name = format!("allotrope-report-test-{}", std::process::id());
        let target = kept.clone().map_or_else(|| std::env::temp_dir().join(name), Into::into);
        synthetic::report().write(&target).expect("written");
        let page = fs::read_to_string(target.join(PAGE)).expect("the page");
        assert!(!page.contains("http://") && !page.contains("https://"), "the page names a network address");
        for word in ["Equal to the bit", "rnn_dynamic", "fit.gif", "prefers-color-scheme"] {
            assert!(page.contains(word), "the page lacks {word}");
        }
        let files = ["losses.csv", "step_times.csv", "results.json", "fit.gif", "fit_rnn_fixed.svg"];
        for file in files {
            assert!(target.join(file).is_file(), "{file} is missing");
            assert!(page.contains(&format!("\"{file}\"")), "the page does not name {file}");
        }
        if kept.is_none() {
            fs::remove_dir_all(&target).expect("removed");
        }
    }
}

//! The report folder of a comparison: page, plots, animation, data.
//!
//! Made from plain runs; it never trains anything and never reads the clock.

mod animation;
mod axis;
mod chart;
mod data;
mod figures;
mod folder;
mod gif;
mod html;
mod theme;

pub use folder::OutFolder;

use super::comparison::Comparison;
use super::error::CliError;
use super::memory;
use super::run::Settings;
use std::fs;
use std::io::BufWriter;
use std::path::Path;

/// The page, to tell the user where to look.
pub const PAGE: &str = "index.html";

/// Writes the whole report into `folder`, or nothing.
///
/// # Errors
/// When a file cannot be written or a plot cannot be drawn.
pub fn write(folder: &OutFolder, settings: &Settings, pairs: &[Comparison]) -> Result<(), CliError> {
    folder.write(|path| fill(path, settings, pairs))
}

fn fill(path: &Path, settings: &Settings, pairs: &[Comparison]) -> Result<(), CliError> {
    let mut files = Vec::new();
    let mut put = |name: &str, text: &str| {
        let path = path.join(name);
        files.push(name.to_string());
        fs::write(&path, text).map_err(|source| CliError::Write { path, source })
    };
    let machine = data::Machine::here();
    put("losses.csv", &data::losses_csv(pairs))?;
    put("step_times.csv", &data::step_times_csv(pairs))?;
    let figures = pairs.iter().map(figures::figures).collect::<Result<Vec<_>, _>>()?;
    for figure in figures.iter().flatten() {
        put(&figure.file, &figure.svg)?;
    }
    let has_animation = animate(&path.join("fit.gif"), pairs)?;
    // Last of the data, so that the peak it names covers the drawing too.
    let json = data::json(settings, &machine, pairs, memory::peak_rss_mib());
    let json = json.map_err(|error| CliError::Draw { what: folder::MARK.to_string(), message: error.to_string() })?;
    put(folder::MARK, &json)?;
    if has_animation {
        files.push("fit.gif".to_string());
    }
    let page = html::Page { settings, machine: &machine, pairs, figures: &figures, has_animation, files: &files };
    let path = path.join(PAGE);
    fs::write(&path, page.html()).map_err(|source| CliError::Write { path, source })
}

/// Draws the animation; `false`, and no file, when no run kept a fit.
fn animate(path: &Path, pairs: &[Comparison]) -> Result<bool, CliError> {
    let failed = |source| CliError::Write { path: path.to_path_buf(), source };
    let file = fs::File::create(path).map_err(failed)?;
    let drawn = animation::write(pairs, BufWriter::new(file))?;
    if !drawn {
        fs::remove_file(path).map_err(failed)?;
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::synthetic;

    #[test]
    fn the_folder_is_complete_and_the_page_loads_nothing() {
        // ALLOTROPE_KEEP_REPORT names a folder to keep the synthetic report in, to look at it.
        let kept = std::env::var_os("ALLOTROPE_KEEP_REPORT");
        let name = format!("allotrope-report-test-{}", std::process::id());
        let target = kept.clone().map_or_else(|| std::env::temp_dir().join(name), Into::into);
        let pairs = synthetic::comparisons();
        let folder = OutFolder::check(&target).expect("a folder for temporary files");
        write(&folder, &synthetic::settings(), &pairs).expect("written");
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

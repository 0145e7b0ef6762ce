//! Layers, losses, optimizers and schedulers against PyTorch's own test databases: construction from the seed, printing, state
//! dict, outputs, gradients, buffers, steps; eagerly and traced, with equal bits.
//!
//! `ALLOTROPE_MODULES=DIR` says where the cases are; without it `../shared/modules` is taken where that is there, and else the sample in
//! `tests/data/modules`. `ALLOTROPE_MODULES_ONLY=GRU,LSTM` runs some classes. A class that nobody builds fails.

#[allow(dead_code, reason = "every way to read an argument is here, whether or not a class needs it now")]
#[path = "../opinfo/case.rs"]
mod case;
#[allow(dead_code, reason = "operators have more in their files than modules")]
#[path = "../opinfo/corpus.rs"]
mod corpus;

#[path = "../opinfo/compare.rs"]
mod compare;
#[allow(dead_code, reason = "bad inputs are no cases of modules")]
#[path = "../opinfo/quiet.rs"]
mod quiet;

mod attention;
mod layer_options;
mod layers;
mod losses;
mod module_cases;
mod module_file;
mod optimizers;
mod recurrent;
mod schedulers;
mod subject;

use std::path::{Path, PathBuf};

/// What became of the cases of one class.
pub struct Outcome {
    pub class: String,
    pub passed: usize,
    /// A line for each case that failed.
    pub failed: Vec<String>,
}

#[test]
fn every_class_of_the_corpus() {
    let _alone = module_cases::alone();
    let folder = folder();
    println!("modules: cases of {}", folder.display());
    let only = std::env::var("ALLOTROPE_MODULES_ONLY").ok();
    let wanted = |class: &str| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == class));
    let mut outcomes = Vec::new();
    for class in classes(&folder).into_iter().filter(|class| wanted(class)) {
        outcomes.extend(match class.strip_prefix("optim.") {
            Some(_) => vec![optimizers::run(&folder, &class)],
            None if class == "schedulers" => schedulers::run(&folder),
            None => vec![module_cases::run(&folder, &class)],
        });
    }
    for Outcome { class, passed, failed } in &outcomes {
        println!("{class:<28} {passed:>3} passed {:>3} failed", failed.len());
        failed.iter().for_each(|line| println!("    {line}"));
    }
    let passed: usize = outcomes.iter().map(|o| o.passed).sum();
    let failed: usize = outcomes.iter().map(|o| o.failed.len()).sum();
    println!("modules: {} classes, {passed} cases passed, {failed} failed", outcomes.len());
    assert!(!outcomes.is_empty() && passed > 0, "no cases in {}", folder.display());
    assert_eq!(failed, 0, "cases failed; they are listed above");
}

fn folder() -> PathBuf {
    if let Some(dir) = std::env::var_os("ALLOTROPE_MODULES") {
        return dir.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = root.join("../shared/modules");
    if beside.is_dir() { beside } else { root.join("tests/data/modules") }
}

/// The names of the files with cases, in order.
fn classes(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("no cases in {}: {e}", folder.display()));
    let mut names: Vec<String> =
        entries.filter_map(|e| Some(e.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_string())).collect();
    names.sort();
    names
}

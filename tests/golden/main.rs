//! The programs that our users start from, beside what PyTorch prints for them: losses, parameters, predictions, batches, random streams and
//! printed models, eagerly and traced, with equal bits between the modes.
//!
//! `ALLOTROPE_GOLDEN=DIR cargo test --release --test golden -- --nocapture` runs every file of a folder by its program and seed; without it
//! `../shared/golden` is taken where that is there, and else the copies in `tests/data/golden`. MNIST is looked for in `DIR/../data/mnist` and
//! `../shared/data/mnist`; without it these two programs say so and are skipped.

mod check;
mod classifiers;
mod fits;
mod mnist;
mod recurrent;
mod streams;
mod two_layer;

use check::{Compared, Mode, Outcome};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Runs a program from a seed with the inputs of its file; none where what it needs is not there.
type Program = fn(u64, &Value, Mode) -> Option<Outcome>;

const PROGRAMS: &[(&str, Program)] = &[
    ("linear_regression", |_, file, mode| Some(fits::linear_regression(file, mode))),
    ("two_layer_manual", |seed, _, mode| Some(two_layer::manual(seed, mode))),
    ("two_layer_autograd", |seed, _, mode| Some(two_layer::autograd(seed, mode))),
    ("custom_function", |seed, _, mode| Some(two_layer::custom_function(seed, mode))),
    ("nn_sequential", |seed, _, mode| Some(two_layer::sequential(seed, mode))),
    ("optim_adam", |seed, _, mode| Some(two_layer::adam(seed, mode))),
    ("custom_module", |seed, _, mode| Some(two_layer::custom_module(seed, mode))),
    ("dynamic_net", |seed, file, mode| Some(two_layer::dynamic(seed, file, mode))),
    ("regression", |seed, _, mode| Some(fits::regression(seed, mode))),
    ("save_restore", |seed, _, mode| Some(fits::save_restore(seed, mode))),
    ("classification", |seed, _, mode| Some(classifiers::classification(seed, mode))),
    ("optimizers", |seed, _, mode| Some(classifiers::optimizers(seed, mode))),
    ("dataloader", |seed, _, _| Some(streams::dataloader(seed))),
    ("rng_streams", |seed, _, _| Some(streams::rng_streams(seed))),
    ("mnist_cnn", |seed, _, mode| mnist::cnn(seed, mode)),
    ("mnist_lstm", |seed, _, mode| mnist::lstm(seed, mode)),
    ("rnn_fixed", |seed, file, mode| Some(recurrent::run(seed, file, mode))),
    ("rnn_dynamic", |seed, file, mode| Some(recurrent::run(seed, file, mode))),
];

/// The folder of the files.
fn folder() -> PathBuf {
    if let Some(dir) = std::env::var_os("ALLOTROPE_GOLDEN") {
        return dir.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = root.join("../shared/golden");
    if beside.is_dir() { beside } else { root.join("tests/data/golden") }
}

#[test]
fn every_program_of_the_folder() {
    let folder = folder();
    println!("golden: files of {}", folder.display());
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("no files in {}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let only = std::env::var("ALLOTROPE_GOLDEN_ONLY").ok();
    let (mut ran, mut failed) = (0, Vec::new());
    for path in paths {
        let file: Value = serde_json::from_slice(&std::fs::read(&path).expect("a readable file")).expect("JSON");
        let (name, seed) = (file["program"].as_str().expect("a program"), file["seed"].as_u64().expect("a seed"));
        if only.as_ref().is_some_and(|only| !only.split(',').any(|o| o == name)) {
            continue;
        }
        let label = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let Some((_, program)) = PROGRAMS.iter().find(|(known, _)| *known == name) else {
            failed.push(format!("{label}: no such program"));
            continue;
        };
        let runs = [Mode::Eager, Mode::Traced].map(|mode| (mode, program(seed, &file, mode)));
        let mut spread: Option<Vec<f64>> = None;
        for (mode, run) in &runs {
            let Some(run) = run else {
                println!("{label:<28} {mode:<7} skipped: MNIST is not there");
                continue;
            };
            ran += 1;
            let Compared { largest, mut wrong } = check::compare(&file, run, &[]);
            println!("{label:<28} {mode:<7} largest deviation {largest:.3} of the tolerance");
            if !wrong.is_empty() {
                // Where a ReLU or a maximum turns over, rounding alone goes farther than the one nudge that the file's tolerance
                // is from; PyTorch itself, with another algorithm for its convolutions, leaves the tolerance of `mnist_cnn` at the same step.
                let again = |nudge| check::nudged(nudge, || program(seed, &file, Mode::Traced)).expect("it ran before");
                let spread = spread.get_or_insert_with(|| check::spread(run, &[1, 2].map(again)));
                let least: Vec<f64> = spread.iter().map(|spread| 20.0 * spread).collect();
                let within = check::compare(&file, run, &least);
                println!("{:<36} {:.3} of 20 times the spread that nudges of an ulp cause here", "", within.largest);
                wrong = within.wrong;
            }
            failed.extend(wrong.into_iter().map(|what| format!("{label}, {mode}: {what}")));
        }
        if let [(_, Some(eager)), (_, Some(traced))] = &runs
            && let Some(what) = eager.difference(traced)
        {
            failed.push(format!("{label}: the modes differ in {what}"));
        }
    }
    assert!(ran > 0, "no program was run");
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

//! Random programs that ran in PyTorch, replayed: eagerly against what PyTorch recorded step by step, and whole in a trace
//! against eager mode. `scripts/random_programs.py` makes such files.
//!
//! `ALLOTROPE_PROGRAMS=FILE` replays a file of any length and prints the classes of what differs, with one short example
//! each; `ALLOTROPE_PROGRAMS_MODES=eager` leaves the traces out, `dynamic` takes `trace_dynamic`. Only the first difference
//! of a program counts, for later ones may follow from it; `ALLOTROPE_PROGRAMS_BEYOND=strides,memory` names categories
//! that are counted and do not end the comparison (names of nodes and signs of zeros never do);
//! `ALLOTROPE_PROGRAMS_SHOWN=20` shows so many examples of a class. A share of the programs runs on an OpenCL device too, with
//! `ALLOTROPE_PROGRAMS_DEVICE=all` every one. Without a file the sample in
//! `tests/data/programs` runs.

#[path = "../opinfo/adapters.rs"]
mod adapters;
mod bits;
mod calls;
#[path = "../opinfo/case.rs"]
#[allow(dead_code, reason = "every way to read an argument is there")]
mod case;
mod compare;
#[path = "../opinfo/corpus.rs"]
#[allow(dead_code, reason = "the files of the corpus are not read here")]
mod corpus;
mod known;
mod memory;
mod program;
#[path = "../opinfo/quiet.rs"]
#[allow(dead_code, reason = "where a panic was is not asked here")]
mod quiet;
mod replay;
mod run;
mod source;
mod survey;
mod traced;

use compare::Category;
use std::path::Path;
use survey::Modes;

/// The programs, a line each.
fn lines() -> Vec<String> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/programs/sample.jsonl");
    let file = std::env::var_os("ALLOTROPE_PROGRAMS").map_or(sample, Into::into);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines().map(str::to_string).collect()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, Into::into)
}

fn shown() -> usize {
    std::env::var("ALLOTROPE_PROGRAMS_SHOWN").map_or(1, |n| n.parse().expect("how many examples"))
}

/// The differences of classes that are not known.
fn new(survey: &survey::Survey) -> Vec<String> {
    let classes = survey.classes.keys().filter(|(category, operator)| !known::is_known(operator, *category));
    classes.map(|(category, operator)| format!("{operator}: {category}")).collect()
}

#[test]
fn programs_do_what_they_do_in_pytorch() {
    let lines = lines();
    let modes = std::env::var("ALLOTROPE_PROGRAMS_MODES").unwrap_or_default();
    let beyond = std::env::var("ALLOTROPE_PROGRAMS_BEYOND").unwrap_or_default();
    let is_passed = |c: &Category| {
        matches!(c, Category::GradFn | Category::Zero) || beyond.split(',').any(|name| name == c.to_string())
    };
    let passed = Category::ALL.into_iter().filter(is_passed).collect();
    let modes = Modes { passed, traced: modes != "eager", dynamic: modes == "dynamic", device: None };
    let survey = survey::run(&lines, threads(), &modes, shown());
    println!("{survey}");
    // A file of any length is only counted.
    if std::env::var_os("ALLOTROPE_PROGRAMS").is_none() {
        let new = new(&survey);
        assert!(
            new.is_empty(),
            "classes of differences that are not in tests/pytorch_programs/known.rs: {}",
            new.join(", ")
        );
    }
}

/// A share of the programs on an OpenCL device: eagerly with the bits of the CPU, and whole in a trace with those of the device's
/// eager mode.
#[cfg(feature = "opencl")]
#[test]
fn programs_on_a_device_have_the_bits_of_the_cpu() {
    use allotrope::prelude::Device;
    if let Err(missing) = allotrope::backend::opencl::of(0).opened() {
        eprintln!("skipped, there is no OpenCL device: {missing}");
        return;
    }
    let all = std::env::var("ALLOTROPE_PROGRAMS_DEVICE").is_ok_and(|v| v == "all");
    let lines = lines();
    // What costs is building a kernel for each operation, which a traced program of the same operations hardly adds to.
    let share: Vec<String> = lines.into_iter().step_by(if all { 1 } else { 12 }).collect();
    let modes = Modes { passed: Vec::new(), traced: true, dynamic: false, device: Some(Device::OpenCl(0)) };
    let survey = survey::run(&share, threads(), &modes, shown());
    println!("{survey}");
    let differences = new(&survey);
    assert!(differences.is_empty(), "differences on a device: {}", differences.join(", "));
}

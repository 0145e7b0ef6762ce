//! A small set of programs under Oclgrind, an interpreter of kernels that finds data races and accesses beyond a buffer: nothing
//! is found, in each form of code. Not with `--uninitialized`: Oclgrind 21.10 ends with a signal on a kernel of one `vload16`
//! there, and takes what comes of vectors for uninitialised. Where it is not installed (Debian's package `oclgrind`)
//! the tests say so and do nothing. The first takes minutes, for the probe, so they are run by `scripts/oclgrind.sh` only.

use std::io::{Write, stderr};
use std::path::Path;
use std::process::Command;

/// Where the library is that `oclgrind` brings along.
const LIBRARIES: [&str; 3] = ["/usr/lib/oclgrind", "/usr/local/lib/oclgrind", "/usr/lib64/oclgrind"];
/// Of `tests/second_backend`.
const PROGRAMS: [&str; 3] = ["a_training_step", "loops_and_branches", "state_changed_in_place"];

/// Runs the set in one form of code.
fn clean(form: &str) {
    let library = LIBRARIES.iter().map(|folder| format!("{folder}/liboclgrind-rt.so")).find(|l| Path::new(l).exists());
    let Some(library) = library else {
        _ = writeln!(stderr(), "a test under Oclgrind is skipped, it is not installed");
        return;
    };
    let log = std::env::temp_dir().join(format!("allotrope_oclgrind_{form}_{}.log", std::process::id()));
    let mut command = Command::new("oclgrind");
    // It adds up the local memory of all kernels of a program, of which one runs at a time.
    command
        .args(["--data-races", "--local-mem-size", "1048576", "--log"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap());
    command.arg("--exact").args(PROGRAMS.map(|name| format!("{form}::same_bits::{name}")));
    command.env("ALLOTROPE_OPENCL_LIBRARY", library).env("ALLOTROPE_OPENCL_BLOCKS", "apart");
    // The verdict of the probe, which takes most of the time, is kept for the next form.
    command.env("ALLOTROPE_OPENCL_CACHE", std::env::temp_dir().join("allotrope_oclgrind_cache"));
    let output = command.output().expect("oclgrind runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let found = std::fs::read_to_string(&log).unwrap_or_default();
    _ = std::fs::remove_file(log);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{} passed", PROGRAMS.len())), "{said}");
    assert!(found.trim().is_empty(), "{found}");
}

#[test]
#[ignore = "takes minutes: scripts/oclgrind.sh"]
fn one_item_runs_a_program() {
    clean("cpu_single");
}

#[test]
#[ignore = "takes minutes: scripts/oclgrind.sh"]
fn items_with_blocks_run_launches() {
    clean("cpu_launched");
}

#[test]
#[ignore = "takes minutes: scripts/oclgrind.sh"]
fn one_work_group_runs_a_program() {
    clean("gpu_single");
}

#[test]
#[ignore = "takes minutes: scripts/oclgrind.sh"]
fn work_groups_run_launches() {
    clean("gpu_launched");
}

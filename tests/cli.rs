//! The command as its users run it: options, exit statuses, messages, and the files of the report.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for each test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("allotrope-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a printable path").to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn allotrope(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_allotrope")).args(args).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Standard output of a run that must succeed.
fn printed(args: &[&str]) -> String {
    let output = allotrope(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A command that cannot be run as given: status 2 and a message that holds all of `says`.
fn refused(args: &[&str], says: &[&str]) {
    let output = allotrope(args);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
    for part in says {
        assert!(message.contains(part), "{args:?} should say {part:?}: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

fn read(folder: &str, name: &str) -> String {
    fs::read_to_string(Path::new(folder).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn a_short_comparison_agrees_and_writes_its_report() {
    let folder = Folder::new("compare");
    let out = folder.path("report");
    let table = printed(&["compare", "--steps", "6", "--out", &out]);
    for program in ["rnn_fixed", "rnn_dynamic", "rnn_var_200"] {
        let rows: Vec<&str> = table.lines().filter(|l| l.split_whitespace().next() == Some(program)).collect();
        assert_eq!(rows.len(), 2, "{table}");
        let traced: Vec<&str> = rows[1].split_whitespace().collect();
        assert_eq!(&traced[1..2], ["traced"]);
        assert_eq!(traced[3], "1", "one compilation: {table}");
        assert!(rows[1].trim_end().ends_with("equal       equal"), "{table}");
    }

    let page = read(&out, "index.html");
    assert!(page.contains("<svg") && page.contains("rnn_var_200"));
    for load in ["src=\"http", "href=\"http", "url(http", "@import", "<script src"] {
        assert!(!page.contains(load), "the page opens without a network, but it holds {load}");
    }

    let results: Value = serde_json::from_str(&read(&out, "results.json")).expect("JSON");
    let all = results.to_string();
    assert!(all.contains("losses") && all.contains("rnn_dynamic"), "{}", &all[..all.len().min(300)]);
    // A header, and a line for each step of each program.
    assert_eq!(read(&out, "losses.csv").lines().count(), 1 + 6 + 6 + 60);
    assert_eq!(read(&out, "step_times.csv").lines().count(), 1 + 6 + 6 + 60);

    let gif = fs::read(Path::new(&out).join("fit.gif")).expect("the animation");
    assert!(gif.starts_with(b"GIF89a"));
    // Each frame begins with a graphic control extension.
    assert!(gif.windows(4).filter(|w| *w == [0x21, 0xf9, 0x04, 0x04] || w[..3] == [0x21, 0xf9, 0x04]).count() > 1);
    let plots = fs::read_dir(&out).expect("the folder").filter_map(Result::ok);
    let plots: Vec<PathBuf> = plots.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "svg")).collect();
    assert!(plots.len() >= 6, "{plots:?}");
    for plot in plots {
        let svg = fs::read_to_string(&plot).expect("a plot");
        assert!(svg.trim_start().starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{}", plot.display());
    }
}

#[test]
fn other_sizes_agree_and_a_seed_gives_the_same_losses() {
    let folder = Folder::new("sizes");
    let run = |name: &str, seed: &str| {
        let out = folder.path(name);
        let options = ["--steps", "4", "--hidden", "8", "--batch", "3", "--lengths", "2..2", "--threads", "2"];
        let table = printed(&[&["compare"], &options[..], &["--seed", seed, "--out", &out]].concat());
        assert!(!table.contains("DIFFER"), "{table}");
        read(&out, "losses.csv")
    };
    let (a, b, c) = (run("a", "7"), run("b", "7"), run("c", "8"));
    assert_eq!(a, b);
    assert_ne!(a, c);
}

#[test]
fn the_bench_prints_the_fields_of_the_peers() {
    for (mode, peer) in [("eager", "allotrope-eager"), ("trace", "allotrope-trace")] {
        let lines = printed(&["bench", "rnn_fixed_10", "--mode", mode, "--json"]);
        let line: Value = serde_json::from_str(lines.trim()).expect("one JSON line");
        assert_eq!(line["peer"], peer);
        assert_eq!(line["workload"], "rnn_fixed_10");
        assert_eq!(line["threads"], 1);
        assert!(line["us"].as_f64().is_some_and(|us| us > 0.0), "{line}");
        assert!(line["first_s"].as_f64().is_some_and(|s| s > 0.0), "{line}");
        assert_eq!(line["compilations"], u64::from(mode == "trace"));
    }
    let table = printed(&["bench", "rnn_var_30", "--mode", "trace"]);
    assert!(table.contains("rnn_var_30") && table.contains("allotrope-trace"), "{table}");
}

#[test]
fn the_graph_is_shown_in_every_form() {
    let both = printed(&["graph", "rnn_dynamic", "--text"]);
    let graphs: Vec<&str> = both.split("; ").filter_map(|part| Some(&part[part.find("graph(")?..])).collect();
    assert_eq!(graphs.len(), 2, "captured and optimised: {both}");
    for graph in &graphs {
        let parsed = allotrope::ir::parse(graph).unwrap_or_else(|e| panic!("{e}\n{graph}"));
        assert_eq!(allotrope::ir::parse(&parsed.to_string()), Ok(parsed));
    }
    assert!(graphs[1].contains("fusion") && graphs[1].contains("scan"));
    assert!(printed(&["graph", "rnn_fixed", "--dot"]).starts_with("digraph"));
    assert!(printed(&["graph", "rnn_fixed", "--clif"]).contains("function"));
    let all = printed(&["graph", "rnn_fixed"]);
    assert!(all.contains("as captured") && all.contains("after the passes") && all.contains("the code made of it"));
}

#[test]
fn devices_are_listed() {
    let text = printed(&["devices"]);
    assert!(text.starts_with("cpu\n  this processor"), "{text}");
    match cfg!(feature = "opencl") {
        // With a device, or with what is missing for one.
        true => assert!(text.contains("no contraction  ") || text.contains("install "), "{text}"),
        false => assert!(text.contains("built without OpenCL"), "{text}"),
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let folder = Folder::new("numbers");
    let out = folder.path("report");
    for option in ["--steps", "--hidden", "--batch", "--threads", "--lengths"] {
        for value in ["0", "-1", "many", "1.5"] {
            let given = format!("{option}={value}");
            refused(&["compare", &given, "--out", &out], &[option, value]);
        }
    }
    for value in ["nan", "-1", "one"] {
        refused(&["compare", &format!("--seed={value}"), "--out", &out], &["--seed", value]);
    }
    for value in ["3..1", "0..2", "1..", "a..b"] {
        refused(&["compare", &format!("--lengths={value}"), "--out", &out], &["--lengths", value]);
    }
    assert!(!Path::new(&out).exists(), "nothing is written");
}

#[test]
fn names_that_are_not_known_are_refused_with_those_that_are() {
    refused(&["bench", "rnn_fixed_11"], &["rnn_fixed_11", "rnn_fixed_10", "rnn_var_200"]);
    refused(&["bench", "--mode", "fast"], &["fast", "eager", "trace"]);
    refused(&["graph", "cnn"], &["cnn", "rnn_fixed", ".graph"]);
    refused(&["graph", "x.graph", "--verify"], &["x.graph", "no closure"]);
    refused(&["train"], &["train"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_training() {
    let folder = Folder::new("folder");
    let file = folder.path("a-file");
    fs::write(&file, "in the way").expect("a file");
    refused(&["compare", "--out", &file], &[&file]);
    let below = format!("{file}/report");
    refused(&["compare", "--out", &below], &[&below]);
    assert_eq!(fs::read_to_string(&file).expect("still there"), "in the way");
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_allotrope"))
        .args(["graph", "rnn_fixed"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
}

#[test]
fn a_step_is_explained_verified_and_profiled() {
    let folder = Folder::new("graph");
    let trace = folder.path("trace.json");
    let all = printed(&["graph", "rnn_dynamic", "--explain", "--verify", "--profile", &trace]);
    for part in [
        "made because: it was the first call",
        "axis 1 of argument 0 is s",
        ", any size",
        "at its peak",
        "the eager mode at least",
        "fuse_elementwise: ",
        "both modes give the same bits",
        "Gflop/s",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    let trace: Value = serde_json::from_str(&read(&folder.path(""), "trace.json")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list of events");
    assert!(events.len() > 10 && events.iter().all(|e| e["ph"] == "X" && e["dur"].as_f64().is_some()));
    let whole = events[0]["dur"].as_f64().expect("a time");
    let inside: f64 = events[1..].iter().map(|e| e["dur"].as_f64().expect("a time")).sum();
    assert!(inside > 0.0 && inside <= whole, "{inside} of {whole}");
}

#[test]
fn a_saved_function_is_shown() {
    let saved = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/saved/v4.graph");
    let file = printed(&["graph", saved]);
    assert_eq!(file, fs::read_to_string(saved).expect("the sample").replace('\r', ""));
    let shown = printed(&["graph", saved, "--explain", "--text"]);
    assert!(shown.contains("made because: it was loaded") && shown.contains("after the passes"), "{shown}");
    let missing = allotrope(&["graph", "nothing/there.graph"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("there.graph: cannot be read"));
}

#[test]
fn the_environment_asks_to_see_compilations() {
    let shown = |words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_allotrope"))
            .args(["graph", "rnn_fixed", "--dot"])
            .env("ALLOTROPE_LOG", words)
            .output()
            .expect("the command starts");
        assert!(output.status.success());
        text(&output.stderr)
    };
    assert_eq!(shown(""), "");
    let all = shown("graph, optimized,kernels,code,timings,recapture");
    for part in
        ["graph(", "fusion", "matmul", "function ", "fuse_elementwise: ", "captured because: it was the first call"]
    {
        assert!(all.contains(part), "{part} in {all}");
    }
    let one = shown("timings,speed");
    assert!(one.contains("does not know `speed`") && one.contains("recapture: why"), "{one}");
    assert_eq!(one.matches("speed").count(), 1, "{one}");
    assert!(one.contains("in all: ") && !one.contains("graph("), "{one}");
}

#[test]
fn devices_that_are_not_there_are_refused_before_training() {
    let folder = Folder::new("devices");
    let out = folder.path("report");
    for command in [&["compare", "--out", &out][..], &["bench", "rnn_fixed_10"], &["graph", "rnn_fixed"]] {
        let with = |device: &'static str| [command, &["--device", device]].concat();
        refused(&with("gpu"), &["--device", "there is no device \"gpu\"", "cpu", "opencl:0"]);
        match cfg!(feature = "opencl") {
            true => refused(&with("opencl:200"), &["--device opencl:200: ", "there"]),
            false => refused(&with("opencl:0"), &["this build has no OpenCL", "--features opencl"]),
        }
    }
    if !cfg!(feature = "opencl") {
        refused(&["graph", "rnn_fixed", "--opencl"], &["this build has no OpenCL", "--features opencl"]);
        refused(&["devices", "--sweep"], &["this build has no OpenCL", "--features opencl"]);
    }
    assert!(!Path::new(&out).exists(), "nothing is written");
    let saved = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/saved/v4.graph");
    assert!(printed(&["graph", saved, "--device", "cpu"]).contains("graph"));
}

/// With the first OpenCL device of this machine, where there is one.
#[cfg(feature = "opencl")]
mod opencl {
    use super::*;
    use std::io::{Write, stderr};

    fn is_there() -> bool {
        match allotrope::backend::opencl::of(0).opened() {
            Ok(_) => true,
            Err(error) => {
                // Past the harness, which shows what a test prints where it fails only.
                let _ = writeln!(stderr(), "a test of OpenCL is skipped, there is no device: {error}");
                false
            }
        }
    }

    #[test]
    fn a_device_is_the_third_row_and_has_the_bits_of_the_cpu() {
        if !is_there() {
            return;
        }
        let folder = Folder::new("compare-device");
        let out = folder.path("report");
        let table = printed(&["compare", "--steps", "3", "--hidden", "8", "--device", "opencl:0", "--out", &out]);
        for program in ["rnn_fixed", "rnn_dynamic", "rnn_var_200"] {
            let rows: Vec<&str> = table.lines().filter(|l| l.split_whitespace().next() == Some(program)).collect();
            assert_eq!(rows.len(), 3, "{table}");
            let cells: Vec<&str> = rows[2].split_whitespace().collect();
            assert_eq!((cells[1], cells[3]), ("traced@opencl:0", "1"), "{table}");
            assert!(rows[2].trim_end().ends_with("equal       equal"), "{table}");
        }
        assert!(table.contains("opencl:0 is "), "{table}");
        let page = read(&out, "index.html");
        assert!(page.contains("traced@opencl:0") && page.contains("--device opencl:0"));
        let results: Value = serde_json::from_str(&read(&out, "results.json")).expect("JSON");
        assert_eq!(results["settings"]["device"], "opencl:0");
        for program in results["programs"].as_array().expect("a list") {
            let run = &program["runs"][2];
            assert_eq!((&run["device"], &run["equal_losses"]), (&"opencl:0".into(), &true.into()), "{run}");
            assert_eq!(run["parameter_fingerprint"], program["runs"][0]["parameter_fingerprint"]);
        }
        assert_eq!(read(&out, "losses.csv").lines().count(), 1 + 3 + 3 + 30);
        assert!(
            read(&out, "step_times.csv").starts_with("program,step,length,eager_seconds,traced_seconds,device_seconds")
        );
    }

    /// One float of each 100,003, of three functions.
    #[test]
    fn a_sweep_compares_functions_with_the_cpu() {
        if !is_there() {
            return;
        }
        let table = printed(&["devices", "--sweep", "tanh", "sqrt", "erf", "--every", "100003"]);
        for function in ["tanh", "sqrt", "erf"] {
            let row = table.lines().find(|l| l.split_whitespace().next() == Some(function)).expect(function);
            let cells: Vec<&str> = row.split_whitespace().collect();
            assert_eq!(&cells[1..3], ["42949", "0"], "{table}");
        }
        assert!(table.contains("opencl:0 against the CPU"), "{table}");
        refused(&["devices", "--sweep", "gamma"], &["--sweep gamma", "tanh", "log1p"]);
        refused(&["devices", "--sweep", "--device", "cpu"], &["--device cpu", "opencl:0"]);
        refused(&["devices", "--sweep", "--device", "opencl:200"], &["--device opencl:200"]);
        refused(&["devices", "--sweep", "--every", "0"], &["--every", "0"]);
        refused(&["devices", "--device", "opencl:0"], &["--sweep"]);
    }

    #[test]
    fn a_saved_function_is_shown_for_a_device() {
        if !is_there() {
            return;
        }
        let saved = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/saved/v4.graph");
        let shown = printed(&["graph", saved, "--device", "opencl:0", "--explain", "--opencl"]);
        assert!(shown.contains("runs on: opencl:0") && shown.contains("__kernel"), "{shown}");
    }

    #[test]
    fn the_bench_names_the_device() {
        if !is_there() {
            return;
        }
        let on = |mode| ["bench", "rnn_fixed_10", "--mode", mode, "--json", "--device", "opencl:0"];
        let line: Value = serde_json::from_str(printed(&on("trace")).trim()).expect("one JSON line");
        assert_eq!((&line["peer"], &line["compilations"]), (&"allotrope-trace@opencl:0".into(), &1.into()));
        let lines = printed(&["bench", "eager_add_8", "--mode", "eager", "--json", "--device", "opencl:0"]);
        let line: Value = serde_json::from_str(lines.trim()).expect("one JSON line");
        assert_eq!(line["peer"], "allotrope-eager@opencl:0");
    }

    #[test]
    fn a_step_on_a_device_is_shown_explained_verified_and_profiled() {
        if !is_there() {
            return;
        }
        let folder = Folder::new("graph-device");
        let trace = folder.path("trace.json");
        let options = ["--device", "opencl:0", "--opencl", "--explain", "--verify", "--profile", &trace];
        let output = Command::new(env!("CARGO_BIN_EXE_allotrope"))
            .args([&["graph", "rnn_dynamic"], &options[..]].concat())
            .env("ALLOTROPE_LOG", "kernels,code")
            .output()
            .expect("the command starts");
        let (all, said) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{said}");
        for part in ["runs on: opencl:0", "__kernel", "FP_CONTRACT OFF", "both modes give the same bits", "Gflop/s"] {
            assert!(all.contains(part), "{part} in {all}");
        }
        for part in ["allotrope: kernels for opencl:0", "allotrope: code for opencl:0", "__kernel"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let trace: Value = serde_json::from_str(&read(&folder.path(""), "trace.json")).expect("JSON");
        assert!(trace["traceEvents"].as_array().is_some_and(|events| events.len() > 10));
        refused(&["graph", "rnn_fixed", "--clif", "--device", "opencl:0"], &["--clif", "give --opencl"]);
    }

    #[test]
    fn the_source_for_a_device_needs_none() {
        let shown = |kind: &str| {
            let output = Command::new(env!("CARGO_BIN_EXE_allotrope"))
                .args(["graph", "rnn_dynamic", kind])
                .env("OCL_ICD_VENDORS", "/nothing/there")
                .output()
                .expect("the command starts");
            assert!(output.status.success(), "{}", text(&output.stderr));
            text(&output.stdout)
        };
        let [cpu, gpu, usual] = ["--opencl=cpu", "--opencl=gpu", "--opencl"].map(shown);
        for source in [&cpu, &gpu] {
            assert!(source.contains("#pragma OPENCL FP_CONTRACT OFF") && source.contains("__kernel"), "{source}");
        }
        assert_eq!(gpu, usual);
        assert_ne!(cpu, gpu);
    }
}

//! That the tables have every public function that takes a size: they are read from the sources. It runs none.

use std::collections::BTreeSet;
use std::path::Path;

/// Types of parameters that are sizes, or may hold some.
const SIZES: [&str; 13] = [
    "usize", "isize", "i64", "i32", "u32", "Size", "Sizes", "Arange", "Indices", "Index", "PerAxis", "Sides", "Lengths",
];

/// Functions whose numbers are no sizes, each with the reason.
const EXCEPTIONS: [(&str, &str); 24] = [
    ("function::needs_input_grad", "asked inside of a derivative only, by its own author"),
    ("CyclicOptions.step_size_down", STEPS),
    ("CyclicOptions.step_size_up", STEPS),
    ("LbfgsOptions.history_size", STEPS),
    ("LbfgsOptions.max_eval", STEPS),
    ("LbfgsOptions.max_iter", STEPS),
    ("PlateauOptions.cooldown", STEPS),
    ("PlateauOptions.patience", STEPS),
    ("by_epoch::step_to", STEPS),
    ("composed::new", STEPS),
    ("cosine::new", STEPS),
    ("cyclic::with_options", STEPS),
    ("factor::new", STEPS),
    ("lambda::new", STEPS),
    ("lbfgs::with_options", STEPS),
    ("one_cycle::new", STEPS),
    ("one_cycle::with_options", STEPS),
    ("plateau::new", STEPS),
    ("start::after", STEPS),
    ("steps::new", STEPS),
    ("visit::counts", STEPS),
    ("visit::int", STEPS),
    ("by_rule::options", GROUPS),
    ("by_rule::set_options", GROUPS),
];

const STEPS: &str = "a number of steps or epochs, which makes no tensor";
const GROUPS: &str = "the number of a parameter group, which makes no tensor";

/// The folders whose functions users call.
const FOLDERS: [&str; 8] = ["tensor", "mode", "ops", "functional", "nn", "optim", "inspect", "autograd"];

fn sources(folder: &Path, out: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let stem = if stem == "mod" { folder.file_name().unwrap().to_string_lossy().into_owned() } else { stem };
            out.push((stem, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

fn takes_a_size(parameters: &str, options: &BTreeSet<String>) -> bool {
    words(parameters).any(|w| SIZES.contains(&w) || options.contains(w))
}

/// The parameters behind a name: what stands between the next brackets.
fn parameters(text: &str) -> &str {
    let Some(open) = text.find('(') else { return "" };
    let mut depth = 0;
    for (i, c) in text[open..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[open..open + i + 1];
        }
    }
    ""
}

/// Public functions of a file that take sizes. In macros they are written `name / try_name(..)`.
fn functions(stem: &str, source: &str, options: &BTreeSet<String>, out: &mut BTreeSet<String>) {
    let source: String =
        source.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
    for (at, _) in source.match_indices("pub fn ").chain(source.match_indices(" / try_")) {
        let public = source[at..].starts_with("pub fn ");
        let name = match public {
            true => words(&source[at + 7..]).next().unwrap_or(""),
            false => words(&source[..at]).last().unwrap_or(""),
        };
        // A macro's own text.
        if name == "name" || source[at..].starts_with("pub fn $") || name.starts_with("try_") {
            continue;
        }
        let behind = if public { &source[at + 7..] } else { &source[at + 3..] };
        if takes_a_size(parameters(behind), options) {
            out.insert(format!("{stem}::{name}"));
        }
    }
    // Layers have their constructors by a macro of this name: `Name(required.., or required..; options)`.
    for (at, _) in source.match_indices("constructors! {") {
        let given = parameters(&source[at..]);
        if takes_a_size(given, options) {
            out.insert(format!("{stem}::new"));
            if given.contains(';') {
                out.insert(format!("{stem}::with_options"));
            }
        }
    }
}

/// Numbers in options are sizes too: the fields, as `Options.field`.
fn fields(source: &str, out: &mut BTreeSet<String>) {
    for (at, _) in source.match_indices("pub struct ") {
        let text = &source[at + 11..];
        let name = words(text).next().unwrap_or("");
        let Some(end) = text.find("\n}") else { continue };
        if !name.ends_with("Options") {
            continue;
        }
        for field in text[..end].lines().filter_map(|l| l.trim().strip_prefix("pub ")) {
            if let Some((field, ty)) = field.split_once(':')
                && words(ty).any(|w| ["usize", "isize", "i64", "Padding", "PerAxis"].contains(&w))
            {
                out.insert(format!("{name}.{field}"));
            }
        }
    }
}

#[test]
fn every_function_that_takes_a_size_is_in_a_table() {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut files);
    }
    let mut wanted = BTreeSet::new();
    files.iter().for_each(|(_, source)| fields(source, &mut wanted));
    let options: BTreeSet<String> = wanted.iter().filter_map(|f| Some(f.split_once('.')?.0.to_string())).collect();
    files.iter().for_each(|(stem, source)| functions(stem, source, &options, &mut wanted));
    assert!(wanted.len() > 150, "the sources were not understood: {wanted:?}");
    let rows = crate::rows();
    let known: BTreeSet<&str> =
        rows.iter().flat_map(|r| r.of.split(' ')).chain(EXCEPTIONS.iter().map(|(name, _)| *name)).collect();
    let missing: Vec<&String> = wanted.iter().filter(|name| !known.contains(name.as_str())).collect();
    let stale: Vec<&str> =
        known.iter().copied().filter(|name| !wanted.contains(*name) && !name.starts_with("special::")).collect();
    assert!(missing.is_empty(), "in no table, and no exception: {missing:#?}");
    assert!(stale.is_empty(), "no such functions: {stale:#?}");
}

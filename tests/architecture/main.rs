//! The structure of the sources, held by their own `use` lines: folders stand in the order of [`ORDER`], arrows point down it,
//! nothing runs in a circle, every file says what it is, and `unsafe` stays where it belongs.
//!
//! `cargo test --test architecture -- --nocapture` prints the report; with `ALLOTROPE_TREE=DIR` it is that of another
//! checkout, of which nothing is demanded. A method (`tensor.backward()`) names no module, so an inherent `impl` that stands in
//! a higher folder than its type is no arrow: whoever calls it is not tied to where it is written.

mod circles;
mod source;
mod tree;

use circles::{Arrows, circles};
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tree::Tree;

/// Folders and files of `src`, from the lowest to the highest. What stands in one row is independent of each other.
const ORDER: &[&[&str]] = &[
    &["device"],
    &["error.rs"],
    &["schedule"],
    &["backend"],
    &["tensor"],
    &["state"],
    &["mode"],
    &["autograd"],
    &["ops"],
    &["functional"],
    &["nn", "optim"],
    &["capture"],
    &["partition"],
    &["runtime"],
    &["inspect"],
    &["serialize"],
    &["gradcheck.rs"],
    &["lib.rs"],
    &["cli"],
    &["main.rs"],
];

/// The crates below the library, and the crates of this workspace that each may name.
const CRATES: &[(&str, &[&str])] =
    &[("derive", &[]), ("ir", &[]), ("kernels", &["allotrope_ir"]), ("opencl-loader", &[])];

/// Files of one folder that may depend on each other in a circle. In `kernels` one trait of elements has the tables of all
/// kernels as its parts, each of which is generic over this trait, so there the circle is only reported.
const LARGEST_CIRCLE: usize = 3;

/// Where `unsafe` may be written: kernels, machine code and its memory, OpenCL's objects and functions, and the file that
/// registers the process's allocator.
const MAY_BE_UNSAFE: &[&str] =
    &["kernels/", "src/backend/cpu/", "src/backend/opencl/handles/", "opencl-loader/", "src/main.rs"];

#[test]
fn every_arrow_points_down() {
    let root = root();
    let tree = read(&root.join("src"));
    let found = arrows_up(&tree);
    checked("arrows that point up", &root, found);
}

#[test]
fn the_crates_know_nothing_of_the_library() {
    let root = root();
    let mut found = Vec::new();
    for (name, known) in CRATES {
        let tree = read(&root.join(name).join("src"));
        for (file, foreign) in &tree.crates {
            let upward = foreign.iter().filter(|k| k.starts_with("allotrope") && !known.contains(&k.as_str()));
            found.extend(upward.map(|krate| format!("{name}/src/{file} -> {krate}")));
        }
    }
    checked("crates that name what is above them", &root, found);
}

#[test]
fn folders_form_no_circle() {
    let root = root();
    let found = circles(&between_folders(&read(&root.join("src"))));
    checked("circles of folders", &root, found.iter().map(|circle| circle.join(" ")).collect());
}

#[test]
fn files_of_a_folder_form_no_large_circle() {
    let root = root();
    let found = file_circles(&root).into_iter().filter(|(krate, _)| *krate != "kernels");
    let large = found.filter(|(_, circle)| circle.len() > LARGEST_CIRCLE);
    checked("circles of more than three files", &root, large.map(|(krate, circle)| shown(krate, &circle)).collect());
}

#[test]
fn every_file_says_what_it_is() {
    let root = root();
    let silent = sources(&root).into_iter().filter(|(_, source)| !source.begins_with_doc);
    checked("files that do not begin with `//!`", &root, silent.map(|(name, _)| name).collect());
}

#[test]
fn unsafe_stays_where_it_belongs() {
    let root = root();
    let elsewhere = |name: &str| !MAY_BE_UNSAFE.iter().any(|place| name.starts_with(place));
    let mut found: Vec<String> =
        sources(&root).into_iter().filter(|(n, s)| s.has_unsafe && elsewhere(n)).map(|(name, _)| name).collect();
    let ir = std::fs::read_to_string(root.join("ir/src/lib.rs")).unwrap_or_default();
    if !ir.contains("#![forbid(unsafe_code)]") {
        found.push("ir/src/lib.rs does not forbid it".to_string());
    }
    checked("`unsafe` outside kernels, backend and allocator", &root, found);
}

/// The constructors in `src/error.rs` take note of an error for the recording that runs; one that is made otherwise would be a
/// branch that no guard knows of.
#[test]
fn errors_are_made_by_their_constructors() {
    let root = root();
    let mut found = Vec::new();
    for (name, text) in texts(&root.join("src")) {
        if name == "error.rs" || name.starts_with("cli/") {
            continue;
        }
        found.extend(made_in_place(&text).into_iter().map(|line| format!("{name}:{line}")));
    }
    checked("errors that are not made by `Error::trace`, `operands`, ...", &root, found);
    let text = "return Err(Error::Trace(text));\nOther::CliError::Argument(x);\nError::Operands { message, .. } => 1,\n\
                Error::Operands { op, message }\nmatches!(e, Error::Trace(_))\nmap_err(Error::Argument)";
    assert_eq!(made_in_place(text), [1, 4, 6]);
}

/// The lines that name a kind of error otherwise than in a pattern.
fn made_in_place(text: &str) -> Vec<usize> {
    const KINDS: [&str; 11] = [
        "Trace",
        "Argument",
        "Autograd",
        "Rule",
        "Operands",
        "Devices",
        "DeviceMissing",
        "DeviceLost",
        "OutOfDeviceMemory",
        "Build",
        "Device",
    ];
    let mut found = Vec::new();
    for (at, _) in text.match_indices("Error::") {
        let rest = &text[at + "Error::".len()..];
        let Some(kind) = KINDS.iter().find(|kind| rest.starts_with(**kind)) else { continue };
        let after = &rest[kind.len()..];
        let longer = |c: char| c.is_alphanumeric() || c == '_';
        if text[..at].ends_with(longer) || after.starts_with(longer) {
            continue;
        }
        let fields = after.trim_start().strip_prefix('{').and_then(|fields| fields.split('}').next());
        // A comment names it in backticks.
        let pattern = after.starts_with("(_)")
            || after.starts_with('`')
            || fields.is_some_and(|fields| fields.trim_end().ends_with(".."));
        if !pattern {
            found.push(text[..at].lines().count().max(1) + usize::from(text[..at].ends_with('\n')));
        }
    }
    found
}

#[test]
fn report() {
    let root = root();
    let mut out = String::new();
    let tree = read(&root.join("src"));
    if !is_foreign() {
        section(&mut out, "arrows that point up", &arrows_up(&tree));
    }
    let of_folders: Vec<_> = circles(&between_folders(&tree)).iter().map(|circle| shown("src", circle)).collect();
    section(&mut out, "circles of folders", &of_folders);
    let of_files: Vec<_> = file_circles(&root).iter().map(|(krate, circle)| shown(krate, circle)).collect();
    section(&mut out, "circles of files within a folder", &of_files);
    let all = sources(&root);
    let mut folders: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for (name, source) in &all {
        let sum = folders.entry(folder_of(name)).or_default();
        *sum = (sum.0 + 1, sum.1 + source.lines, sum.2 + source.code_lines);
    }
    let row = |name: &str, (files, lines, code): (usize, usize, usize)| {
        format!("{name:<24}{files:>6} files{lines:>8} lines{code:>8} of code")
    };
    let mut rows: Vec<_> = folders.iter().collect();
    rows.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.1));
    let total = folders.values().fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    let mut rows: Vec<String> = rows.into_iter().map(|(name, sum)| row(name, *sum)).collect();
    rows.push(row("all", total));
    section(&mut out, "folders", &rows);
    let mut largest: Vec<_> = all.iter().map(|(name, source)| (source.lines, name)).collect();
    largest.sort_by_key(|(lines, _)| std::cmp::Reverse(*lines));
    let largest: Vec<String> = largest.iter().take(15).map(|(lines, name)| format!("{lines:>6}  {name}")).collect();
    section(&mut out, "largest files", &largest);
    println!("{}\n{out}", root.display());
}

/// What the reading itself must find, on a tree of a few lines.
#[test]
fn a_circle_and_an_upward_arrow_are_found() {
    let tree = small_tree();
    assert_eq!(arrows_up(&tree), ["device/mod.rs -> ops/add.rs", "tensor/mod.rs -> lib.rs"]);
    assert_eq!(circles(&between_folders(&tree)), [["device", "ops", "schedule"]]);
    assert_eq!(within_folders(&tree), [["schedule/a.rs", "schedule/b.rs", "schedule/c.rs", "schedule/d.rs"]]);
}

#[test]
fn comments_strings_and_tests_name_nothing() {
    let source = Source::read(
        "//! doc\n// use crate::a::A;\n/* use crate::b::B; /* nested */ */\nconst S: &str = \"use crate::c::C; unsafe\";\n\
         const R: &str = r#\"crate::d::D \" \"#;\nconst Q: char = '\"';\nfn f<'a>(x: &'a str) {}\n\
         #[cfg(test)]\nmod tests {\n    use crate::e::E;\n}\n#[cfg(test)]\nuse crate::f::{F, G};\nuse crate::g::H;\n",
    );
    let paths: Vec<String> = source.imports.iter().map(|i| i.path.join("::")).collect();
    assert_eq!(paths, ["crate::g::H"]);
    assert!(source.mentions.is_empty() && !source.has_unsafe && source.begins_with_doc);
    assert_eq!((source.lines, source.code_lines), (14, 11));
}

/// `device` reaches `ops/add.rs` through two re-exports.
fn small_tree() -> Tree {
    let texts = [
        ("lib.rs", "mod device; mod ops; mod schedule; mod tensor; pub use ops::add; pub fn top() {}"),
        ("tensor/mod.rs", "fn t() { crate::top() }"),
        ("device/mod.rs", "use crate::add::Adder; pub struct D;"),
        ("ops/mod.rs", "pub mod add; pub use add::Adder;"),
        (
            "ops/add.rs",
            "use super::super::schedule::{self, a::{A as Other, B}}; fn f() { schedule::f() } pub struct Adder;",
        ),
        ("schedule/mod.rs", "mod a; mod b; mod c; mod d; pub use d::D; pub(crate) fn f() {}"),
        ("schedule/a.rs", "use super::b::B; fn f() -> crate::device::D {}"),
        ("schedule/b.rs", "use crate::schedule::c::*;"),
        ("schedule/c.rs", "use super::D;"),
        ("schedule/d.rs", "mod inner { use super::super::a; }"),
    ];
    Tree::new(texts.map(|(name, text)| (name.to_string(), text.to_string())), "allotrope")
}

/// Arrows from a file to one of a row that is not below its own.
fn arrows_up(tree: &Tree) -> Vec<String> {
    let row = |file: &str| ORDER.iter().position(|names| names.contains(&unit(file).as_str()));
    let mut found = Vec::new();
    for from in tree.files.keys() {
        let Some(height) = row(from) else {
            found.push(format!("{from} stands in no row of the order"));
            continue;
        };
        let to: BTreeSet<_> = tree.arrows[from].iter().chain(&tree.re_exports[from]).collect();
        let upward = to.into_iter().filter(|to| unit(to) != unit(from) && row(to).is_none_or(|other| other >= height));
        found.extend(upward.map(|to| format!("{from} -> {to}")));
    }
    found
}

/// The folder of `src` that a file stands in; a file at the top stands for itself.
fn unit(file: &str) -> String {
    file.split('/').next().unwrap_or(file).to_string()
}

/// Arrows of folders. A `pub use` counts too, but for those of the library's root, which shows all parts and needs none.
fn between_folders(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    let shown = tree.re_exports.iter().filter(|(from, _)| *from != "lib.rs");
    for (from, to) in tree.arrows.iter().chain(shown) {
        let all = arrows.entry(unit(from)).or_default();
        all.extend(to.iter().map(|to| unit(to)).filter(|to| *to != unit(from)));
    }
    arrows
}

/// Circles of files, folder by folder. A `pub use` of a folder's own files is no arrow: it needs nothing of them.
fn within_folders(tree: &Tree) -> Vec<Vec<String>> {
    let mut folders: BTreeMap<String, Arrows> = BTreeMap::new();
    for (from, to) in &tree.arrows {
        let inside = to.iter().filter(|to| unit(to) == unit(from)).cloned().collect();
        folders.entry(unit(from)).or_default().insert(from.clone(), inside);
    }
    let mut found: Vec<_> = folders.values().flat_map(circles).collect();
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

/// Circles of files within the folders of each crate; `ir` and `kernels` are small enough to count as one folder each.
fn file_circles(root: &Path) -> Vec<(&'static str, Vec<String>)> {
    let mut found: Vec<_> =
        within_folders(&read(&root.join("src"))).into_iter().map(|circle| ("src", circle)).collect();
    for (krate, _) in CRATES {
        let tree = read(&root.join(krate).join("src"));
        found.extend(circles(&tree.arrows).into_iter().map(|circle| (*krate, circle)));
    }
    found
}

/// `src/tensor` for `src/tensor/print/mod.rs`, `ir/src/passes` for a file of it, and the root for a file at the top.
fn folder_of(name: &str) -> String {
    let (root, inside) = name.split_once("src/").unwrap_or(("", name));
    match inside.split_once('/') {
        Some((folder, _)) => format!("{root}src/{folder}"),
        None => format!("{root}src"),
    }
}

fn is_foreign() -> bool {
    std::env::var_os("ALLOTROPE_TREE").is_some()
}

fn root() -> PathBuf {
    match std::env::var_os("ALLOTROPE_TREE") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")),
    }
}

/// Nothing may be found in this tree; another one is only reported.
fn checked(what: &str, root: &Path, found: Vec<String>) {
    assert!(
        is_foreign() || found.is_empty(),
        "{what}, in {}:\n  {}\nThe order of the folders stands in tests/architecture/main.rs, the reasons in docs/ARCHITECTURE.md",
        root.display(),
        found.join("\n  ")
    );
}

fn shown(krate: &str, circle: &[String]) -> String {
    format!("{krate}: {} in a circle: {}", circle.len(), circle.join(" "))
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    let _ = writeln!(out, "\n{title}: {}", lines.len());
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
}

/// All sources of the workspace's crates, by their path in the checkout.
fn sources(root: &Path) -> Vec<(String, Source)> {
    let mut all = Vec::new();
    for krate in ["src", "derive/src", "ir/src", "kernels/src", "opencl-loader/src"] {
        for (name, text) in texts(&root.join(krate)) {
            all.push((format!("{krate}/{name}"), Source::read(&text)));
        }
    }
    all
}

fn read(src: &Path) -> Tree {
    Tree::new(texts(src), "allotrope")
}

/// The files below a folder with their texts, named by their path in it.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(place) = waiting.pop() {
        let entries = std::fs::read_dir(&place).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
        for entry in entries.map(|e| e.expect("an entry of a folder").path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let name = entry.strip_prefix(folder).expect("below the folder");
                let name: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
                found.push((name.join("/"), std::fs::read_to_string(&entry).expect("a readable file")));
            }
        }
    }
    found.sort();
    found
}

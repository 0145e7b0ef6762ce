//! The modules of a source tree and the arrows between its files: an arrow is a file that names something which another
//! file defines. Re-exports are followed to the definition; methods, which are named without a path, are not seen.

use crate::source::{Path, Source};
use std::collections::{BTreeMap, BTreeSet};

/// Files by their path below the root of the crate (`tensor/mod.rs`), arrows between them.
#[derive(Default)]
pub struct Tree {
    pub files: BTreeMap<String, Source>,
    /// From the file that names to the file that defines.
    pub arrows: BTreeMap<String, BTreeSet<String>>,
    /// The same for `pub use`, by which a module shows what it does not need itself.
    pub re_exports: BTreeMap<String, BTreeSet<String>>,
    /// Other crates that a file names, by the first part of the path.
    pub crates: BTreeMap<String, BTreeSet<String>>,
}

/// A module: the file that holds it, and the modules of this file around it.
type Module = (String, Path);

struct Modules<'a> {
    files: &'a BTreeMap<String, Source>,
    /// Absolute module path, which starts with the file of its crate's root.
    by_path: BTreeMap<Path, Module>,
    /// The name by which the binary calls the library.
    library: &'a str,
}

/// What a path leads to.
enum Target {
    File(String),
    Crate(String),
    Unknown,
}

const LIBRARY_ROOT: &str = "lib.rs";
const BINARY_ROOT: &str = "main.rs";

impl Tree {
    /// Files below one `src`, with their texts.
    pub fn new(texts: impl IntoIterator<Item = (String, String)>, library: &str) -> Tree {
        let mut files: BTreeMap<String, Source> =
            texts.into_iter().map(|(name, text)| (name, Source::read(&text))).collect();
        for name in test_files(&files) {
            files.remove(&name);
        }
        let modules = Modules::new(&files, library);
        let (mut arrows, mut re_exports) = (BTreeMap::new(), BTreeMap::new());
        let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, source) in &files {
            let (mut to, mut shown, mut foreign) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let imports = source.imports.iter().map(|i| (&i.scope, &i.path, i.public, true));
            let mentions = source.mentions.iter().map(|m| (&m.scope, &m.path, false, false));
            for (scope, path, public, is_import) in imports.chain(mentions) {
                match modules.resolve(&(name.clone(), scope.clone()), path, is_import, 0) {
                    Target::File(file) if file == *name => {}
                    Target::File(file) if public => drop(shown.insert(file)),
                    Target::File(file) => drop(to.insert(file)),
                    Target::Crate(krate) => drop(foreign.insert(krate)),
                    Target::Unknown => {}
                }
            }
            arrows.insert(name.clone(), to);
            re_exports.insert(name.clone(), shown);
            crates.insert(name.clone(), foreign);
        }
        Tree { files, arrows, re_exports, crates }
    }
}

/// Files that belong to a `#[cfg(test)] mod name;`.
fn test_files(files: &BTreeMap<String, Source>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, source) in files {
        for module in &source.test_modules {
            let mut path = module_path(name);
            path.extend(module.iter().cloned());
            let inside = path[1..].join("/");
            let belongs = |f: &&String| **f == format!("{inside}.rs") || f.starts_with(&format!("{inside}/"));
            found.extend(files.keys().filter(belongs).cloned());
        }
    }
    found
}

/// The module that a file holds; the command's files have a root of their own.
fn module_path(file: &str) -> Path {
    if file == LIBRARY_ROOT || file == BINARY_ROOT {
        return vec![file.to_string()];
    }
    let root = if file == "cli.rs" || file.starts_with("cli/") { BINARY_ROOT } else { LIBRARY_ROOT };
    let stem = file.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    std::iter::once(root).chain(stem.split('/')).map(String::from).collect()
}

impl<'a> Modules<'a> {
    fn new(files: &'a BTreeMap<String, Source>, library: &'a str) -> Modules<'a> {
        let mut by_path = BTreeMap::new();
        for (name, source) in files {
            by_path.insert(module_path(name), (name.clone(), Path::new()));
            for inner in &source.modules {
                by_path.insert([module_path(name), inner.clone()].concat(), (name.clone(), inner.clone()));
            }
        }
        Modules { files, by_path, library }
    }

    /// `path` as `module` writes it. In an import, a first name that is no module of the tree is a crate.
    fn resolve(&self, module: &Module, path: &[String], is_import: bool, depth: usize) -> Target {
        let mut at: Path = [module_path(&module.0), module.1.clone()].concat();
        let root = vec![at[0].clone()];
        let first = path[0].as_str();
        let rest = match first {
            "crate" => {
                at = root;
                &path[1..]
            }
            "self" => &path[1..],
            "super" => {
                let ups = path.iter().take_while(|s| *s == "super").count();
                at.truncate(at.len().saturating_sub(ups).max(1));
                &path[ups..]
            }
            name if name == self.library => {
                at = vec![LIBRARY_ROOT.to_string()];
                &path[1..]
            }
            name => {
                let is_child = self.by_path.contains_key(&[at.clone(), vec![name.to_string()]].concat());
                let is_imported = self.names(module).any(|alias| alias == name);
                if !is_child && !is_imported {
                    return if is_import { Target::Crate(name.to_string()) } else { Target::Unknown };
                }
                path
            }
        };
        self.descend(at, rest, depth)
    }

    fn names(&self, module: &Module) -> impl Iterator<Item = &str> {
        let scope = module.1.clone();
        self.files[&module.0].imports.iter().filter(move |i| i.scope == scope).filter_map(|i| i.alias.as_deref())
    }

    /// From the module at `at` along `path`, through modules and re-exports.
    fn descend(&self, mut at: Path, path: &[String], depth: usize) -> Target {
        let Some(module) = self.by_path.get(&at) else { return Target::Unknown };
        let Some(name) = path.first() else { return Target::File(module.0.clone()) };
        let child: Path = [at.clone(), vec![name.clone()]].concat();
        if self.by_path.contains_key(&child) {
            at = child;
            return self.descend(at, &path[1..], depth);
        }
        let file = &self.files[&module.0];
        let import = file.imports.iter().find(|i| i.scope == module.1 && i.alias.as_deref() == Some(name));
        if let Some(import) = import
            && depth < 16
            && import.path != [name.clone()]
        {
            let further: Path = [&import.path, &path[1..]].concat();
            return self.resolve(module, &further, true, depth + 1);
        }
        Target::File(module.0.clone())
    }
}

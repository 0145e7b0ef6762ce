//! The functions that a program's text calls, as text: those of the kernels' math files translated, and the helpers in C.
//! Only what is called, and what that calls, each once and after what it needs. Never knows what a program computes.

use super::arithmetic::Arithmetic;
use super::exact;
use super::parse::{self, Module};
use super::translate::{self, Translated, c_name, tuple_name};
use super::unsupported::Unsupported;
use crate::backend::opencl::source::body::c_type;
use allotrope_ir::DType;
use allotrope_kernels::math::{self, Definition, Operation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// The text of all functions that `text` calls by names of this library.
pub fn library(text: &str, arithmetic: Arithmetic) -> String {
    Program::of(text, arithmetic).text()
}

/// Whether any of the functions that `text` calls computes in f64, which some devices do not have.
pub fn needs_f64(text: &str) -> bool {
    Program::of(text, Arithmetic::EXACT).double
}

/// Translates every function of the math files.
///
/// # Errors
/// A construct that has no translation.
pub fn check() -> Result<(), Unsupported> {
    let mut program = Program::new(Arithmetic::EXACT);
    for module in modules()? {
        for f in &module.functions {
            program.add(&c_name(&module.name, &f.name))?;
        }
    }
    Ok(())
}

/// The names in a text that may be those of this library.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !word(c)).filter(|name| name.starts_with("at_")).collect()
}

fn modules() -> Result<&'static [Module], Unsupported> {
    static MODULES: OnceLock<Result<Vec<Module>, Unsupported>> = OnceLock::new();
    let all = MODULES.get_or_init(|| math::SOURCES.iter().map(|(name, text)| parse::module(name, text)).collect());
    all.as_deref().map_err(Clone::clone)
}

/// Texts in the order in which they have to stand.
struct Program {
    arithmetic: Arithmetic,
    tuples: BTreeMap<String, String>,
    tables: BTreeMap<String, String>,
    functions: Vec<(String, String)>,
    double: bool,
}

impl Program {
    fn new(arithmetic: Arithmetic) -> Program {
        let (tuples, tables) = (BTreeMap::new(), BTreeMap::new());
        Program { arithmetic, tuples, tables, functions: vec![], double: false }
    }

    fn of(text: &str, arithmetic: Arithmetic) -> Program {
        let mut program = Program::new(arithmetic);
        for name in names(text) {
            program.add(name).unwrap_or_else(|e| panic!("bug in this library: {e}"));
        }
        program
    }

    /// The function of that name, if it is one of this library, and all that it calls.
    fn add(&mut self, name: &str) -> Result<(), Unsupported> {
        if self.functions.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        let modules = modules()?;
        let (text, calls) = if let Some(text) = exact::helper(name, self.arithmetic) {
            self.double |= text.contains("double");
            (text, BTreeSet::new())
        } else if let Some(d) = math::definitions().find(|d| name == entry_name(d.operation, d.dtype)) {
            self.double |= d.dtype == DType::F64;
            entry(name, d)
        } else if let Some((module, f)) = modules
            .iter()
            .find_map(|m| m.functions.iter().find_map(|f| (c_name(&m.name, &f.name) == name).then_some((m, f))))
        {
            let Translated { text, calls, tables, tuples, double } = translate::translate(modules, module, f)?;
            for parts in tuples {
                let fields: Vec<String> = parts.iter().enumerate().map(|(i, c)| format!("{c} v{i};")).collect();
                let name = tuple_name(&parts);
                let text = format!("typedef struct {{ {} }} {name};\n", fields.join(" "));
                self.tuples.insert(name, text);
            }
            for name in tables {
                let find = |m: &'static Module| Some((m, m.consts.iter().find(|c| c_name(&m.name, &c.name) == name)?));
                let (module, table) = modules.iter().find_map(find).expect("the translation found the table");
                let text = translate::table(modules, module, table)?;
                self.tables.insert(name, text);
            }
            self.double |= double;
            (text, calls)
        } else {
            return Ok(());
        };
        for call in &calls {
            self.add(call)?;
        }
        self.functions.push((name.to_owned(), text));
        Ok(())
    }

    fn text(&self) -> String {
        let functions = self.functions.iter().map(|(_, text)| text);
        self.tuples.values().chain(self.tables.values()).chain(functions).map(String::as_str).collect()
    }
}

/// The name in C of the function that computes an operation.
pub fn entry_name(operation: Operation, dtype: DType) -> String {
    format!("at_{}_{dtype}", operation.name())
}

/// The function of a definition for all operands, and what it calls: the common one where that holds, else the other.
fn entry(name: &str, definition: &Definition) -> (String, BTreeSet<String>) {
    let c_path = |path: &str| {
        let (module, item) = path.rsplit_once("::").expect("a definition names module and function");
        c_name(module.trim(), item.trim())
    };
    let c = c_type(definition.dtype);
    let (parameters, arguments) = match definition.operation {
        Operation::Unary(_) => (format!("{c} x"), "x"),
        Operation::Binary(_) => (format!("{c} x, {c} y"), "x, y"),
    };
    let of = c_path(definition.function);
    let (body, calls) = match &definition.partial {
        None => (format!("{of}({arguments})"), vec![of]),
        Some(partial) => {
            let (covers, otherwise) = (c_path(partial.covers), c_path(partial.otherwise));
            let text = format!("{covers}({arguments}) ? {of}({arguments}) : {otherwise}({arguments})");
            (text, vec![of, covers, otherwise])
        }
    };
    (format!("static inline {c} {name}({parameters}) {{\n    return {body};\n}}\n"), calls.into_iter().collect())
}

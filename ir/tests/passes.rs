//! Each pass before and after, as text: `tests/passes/NAME.txt` holds cases of the form
//! `== what it shows`, a graph, `----`, the graph that the pass makes of it.

use allotrope_ir::passes::Pass;
use allotrope_ir::{Graph, check};
use std::fmt::Write;
use std::path::PathBuf;

/// Set to renew the second halves of the files.
const RENEW: &str = "ALLOTROPE_RENEW_TESTS";

fn path(pass: Pass) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/passes").join(format!("{pass}.txt"))
}

fn before_and_after(pass: Pass) {
    let path = path(pass);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let renew = std::env::var_os(RENEW).is_some();
    let (mut renewed, mut wrong) = (String::new(), String::new());
    for case in text.split("== ").skip(1) {
        let (title, graphs) = case.split_once('\n').expect("a title line");
        let (before, after) = graphs.split_once("----\n").unwrap_or((graphs, ""));
        let graph: Graph = before.parse().unwrap_or_else(|e| panic!("{}: {title}: {e}", path.display()));
        check(&graph).unwrap_or_else(|e| panic!("{}: {title}: {e}", path.display()));
        let found = pass.run(&graph);
        check(&found).unwrap_or_else(|e| panic!("{}: {title}: {e}\n{found}", path.display()));
        if found.to_string() != after.trim_start().trim_end_matches('\n').to_string() + "\n" {
            let _ = writeln!(wrong, "== {title}\n{before}---- expected\n{after}---- found\n{found}");
        }
        let _ = write!(renewed, "== {title}\n{before}----\n{found}\n");
    }
    if renew {
        std::fs::write(&path, renewed.trim_end().to_string() + "\n").unwrap();
    } else if !wrong.is_empty() {
        panic!("{}: set {RENEW}=1 to take what is found\n{wrong}", path.display());
    }
}

macro_rules! passes {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { before_and_after(Pass::from_name(stringify!($name)).unwrap()) })*

        #[test]
        fn every_pass_has_cases() {
            let tested = [$(stringify!($name)),*];
            for pass in Pass::ALL {
                assert!(tested.contains(&pass.name()), "{pass} has no cases under tests/passes");
            }
        }
    };
}

passes! {
    eliminate_unused_checks,
    eliminate_dead_code,
    eliminate_common_subexpressions,
    fold_constants,
    simplify,
    hoist_loop_invariants,
    fuse_add_matmul,
    transpose_products,
    fuse_elementwise,
}

#[test]
fn every_rule_of_simplify_has_a_case() {
    let text = std::fs::read_to_string(path(Pass::Simplify)).unwrap();
    for rule in allotrope_ir::passes::simplify_rules() {
        assert!(text.contains(&format!("== {}\n", rule.equation)), "no case is titled `{}`", rule.equation);
    }
}

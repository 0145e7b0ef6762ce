//! Every operator against PyTorch's own test database: values, gradients and refusals, eager and traced, with equal bits.
//!
//! `ALLOTROPE_OPINFO=DIR` says where the cases are (see `corpus::folder` for the default), `ALLOTROPE_OPINFO_ONLY=add,mul`
//! runs some operators only, `ALLOTROPE_OPINFO_VERBOSE=1` shows every failing case. An operator without an adapter fails.

/// The adapters of a family: `table! { c; "add" => one(c.tensor(0, "input")?.try_add(c.arg(1, "other")?)), ... }`.
macro_rules! table {
    ($c:ident; $($name:literal => $body:expr),* $(,)?) => {
        vec![$(($name, {
            fn adapter($c: &crate::case::Case) -> allotrope::Result<Vec<allotrope::Tensor>> {
                $body
            }
            adapter as crate::run::Adapter
        })),*]
    };
}

#[allow(dead_code, reason = "every way to read an argument is here, whether or not an adapter needs it now")]
mod case;
mod compare;
mod corpus;
mod document;
mod dtypes;
mod promotion;
mod quiet;
mod report;
mod run;
mod sample;
mod second;
mod selftest;

mod elementwise;
mod forms;
mod functional_activation;
mod functional_conv;
mod functional_loss;
mod functional_norm;
mod index;
mod linalg;
mod reduce;
mod shape;
mod tape;

use run::Adapter;

/// The adapters of all families.
fn adapters() -> Vec<(&'static str, Adapter)> {
    let families = [
        elementwise::adapters(),
        functional_activation::adapters(),
        functional_conv::adapters(),
        functional_loss::adapters(),
        functional_norm::adapters(),
        index::adapters(),
        linalg::adapters(),
        reduce::adapters(),
        shape::adapters(),
    ];
    let all: Vec<(&str, Adapter)> = families.into_iter().flatten().collect();
    for (i, (name, _)) in all.iter().enumerate() {
        assert!(!all[..i].iter().any(|(n, _)| n == name), "two adapters for {name}");
    }
    all
}

#[test]
fn every_operator_of_the_corpus() {
    let report = report::run(&corpus::folder(), &adapters(), report::only());
    println!("{report}");
    assert!(report.is_clean(), "the corpus has failures; they are listed above");
}

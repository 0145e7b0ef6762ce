//! How every operator of the corpus is called, by its name there. Which arguments a case has, and what is done with the
//! results, is none of its business. Whoever includes this file has `case`, `corpus` and `run` at the root.

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

#[path = "elementwise.rs"]
mod elementwise;
#[path = "functional_activation.rs"]
mod functional_activation;
#[path = "functional_conv.rs"]
mod functional_conv;
#[path = "functional_loss.rs"]
mod functional_loss;
#[path = "functional_norm.rs"]
mod functional_norm;
#[path = "index.rs"]
mod index;
#[path = "linalg.rs"]
mod linalg;
#[path = "reduce.rs"]
mod reduce;
#[path = "shape.rs"]
mod shape;

use crate::run::Adapter;

/// The adapters of all families.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
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

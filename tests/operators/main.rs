//! Every operator by itself: derivatives against differences, special values, whole numbers, errors that depend on
//! values, twins that change a tensor in place; in both modes with equal bits.

#[path = "../programs/common.rs"]
#[allow(dead_code, reason = "what the tests of programs share beside equality")]
mod common;

mod derivative;
mod draw;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;

mod activations;
mod as_pytorch;
mod coverage;
mod elementwise;
mod indices;
mod layers;
mod losses;
mod products;
mod reductions;
mod shapes;

mod edges;
mod errors;
mod inplace;
mod integer_history;
mod node_names;
mod shared_memory;
mod special;
mod view_changes;
mod zeros;

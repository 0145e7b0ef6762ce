//! Removes the checks whose values no output needs, and what only they need: for those who would rather have the time than
//! the error. It changes what a program does, so nobody has it who does not ask for it. A check of a value that is used stays.

use super::eliminate_dead_code::{Checks, live_part};
use crate::Graph;

/// The graph without the nodes, checks among them, that no output depends on.
pub fn eliminate_unused_checks(graph: &Graph) -> Graph {
    live_part(graph, Checks::Go)
}

//! From a recording to its joint graph, the backward graphs of its results, and the values saved between the runs of both.
//! Nothing is compiled or run here.
//!
//! A joint graph is a recorded part of a program with the tape that it left: a closure, or a backward pass through one
//! whose gradients can be differentiated again. Backward passes that begin outside of it are recorded on copies of it, one
//! for each set of results whose gradients come together, and each is cut off as a graph of its own.

pub(crate) mod backward_graph;
pub(crate) mod backward_pass;
pub(crate) mod closure;
pub(crate) mod history;
pub(crate) mod joint_graph;

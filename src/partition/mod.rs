//! From the joint graph of a recording to a forward graph, the backward graphs of its results and the values saved between
//! them. Nothing is compiled or run here.

pub(crate) mod stage;

//! The tape of one forward call and the walk back over it. It knows no operation and no derivative rule (those stand in
//! `ops`, which hands over how two gradients are summed), and nothing of layers or compiled code.

pub(crate) mod engine;
pub(crate) mod mode;
pub(crate) mod saved;
pub(crate) mod scope;
pub(crate) mod tape;

pub use mode::{enable_grad, is_grad_enabled, no_grad};

//! Recording: a closure runs once on symbolic tensors, and what it asks of them becomes a graph. Nothing is compiled or
//! run here.

pub(crate) mod aliasing;
pub(crate) mod builder;
pub(crate) mod captured;
pub(crate) mod closure;
pub(crate) mod draws;
pub(crate) mod endpoints;
pub(crate) mod event;
pub(crate) mod inline;
pub(crate) mod laid_out;
pub(crate) mod layout;
pub(crate) mod recorder;
pub(crate) mod replay_builder;
pub(crate) mod replay_cache;
mod replaying;
pub(crate) mod shown;
pub(crate) mod state;
pub(crate) mod symbols;

//! What scheduling may find broken in this library. No mistake of a user is here.

use allotrope_ir::{Graph, NodeId};

/// A broken invariant of this library, found while scheduling.
#[derive(Clone, Debug, thiserror::Error)]
#[error("bug in this library: {message}, at {node}")]
pub struct ScheduleError {
    node: String,
    message: String,
}

impl ScheduleError {
    pub(in crate::schedule) fn bug(g: &Graph, id: NodeId, message: &str) -> ScheduleError {
        ScheduleError { node: format!("{id} {}", g.node(id).op.name()), message: message.to_string() }
    }
}

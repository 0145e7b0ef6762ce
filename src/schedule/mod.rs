//! A graph as a schedule: instructions on buffers in the order in which they run, for any device. It knows no device's
//! code, no addresses and no tensor.

pub mod buffers;
pub mod describe;
pub mod kernel_draft;
pub mod library;
pub mod loops;
pub mod lower;
pub mod memory_plan;
pub mod order;
pub mod program;
pub mod size;
pub mod view;

use allotrope_ir::{Graph, NodeId};

/// A broken invariant of this library, found while scheduling.
#[derive(Clone, Debug, thiserror::Error)]
#[error("bug in this library: {message}, at {node}")]
pub struct ScheduleError {
    node: String,
    message: String,
}

impl ScheduleError {
    fn bug(g: &Graph, id: NodeId, message: &str) -> ScheduleError {
        ScheduleError { node: format!("{id} {}", g.node(id).op.name()), message: message.to_string() }
    }
}

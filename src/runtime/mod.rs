//! Compiled variants of a traced closure: found by their guards, bound to the tensors of a call, and run.

pub(crate) mod backward;
pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod capacity;
pub(crate) mod dynamic;
pub(crate) mod execute;
pub(crate) mod guards;
pub(crate) mod log;
pub(crate) mod record;
pub(crate) mod recording_lock;
pub(crate) mod sharing;
pub(crate) mod specialize;
pub(crate) mod traced;
pub(crate) mod variant;

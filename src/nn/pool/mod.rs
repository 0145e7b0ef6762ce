//! Pooling layers. What they compute is in `crate::functional`; here are their options and how they print.

mod adaptive;
mod average;
mod fractional;
mod max;
mod power;
mod unpool;
mod with_indices;

pub use adaptive::*;
pub use average::*;
pub use fractional::*;
pub use max::*;
pub use power::*;
pub use unpool::*;

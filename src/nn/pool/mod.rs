//! Pooling layers. What they compute is in `crate::functional`; here are their options and how they print.

mod adaptive;
mod average;
mod max;
mod power;
mod unpool;

pub use adaptive::*;
pub use average::*;
pub use max::*;
pub use power::*;
pub use unpool::*;

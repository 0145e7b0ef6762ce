//! Normalising layers. What they compute is in `crate::functional`; here are their parameters, running statistics and printing.

mod batch;
mod group;
mod instance;
mod layer;
mod response;
mod running;

pub use batch::*;
pub use group::*;
pub use instance::*;
pub use layer::*;
pub use response::*;

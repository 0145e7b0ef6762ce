//! What a traced function can tell: why its variants were made, how both modes compare, and where its time goes. It changes
//! nothing.

mod compare;
pub(crate) mod explain;
pub(crate) mod profile;
pub(crate) mod sandbox;
mod snapshot;
pub(crate) mod stepwise;
pub(crate) mod verify;
mod written;

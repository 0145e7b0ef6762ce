//! What models are built of. Layers are written with tensor operations: they know nothing of modes, graphs or code.

mod field;
mod forward;
pub mod init;
mod linear;
mod loading;
mod module;
mod repr;
mod rnn;

pub use crate::functional::{mse_loss, try_mse_loss};
pub use allotrope_derive::Module;
pub use field::Field;
pub use forward::{Forward, ModuleDict, ModuleList, Sequential};
pub use linear::Linear;
pub use module::{IncompatibleKeys, Module, Visitor};
pub use rnn::{Nonlinearity, Rnn};

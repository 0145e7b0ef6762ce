//! What models are built of. Layers are written with tensor operations: they know nothing of modes, graphs or code.

pub mod init;
mod linear;
mod module;
mod rnn;

pub use crate::functional::{mse_loss, try_mse_loss};
pub use linear::Linear;
pub use module::Module;
pub use rnn::{Nonlinearity, Rnn};

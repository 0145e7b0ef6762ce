//! Saved state as plain data: the named tensors of a model, and the nested value that optimizers, schedulers and checkpoints
//! are. Where they come from and which file they go to is for others to say.

mod dict;
mod value;

pub use dict::StateDict;
pub use value::Value;

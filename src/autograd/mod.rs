//! The tape of one forward call and the backward pass over it, with hooks, kept gradients and functions whose derivative
//! the user writes. It knows no operation and no derivative rule (those stand in `ops`, which hands over how two gradients
//! are summed), and nothing of layers or compiled code.

pub(crate) mod ended;
pub(crate) mod engine;
mod function;
pub(crate) mod grad_mode;
pub(crate) mod gradient_names;
mod hooks;
pub(crate) mod reach;
pub(crate) mod record;
pub(crate) mod saved;
pub(crate) mod scope;
pub(crate) mod tape;

pub use function::{Function, FunctionContext};
pub use grad_mode::{enable_grad, is_grad_enabled, no_grad, set_grad_enabled, with_grad_enabled};
pub use hooks::HookHandle;

//! Where an operation meets the mode of its thread: eager, a capture, or abstract evaluation. Eagerly each function here is
//! the plain one; otherwise it asks the recorder that is installed. What operations call stands in one file for each idea,
//! what a recorder must answer in `recorder`. No operation, no derivative and no capture is known here.

mod abstract_eval;
pub(crate) mod apply;
pub(crate) mod grads;
pub(crate) mod layout;
pub(crate) mod loops;
pub(crate) mod random;
pub(crate) mod recompute;
pub(crate) mod recorder;
pub(crate) mod settings;
pub(crate) mod shape;
pub(crate) mod sizes;
mod slot;
pub(crate) mod state;
pub(crate) mod values;

pub(crate) use abstract_eval::evaluate_abstractly;
pub(crate) use slot::{is_recording, recorder, with};

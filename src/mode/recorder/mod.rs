//! What a mode that computes nothing must be able to do for the operations of its thread, one small trait for each idea.
//! Only what is asked stands here; a capture and abstract evaluation answer it, and the eager meaning is in the files
//! that ask.

pub(crate) mod grads;
pub(crate) mod loops;
pub(crate) mod random;
pub(crate) mod recompute;
pub(crate) mod settings;
pub(crate) mod sizes;
pub(crate) mod state;
pub(crate) mod values;

pub(crate) use grads::GradRecorder;
pub(crate) use loops::LoopRecorder;
pub(crate) use random::RandomRecorder;
pub(crate) use recompute::RecomputeRecorder;
pub(crate) use settings::SettingRecorder;
pub(crate) use sizes::SizeRecorder;
pub(crate) use state::StateRecorder;
pub(crate) use values::ValueRecorder;

use crate::device::Device;
use crate::error::Result;

/// What takes the place of the eager mode on a thread.
pub(crate) trait Recorder:
    ValueRecorder
    + SizeRecorder
    + StateRecorder
    + GradRecorder
    + RandomRecorder
    + LoopRecorder
    + RecomputeRecorder
    + SettingRecorder
{
    /// That `op` is recorded for the device that the whole recording runs on.
    ///
    /// # Errors
    /// When it is for another one.
    fn runs_on(&self, op: &'static str, device: Device) -> Result<()>;
    /// Whether an error that unwinds out of what is recorded is given back by a call.
    fn catches(&self) -> bool;
}

//! Values on the host that the program reads and sets.

use crate::error::Result;
use std::any::Any;
use std::panic::Location;
use std::sync::Arc;

pub(crate) trait SettingRecorder {
    /// The program reads a setting of the host: calls where it has another value than this run another variant. Where the
    /// program has set it before, that value is given instead.
    fn host_value(&self, seen: Arc<dyn HostValue>) -> Option<Arc<dyn HostValue>>;
    /// Each call that succeeds gives the setting this value.
    fn set_host_value(&self, new: Arc<dyn HostValue>) -> Result<()>;
}

/// What a trace keeps of a setting: a value that it read, or one that it sets.
pub(crate) trait HostValue: Send + Sync {
    /// Identity of the setting.
    fn id(&self) -> usize;
    fn value(&self) -> &dyn Any;
    /// The [`Setting`].
    fn setting(&self) -> &dyn Any;
    /// Whether the setting has this value.
    fn holds(&self) -> bool;
    /// Gives the setting this value.
    fn apply(&self);
    /// The value that the setting has now.
    fn now(&self) -> Arc<dyn HostValue>;
    /// Whether both are the same value of the same setting.
    fn is_same(&self, other: &dyn HostValue) -> bool;
    /// What it is, in words.
    fn name(&self) -> &'static str;
    /// Where the program asked for it.
    fn place(&self) -> &'static Location<'static>;
}

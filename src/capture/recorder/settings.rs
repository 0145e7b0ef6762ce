//! Settings of the host that the program reads or sets while it is recorded. They are set when a call has succeeded.

use super::Capture;
use crate::error::Result;
use crate::mode::recorder::SettingRecorder;
use crate::mode::recorder::settings::HostValue;
use crate::mode::values;
use std::sync::Arc;

impl SettingRecorder for Capture {
    fn host_value(&self, seen: Arc<dyn HostValue>) -> Option<Arc<dyn HostValue>> {
        let mut inner = self.0.borrow_mut();
        if let Some(set) = inner.effects.iter().find(|e| e.id() == seen.id()) {
            return Some(Arc::clone(set));
        }
        // Another thread may set it while this is recorded: the first answer is the one that the trace holds for.
        if let Some(known) = inner.host_values.iter().find(|g| g.id() == seen.id()) {
            return Some(Arc::clone(known));
        }
        inner.host_values.push(seen);
        None
    }

    fn set_host_value(&self, new: Arc<dyn HostValue>) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let known = inner.effects.iter().position(|e| e.id() == new.id());
        let unchanged = known.is_some_and(|i| inner.effects[i].is_same(&*new));
        if inner.current() != 0 && !unchanged {
            return Err(values::set_in_loop());
        }
        match known {
            Some(i) => inner.effects[i] = new,
            None => inner.effects.push(new),
        }
        Ok(())
    }
}

//! For how many steps the loops of a variant have room, where only a run tells how many they make: symbols that calls
//! bind to what was enough so far. It runs nothing.

use crate::backend::cpu::Compiled;
use crate::capture::symbols::Binding;
use crate::capture::symbols::INITIAL_CAPACITY;
use crate::error::{Error, Result};
use allotrope_ir::{Dim, Sym};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Capacities(Vec<(Sym, AtomicUsize)>);

impl Capacities {
    pub(crate) fn new(symbols: &[Sym]) -> Capacities {
        Capacities(symbols.iter().map(|s| (*s, AtomicUsize::new(INITIAL_CAPACITY))).collect())
    }

    pub(crate) fn bind(&self, binding: &mut Binding) {
        for (s, room) in &self.0 {
            if let Some(n) = binding.get_mut(s.0 as usize) {
                *n = room.load(Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn contains(&self, sym: Sym) -> bool {
        self.0.iter().any(|(s, _)| *s == sym)
    }

    /// Makes room for twice as many steps of a loop.
    ///
    /// # Errors
    /// Where no memory could hold what they collect.
    pub(crate) fn grow(&self, limit: &Dim, code: &Compiled, binding: &mut Binding) -> Result<()> {
        let found = self.0.iter().find(|(s, _)| limit.as_sym() == Some(*s));
        let (s, room) = found.ok_or_else(|| Error::Trace(format!("bug in allotrope: a loop has room for {limit}")))?;
        let steps = binding[s.0 as usize];
        let scratch = code.scratch_bytes(binding);
        if scratch > isize::MAX as usize / 4 || steps > usize::MAX / 4 {
            return Err(Error::Trace(format!(
                "a while_loop goes on after {steps} steps, and what its gradient needs of each does not fit into memory; \
                 carry a counter and let the condition end it"
            )));
        }
        binding[s.0 as usize] = 2 * steps;
        room.fetch_max(2 * steps, Ordering::Relaxed);
        Ok(())
    }
}

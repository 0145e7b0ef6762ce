//! The capacities of the loops of a variant, where only a run tells how many iterations they make: symbols that calls
//! bind to what was enough so far. It runs nothing.

use crate::capture::symbols::Binding;
use crate::capture::symbols::INITIAL_CAPACITY;
use crate::error::{Error, Result};
use crate::runtime::execute::Code;
use allotrope_ir::{Dim, Sym};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Capacities(Vec<(Sym, AtomicUsize)>);

impl Capacities {
    pub(crate) fn new(symbols: &[Sym]) -> Capacities {
        Capacities(symbols.iter().map(|s| (*s, AtomicUsize::new(INITIAL_CAPACITY))).collect())
    }

    pub(crate) fn bind(&self, binding: &mut Binding) {
        self.bind_from(0, binding);
    }

    /// Those of the symbols from number `first` on.
    pub(crate) fn bind_from(&self, first: usize, binding: &mut Binding) {
        for (s, capacity) in self.0.iter().filter(|(s, _)| s.0 as usize >= first) {
            if let Some(n) = binding.get_mut(s.0 as usize) {
                *n = capacity.load(Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn contains(&self, sym: Sym) -> bool {
        self.0.iter().any(|(s, _)| *s == sym)
    }

    /// Gives a loop capacity for twice as many iterations.
    ///
    /// # Errors
    /// Where no memory could hold what they collect.
    pub(crate) fn grow(&self, limit: &Dim, code: &Code, binding: &mut Binding) -> Result<()> {
        let found = self.0.iter().find(|(s, _)| limit.as_sym() == Some(*s));
        let (s, capacity) =
            found.ok_or_else(|| Error::trace(format!("bug in allotrope: a loop has the capacity {limit}")))?;
        let iterations = binding[s.0 as usize];
        let scratch = code.scratch_bytes(binding);
        if scratch > isize::MAX as usize / 4 || iterations > usize::MAX / 4 {
            return Err(Error::trace(format!(
                "a while_loop goes on after {iterations} iterations, and what its gradient needs of each does not fit into memory; \
                 carry a counter and let the condition end it"
            )));
        }
        binding[s.0 as usize] = 2 * iterations;
        capacity.fetch_max(2 * iterations, Ordering::Relaxed);
        Ok(())
    }
}

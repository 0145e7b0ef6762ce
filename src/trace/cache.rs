//! The compiled variants of one traced function: found by their guards, the least recently used one gone when there are
//! too many. It records and compiles nothing.

use super::guards::Binding;
use super::variant::Variant;
use crate::tensor::Tensor;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Compiled variants that one traced function keeps; beyond it the least recently used one goes.
const VARIANTS: usize = 8;

/// A variant, and the structure of what its calls give.
pub(super) struct Entry<R> {
    pub(super) variant: Arc<Variant>,
    pub(super) template: R,
    /// The number of the switch of variants that last came here.
    used: AtomicU64,
}

pub(super) struct Cache<R> {
    entries: RwLock<Vec<Arc<Entry<R>>>>,
    /// The place that the last call found.
    recent: AtomicUsize,
    switches: AtomicU64,
    compilations: AtomicUsize,
    nanoseconds: AtomicU64,
}

impl<R> Default for Cache<R> {
    fn default() -> Cache<R> {
        Cache {
            entries: RwLock::default(),
            recent: AtomicUsize::new(0),
            switches: AtomicU64::new(0),
            compilations: AtomicUsize::new(0),
            nanoseconds: AtomicU64::new(0),
        }
    }
}

impl<R> Cache<R> {
    /// The variant that stands for a call with these arguments, with the numbers of its symbols.
    pub(super) fn find(&self, args: &[&Tensor]) -> Option<(Arc<Entry<R>>, Binding)> {
        let entries = self.entries.read();
        let recent = self.recent.load(Ordering::Relaxed);
        // Most calls are like the one before.
        if let Some(entry) = entries.get(recent)
            && let Ok(binding) = entry.variant.fits(args)
        {
            return Some((Arc::clone(entry), binding));
        }
        let fits = |(i, e): (usize, &Arc<Entry<R>>)| Some((i, Arc::clone(e), e.variant.fits(args).ok()?));
        let (i, entry, binding) = entries.iter().enumerate().find_map(fits)?;
        self.switch_to(i, &entry);
        Some((entry, binding))
    }

    fn switch_to(&self, i: usize, entry: &Entry<R>) {
        self.recent.store(i, Ordering::Relaxed);
        entry.used.store(self.switches.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Why no variant stands for a call with these arguments, in words.
    pub(super) fn reason(&self, args: &[&Tensor]) -> String {
        let mut entries = self.entries().into_iter();
        let missed = entries.find_map(|e| Some(e.variant.guards.words(e.variant.fits(args).err()?, args)));
        missed.unwrap_or_else(|| "it was the first call".to_string())
    }

    pub(super) fn add(&self, variant: Variant, template: R) -> Arc<Entry<R>> {
        self.compilations.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(variant.compile_time().as_nanos() as u64, Ordering::Relaxed);
        let entry = Arc::new(Entry { variant: Arc::new(variant), template, used: AtomicU64::new(0) });
        let mut entries = self.entries.write();
        if entries.len() == VARIANTS {
            let oldest = (0..VARIANTS).min_by_key(|&i| entries[i].used.load(Ordering::Relaxed)).unwrap_or(0);
            entries.swap_remove(oldest);
            eprintln!(
                "allotrope: a traced function was compiled for more than {VARIANTS} kinds of arguments, the least recently used one goes: {}",
                entry.variant.reasons()
            );
        }
        entries.push(Arc::clone(&entry));
        self.switch_to(entries.len() - 1, &entry);
        entry
    }

    /// The variants, most recently used first.
    pub(super) fn entries(&self) -> Vec<Arc<Entry<R>>> {
        let mut entries = self.entries.read().clone();
        entries.sort_by_key(|e| std::cmp::Reverse(e.used.load(Ordering::Relaxed)));
        entries
    }

    pub(super) fn compilations(&self) -> usize {
        self.compilations.load(Ordering::Relaxed)
    }

    pub(super) fn compile_time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

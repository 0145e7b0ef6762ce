//! The compiled variants of one traced function: found by their guards, the least recently used one gone when there are
//! too many. It records and compiles nothing.

use crate::capture::symbols::Binding;
use crate::runtime::guards::{Met, Mismatch};
use crate::runtime::variant::Variant;
use crate::tensor::Tensor;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Compiled variants that one traced function keeps; beyond it the least recently used one goes.
const VARIANTS: usize = 8;
/// As many variants for one reason are worth a warning: two answers are a mode, three may become many.
const MANY: usize = 3;

/// A variant, and the structure of what its calls give.
pub(crate) struct Entry<R> {
    pub(crate) variant: Arc<Variant>,
    pub(crate) template: R,
    /// The number of the switch of variants that last came here.
    used: AtomicU64,
}

pub(crate) struct Cache<R> {
    entries: RwLock<Vec<Arc<Entry<R>>>>,
    /// The place that the last call found.
    recent: AtomicUsize,
    switches: AtomicU64,
    compilations: AtomicUsize,
    nanoseconds: AtomicU64,
    /// What made variants, and for which values.
    culprits: Mutex<HashMap<(String, usize), Vec<Met>>>,
    warnings: Mutex<Vec<String>>,
    /// Whether there were too many variants before.
    overflowed: AtomicBool,
}

impl<R> Default for Cache<R> {
    fn default() -> Cache<R> {
        Cache {
            entries: RwLock::default(),
            recent: AtomicUsize::new(0),
            switches: AtomicU64::new(0),
            compilations: AtomicUsize::new(0),
            nanoseconds: AtomicU64::new(0),
            culprits: Mutex::default(),
            warnings: Mutex::default(),
            overflowed: AtomicBool::new(false),
        }
    }
}

impl<R> Cache<R> {
    /// The variant that stands for a call with these arguments, with the numbers of its symbols.
    pub(crate) fn find(&self, args: &[&Tensor]) -> Option<(Arc<Entry<R>>, Binding)> {
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

    /// Why no variant stands for a call with these arguments, in words: what the nearest one misses. Where the same
    /// made many variants before, a warning says so.
    pub(crate) fn reason(&self, args: &[&Tensor]) -> String {
        let entries = self.entries();
        let missed = entries.iter().filter_map(|e| Some((e, e.variant.fits(args).err()?)));
        // Guards are asked in one order, so the nearest is the one that failed last; of those the one used last.
        let Some((entry, mismatch)) = missed.rev().max_by_key(|(_, m)| *m) else {
            return "it was the first call".to_string();
        };
        if let Mismatch::Freed(_) = mismatch {
            let what = "captured tensors that are exchanged for others";
            // The first exchange tells of two.
            self.met(
                what,
                Met::Other,
                MANY - 1,
                "keep one tensor and copy_() the new elements into it, or pass it as an argument",
            );
        }
        entry.variant.guards.words(mismatch, args)
    }

    /// Counts one more value, and warns when it is number `many`.
    fn met(&self, what: &str, value: Met, many: usize, instead: &str) {
        let mut culprits = self.culprits.lock();
        // Several settings may be read at one place.
        let id = if let Met::Host(value) = &value { value.id() } else { 0 };
        let values = culprits.entry((what.to_string(), id)).or_default();
        if values.len() < many && !values.iter().any(|v| v.is_same(&value)) {
            values.push(value);
            if values.len() == many {
                self.warn(format!("compiled for {MANY} values of {what}; {instead}"));
            }
        }
    }

    fn warn(&self, text: String) {
        eprintln!("allotrope: a traced function was {text}");
        self.warnings.lock().push(text);
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().clone()
    }

    pub(crate) fn add(&self, variant: Variant, template: R) -> Arc<Entry<R>> {
        self.compilations.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(variant.compile_time().as_nanos() as u64, Ordering::Relaxed);
        variant.guards.values().for_each(|(what, value, instead)| self.met(&what, value, MANY, instead));
        let entry = Arc::new(Entry { variant: Arc::new(variant), template, used: AtomicU64::new(0) });
        let mut entries = self.entries.write();
        // Those that no call can meet again only hold memory.
        entries.retain(|e| !e.variant.guards.are_void());
        if entries.len() == VARIANTS {
            let oldest = (0..VARIANTS).min_by_key(|&i| entries[i].used.load(Ordering::Relaxed)).unwrap_or(0);
            entries.swap_remove(oldest);
            if !self.overflowed.swap(true, Ordering::Relaxed) {
                self.warn(format!(
                    "compiled for more than {VARIANTS} kinds of calls, from now on the least recently used variant goes: {}",
                    entry.variant.reasons()
                ));
            }
        }
        entries.push(Arc::clone(&entry));
        self.switch_to(entries.len() - 1, &entry);
        entry
    }

    /// The variants, most recently used first.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry<R>>> {
        let mut entries = self.entries.read().clone();
        entries.sort_by_key(|e| std::cmp::Reverse(e.used.load(Ordering::Relaxed)));
        entries
    }

    pub(crate) fn compilations(&self) -> usize {
        self.compilations.load(Ordering::Relaxed)
    }

    pub(crate) fn compile_time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

//! All operators of a folder on two threads, and the table of how they did.

use crate::corpus::{Operator, operators};
use crate::quiet::quietly;
use crate::run::{self, Adapter, Count, Refusals, Tally};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: usize = 2;

/// Failing cases that are shown of each operator, unless all are asked for.
const SHOWN: usize = 3;

/// How many of a list are shown: `few`, unless the variable asks for all.
pub fn shown(few: usize) -> usize {
    if std::env::var_os("ALLOTROPE_OPINFO_VERBOSE").is_some() { usize::MAX } else { few }
}

/// How every operator did, by name.
pub struct Report(pub Vec<(String, Tally)>);

/// The operators that the variable names, if it is set.
pub fn only() -> Option<Vec<String>> {
    let only = std::env::var("ALLOTROPE_OPINFO_ONLY").ok()?;
    Some(only.split(',').map(|name| name.trim().to_string()).collect())
}

/// Runs the operators of a folder, all or some.
pub fn run(dir: &Path, adapters: &[(&'static str, Adapter)], only: Option<Vec<String>>) -> Report {
    let wanted = |name: &String| only.as_ref().is_none_or(|only| only.contains(name));
    let names: Vec<String> = operators(dir).into_iter().filter(wanted).collect();
    assert!(!names.is_empty(), "no operators to test in {}", dir.display());
    Report(in_parallel(&names, |name| {
        let adapter = adapters.iter().find(|(n, _)| *n == name).map(|(_, a)| *a);
        quietly(|| run::operator(&Operator::read(dir, name), adapter)).unwrap_or_else(broken)
    }))
}

/// What `f` gives for each name, in their order, on a few threads.
pub fn in_parallel<T: Send>(names: &[String], f: impl Fn(&str) -> T + Sync) -> Vec<(String, T)> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = f(name);
            done.lock().expect("no panic").push((name.clone(), found));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().expect("no panic");
    done.sort_by(|a, b| a.0.cmp(&b.0));
    done
}

/// For an operator whose cases could not be read, or could not be run at all.
fn broken(text: String) -> Tally {
    let mut tally = Tally { failures: vec![format!("the test itself broke: {text}")], ..Tally::default() };
    tally.eager.failed = 1;
    tally
}

impl Report {
    /// Whether nothing failed and no bit differs.
    pub fn is_clean(&self) -> bool {
        self.0.iter().all(|(_, t)| t.failures.is_empty())
    }

    fn total(&self, part: impl Fn(&Tally) -> Count) -> Count {
        self.0
            .iter()
            .map(|(_, t)| part(t))
            .fold(Count::default(), |a, b| Count { passed: a.passed + b.passed, failed: a.failed + b.failed })
    }
}

/// passed/failed/skipped. Nothing is ever skipped; the column says so.
fn short(c: Count) -> String {
    format!("{}/{}/0", c.passed, c.failed)
}

fn long(c: Count) -> String {
    format!("{} passed, {} failed, 0 skipped", c.passed, c.failed)
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "passed/failed/skipped")?;
        for (name, t) in &self.0 {
            let (eager, traced, grad) = (short(t.eager), short(t.traced), short(t.traced_grad));
            writeln!(f, "{name:45} eager {eager:8} traced {traced:8} traced+grad {grad:8} bits {}", t.bits)?;
        }
        let without: Vec<&str> = self.0.iter().filter(|(_, t)| t.no_adapter).map(|(n, _)| n.as_str()).collect();
        if !without.is_empty() {
            writeln!(f, "\nno adapter ({}): {}", without.len(), without.join(" "))?;
        }
        for (name, t) in self.0.iter().filter(|(_, t)| !t.failures.is_empty() && !t.no_adapter) {
            writeln!(f, "\n{name}: {} cases", t.failures.len())?;
            let shown = shown(SHOWN);
            for failure in t.failures.iter().take(shown) {
                writeln!(f, "  {failure}")?;
            }
            if t.failures.len() > shown {
                writeln!(f, "  and {} more; ALLOTROPE_OPINFO_VERBOSE=1 shows them", t.failures.len() - shown)?;
            }
        }
        let sum = |part: fn(&Refusals) -> usize| self.0.iter().map(|(_, t)| part(&t.refusals)).sum::<usize>();
        let (library, types, panics) = (sum(|r| r.library), sum(|r| r.types), sum(|r| r.panics));
        let clean = self.0.iter().filter(|(_, t)| t.failures.is_empty()).count();
        writeln!(f, "\noperators: {clean} of {} without failure", self.0.len())?;
        writeln!(f, "refused in both modes: {library} with an error, {types} by Rust's types, {panics} with a panic")?;
        let by_shape = sum(|r| r.by_shape);
        writeln!(f, "refused by a trace, as it must, because the result's shape depends on the elements: {by_shape}")?;
        write!(
            f,
            "eager: {}; traced: {}; eager gradients: {}; traced+grad: {}; bits differ: {}",
            long(self.total(|t| t.eager)),
            long(self.total(|t| t.traced)),
            long(self.total(|t| t.eager_grad)),
            long(self.total(|t| t.traced_grad)),
            self.0.iter().map(|(_, t)| t.bits).sum::<usize>()
        )
    }
}

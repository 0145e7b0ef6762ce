//! The replay cache: what the recordings of one closure asked, in order, with the answers. Nothing is recorded or looked for
//! here but what two of them have in common.

use crate::capture::event::{Answer, Event, Match};
use crate::tensor::Size;
use crate::tensor::size::Expr;
use allotrope_ir::{Dim, Scalar};
use std::borrow::Cow;
use std::sync::Arc;

/// One thing that was asked, with its answer.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) event: Event<'static>,
    pub(super) answer: Answer,
}

/// Everything that a recording asked, in order.
#[derive(Clone, Default)]
pub(crate) struct EventLog {
    pub(super) entries: Vec<Entry>,
    /// The expressions that sizes named, in order.
    pub(super) exprs: Vec<Dim>,
    /// What the expressions so far were after symbols had been solved, by the number of the entry that solved them.
    pub(super) solved: Vec<(usize, Vec<Dim>)>,
    /// The numbers in the graphs, in order.
    pub(super) numbers: Vec<Number>,
}

/// A number in the graphs.
#[derive(Clone)]
pub(super) struct Number {
    /// What it must be; none where each call gives it.
    pub(super) fixed: Option<Scalar>,
    /// Whether it is in no loop, so that giving it anew on each call leaves the numbers of all values as they are.
    pub(super) outermost: bool,
}

/// The known recordings of a closure.
#[derive(Default)]
pub(crate) struct ReplayCache {
    pub(super) logs: Vec<Arc<EventLog>>,
    /// For each two, how many entries they have in common from the beginning, but for numbers.
    pub(super) common: Vec<Vec<usize>>,
}

impl EventLog {
    /// How many things were asked.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What a size stands for after the first `cursor` entries, as far as it is known then.
    pub(super) fn dim(&self, size: Size, cursor: usize) -> Cow<'_, Dim> {
        let Some(i) = (size.expr().number as usize).checked_sub(1) else { return Cow::Owned(Dim::fixed(size.hint())) };
        let last = self.solved.partition_point(|(entry, _)| *entry < cursor);
        let known = last.checked_sub(1).and_then(|last| self.solved[last].1.get(i));
        Cow::Borrowed(known.unwrap_or(&self.exprs[i]))
    }

    /// What this recording is the first to ask, in words.
    pub(crate) fn first_new(&self, cache: &ReplayCache) -> String {
        let nearest = cache.logs.iter().max_by_key(|log| log.common(self));
        let Some((log, at)) = nearest.map(|log| (log, log.common(self))) else { return String::new() };
        let words = |log: &EventLog| log.entries.get(at).map_or_else(|| "the end".to_string(), |e| e.event.words());
        let (now, before) = (words(self), words(log));
        match now == before {
            true => format!("event {at}, {now}, was of other values or sizes"),
            false => format!("event {at} was {now}, not {before}"),
        }
    }

    pub(super) fn common(&self, other: &EventLog) -> usize {
        let same = |(a, b): (&Entry, &Entry)| a.event.compare(&b.event) != Match::Other && a.answer == b.answer;
        self.entries.iter().zip(&other.entries).take_while(|&pair| same(pair)).count()
    }

    /// Whether these, the first numbers of a recording, are those of this one.
    pub(super) fn has(&self, given: &[Scalar]) -> bool {
        self.numbers.iter().zip(given).all(|(n, g)| n.fixed.is_none_or(|n| n.bits() == g.bits()))
    }

    /// Gives sizes of an answer the name of this capture, and the numbers that they have in a call with these numbers of the symbols. `values` are those
    /// of the expressions, as far as they were asked for.
    pub(super) fn renumber(&self, sizes: &mut [Size], capture: u32, hints: &[usize], values: &mut Vec<usize>) {
        for size in sizes.iter_mut().filter(|s| s.is_symbolic()) {
            let number = size.expr().number;
            let expr = number as usize;
            let known = values.len().min(expr);
            values.extend(self.exprs[known..expr].iter().map(|dim| dim.eval(hints)));
            *size = Size::with_expr(values[expr - 1], Expr { number, capture });
        }
    }

    /// Whether they could be, if more of them were given on each call.
    pub(super) fn could_have(&self, given: &[Scalar]) -> bool {
        let fits = |(n, g): (&Number, &Scalar)| n.outermost || n.fixed.is_none_or(|n| n.bits() == g.bits());
        self.numbers.iter().zip(given).all(fits)
    }
}

impl ReplayCache {
    /// The cache with one more recording, which comes last.
    pub(crate) fn with(&self, log: EventLog) -> ReplayCache {
        let log = Arc::new(log);
        let mut common = self.common.clone();
        let with_new: Vec<usize> = self.logs.iter().map(|other| other.common(&log)).collect();
        common.iter_mut().zip(&with_new).for_each(|(row, &n)| row.push(n));
        common.push(with_new.into_iter().chain([log.len()]).collect());
        ReplayCache { logs: self.logs.iter().cloned().chain([log]).collect(), common }
    }

    /// The cache without recording `i`.
    pub(crate) fn without(&self, i: usize) -> ReplayCache {
        let places: Vec<usize> = (0..self.logs.len()).filter(|&j| j != i).collect();
        ReplayCache {
            logs: places.iter().map(|&j| Arc::clone(&self.logs[j])).collect(),
            common: places.iter().map(|&j| places.iter().map(|&k| self.common[j][k]).collect()).collect(),
        }
    }
}

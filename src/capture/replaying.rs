//! A recording that asks what a known one did: its answers are looked up in the replay cache. Where it asks something else,
//! another known recording is looked for; it builds no graph.

use crate::capture::event::{Answer, Aside, Event, EventOperand, Made, Match, Symbolic};
use crate::capture::replay_cache::{EventLog, ReplayCache};
use crate::capture::symbols::{INITIAL_CAPACITY, foreign};
use crate::error::{Result, give_up};
use crate::tensor::{Size, Sizes};
use allotrope_ir::{Dim, Scalar};
use std::borrow::Cow;
use std::sync::Arc;

/// A recording that has asked what a known one did.
#[derive(Clone)]
pub(crate) struct Replaying {
    /// Names this recording, so that sizes of another one are noticed.
    pub(super) capture: u32,
    pub(super) cache: Arc<ReplayCache>,
    /// The recording that is replayed, and how far.
    pub(super) at: usize,
    pub(super) cursor: usize,
    /// The numbers of the symbols in this call.
    pub(super) hints: Vec<usize>,
    /// The numbers of the expressions, as far as they were asked for.
    pub(super) values: Vec<usize>,
    /// The numbers in the graphs so far.
    pub(super) given: Vec<Scalar>,
}

impl Replaying {
    pub(super) fn log(&self) -> &EventLog {
        &self.cache.logs[self.at]
    }

    pub(super) fn dim(&self, size: Size) -> Cow<'_, Dim> {
        self.own(&size);
        self.log().dim(size, self.cursor)
    }

    /// That a size is none of another recording.
    pub(super) fn own(&self, size: &Size) {
        if size.is_symbolic() && size.expr().capture != self.capture {
            give_up(foreign(*size));
        }
    }

    /// Goes on to the entry of this event, if one of the recordings has asked this after all that was asked.
    pub(super) fn advance(&mut self, event: &Event<'_>) -> bool {
        event.sizes(&mut |size| self.own(size));
        if !self.asked(self.at, event, Match::Same) {
            let found = |&i: &usize| self.asked(i, event, Match::Same) && self.cache.logs[i].has(&self.given);
            let Some(other) = self.others().find(found) else { return false };
            self.at = other;
        }
        self.cursor += 1;
        self.given.extend(event.operands().iter().filter_map(EventOperand::as_number));
        match event {
            Event::Argument { numbers: Aside(numbers), .. } => self.hints.extend_from_slice(numbers),
            Event::Begin(spec) if spec.limit.0.is_none() => self.hints.push(INITIAL_CAPACITY),
            _ => {}
        }
        true
    }

    /// The answer to the last event, if it was a value.
    pub(super) fn made(&mut self) -> Option<Made> {
        let Replaying { cache, at, cursor, hints, values, capture, .. } = self;
        let log = &cache.logs[*at];
        match &log.entries[*cursor - 1].answer {
            Answer::Made(made) => {
                let mut sizes = Sizes::from_slice(&made.sizes.0);
                log.renumber(&mut sizes, *capture, hints, values);
                Some(Made { value: made.value, dtype: made.dtype, sizes: Symbolic(sizes) })
            }
            _ => None,
        }
    }

    /// The answer to the last event.
    pub(super) fn answer(&mut self) -> Result<Answer> {
        let Replaying { cache, at, cursor, hints, values, capture, .. } = self;
        let log = &cache.logs[*at];
        let mut now = |sizes: &mut [Size]| log.renumber(sizes, *capture, hints, values);
        let mut answer = log.entries[*cursor - 1].answer.clone();
        match &mut answer {
            Answer::Made(made) => now(&mut made.sizes.0),
            Answer::Many(many) => many.iter_mut().for_each(|made| now(&mut made.sizes.0)),
            Answer::Begun(inside, limit) => {
                inside.iter_mut().for_each(|made| now(&mut made.sizes.0));
                now(std::slice::from_mut(&mut limit.0));
            }
            Answer::Size(Symbolic(Some(size))) => now(std::slice::from_mut(size)),
            Answer::Failed(e, _) => return Err(e.clone()),
            _ => {}
        }
        Ok(answer)
    }

    /// The other recordings that have asked what this one did, but for numbers.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + '_ {
        let common = &self.cache.common[self.at];
        (0..common.len()).filter(move |&i| i != self.at && common[i] >= self.cursor)
    }

    /// Whether recording `i` asked this next, with an answer that holds for the sizes of this call.
    pub(super) fn asked(&self, i: usize, event: &Event<'_>, least: Match) -> bool {
        let Some(entry) = self.cache.logs[i].entries.get(self.cursor) else { return false };
        let found = entry.event.compare(event);
        let compares = found == Match::Same || (found == Match::Numbers && least == Match::Numbers);
        compares
            && match &entry.answer {
                Answer::Numbers(solved) => solved.iter().all(|(s, n)| self.hints[s.0 as usize] == *n),
                // With others it may succeed.
                Answer::Failed(_, hints) => self.hints == *hints,
                _ => true,
            }
    }

    /// Whether a known recording ended here.
    pub(super) fn ended(&mut self) -> bool {
        let ended = |i: &usize| self.cache.logs[*i].len() == self.cursor;
        if ended(&self.at) {
            return true;
        }
        let other = self.others().find(|i| ended(i) && self.cache.logs[*i].has(&self.given));
        self.at = other.unwrap_or(self.at);
        other.is_some()
    }
}

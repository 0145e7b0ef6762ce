//! The replay cache: what the recordings of one closure asked, with the answers. Either the graphs of a recording are
//! built, or they are known from an earlier one that has asked the same so far, and then answers are only looked up. Where a recording asks something new, another known one is
//! looked for, and where there is none the graphs are built from what was asked until here. It decides nothing about a
//! graph; `graphs.rs` does.

use crate::capture::builder::GraphBuilder;
use crate::capture::event::{Answer, Aside, Event, EventOperand, Made, Match, Symbolic};
use crate::capture::symbols::{INITIAL_CAPACITY, foreign};
use crate::error::{Result, give_up};
use crate::tensor::size::Expr;
use crate::tensor::{Size, Sizes};
use allotrope_ir::{Dim, Scalar};
use std::borrow::Cow;
use std::sync::Arc;

/// One thing that was asked, with its answer.
#[derive(Clone)]
struct Entry {
    event: Event<'static>,
    answer: Answer,
}

/// Everything that a recording asked, in order.
#[derive(Clone, Default)]
pub(crate) struct EventLog {
    entries: Vec<Entry>,
    /// The expressions that sizes named, in order.
    exprs: Vec<Dim>,
    /// What the expressions so far were after symbols had been solved, by the number of the entry that solved them.
    solved: Vec<(usize, Vec<Dim>)>,
    /// The numbers in the graphs, in order.
    numbers: Vec<Number>,
}

/// A number in the graphs.
#[derive(Clone)]
struct Number {
    /// What it must be; none where each call gives it.
    fixed: Option<Scalar>,
    /// Whether it is in no loop, so that giving it anew on each call leaves the numbers of all values as they are.
    outermost: bool,
}

/// The known recordings of a closure.
#[derive(Default)]
pub(crate) struct ReplayCache {
    logs: Vec<Arc<EventLog>>,
    /// For each two, how many entries they have in common from the beginning, but for numbers.
    common: Vec<Vec<usize>>,
}

impl EventLog {
    /// How many things were asked.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What a size stands for after the first `cursor` entries, as far as it is known then.
    fn dim(&self, size: Size, cursor: usize) -> Cow<'_, Dim> {
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

    fn common(&self, other: &EventLog) -> usize {
        let same = |(a, b): (&Entry, &Entry)| a.event.compare(&b.event) != Match::Other && a.answer == b.answer;
        self.entries.iter().zip(&other.entries).take_while(|&pair| same(pair)).count()
    }

    /// Whether these, the first numbers of a recording, are those of this one.
    fn has(&self, given: &[Scalar]) -> bool {
        self.numbers.iter().zip(given).all(|(n, g)| n.fixed.is_none_or(|n| n.bits() == g.bits()))
    }

    /// Gives sizes of an answer the name of this capture, and the numbers that they have in a call with these numbers of the symbols. `values` are those
    /// of the expressions, as far as they were asked for.
    fn renumber(&self, sizes: &mut [Size], capture: u32, hints: &[usize], values: &mut Vec<usize>) {
        for size in sizes.iter_mut().filter(|s| s.is_symbolic()) {
            let number = size.expr().number;
            let expr = number as usize;
            let known = values.len().min(expr);
            values.extend(self.exprs[known..expr].iter().map(|dim| dim.eval(hints)));
            *size = Size::with_expr(values[expr - 1], Expr { number, capture });
        }
    }

    /// Whether they could be, if more of them were given on each call.
    fn could_have(&self, given: &[Scalar]) -> bool {
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

/// How the graphs of a recording come to be.
#[derive(Clone)]
pub(crate) enum ReplayBuilder {
    Building(Box<Building>),
    Replaying(Replaying),
}

/// Graphs under construction.
#[derive(Clone)]
pub(crate) struct Building {
    graphs: GraphBuilder,
    /// Set where the recording is to be replayed later.
    writer: Option<LogWriter>,
}

#[derive(Clone)]
struct LogWriter {
    log: EventLog,
    /// The numbers in the graphs, as this recording has them.
    given: Vec<Scalar>,
    /// A recording that asked the same but for numbers: where they differ, each call gives them.
    like: Option<Arc<EventLog>>,
}

/// A recording that has asked what a known one did.
#[derive(Clone)]
pub(crate) struct Replaying {
    /// Names this recording, so that sizes of another one are noticed.
    capture: u32,
    cache: Arc<ReplayCache>,
    /// The recording that is replayed, and how far.
    at: usize,
    cursor: usize,
    /// The numbers of the symbols in this call.
    hints: Vec<usize>,
    /// The numbers of the expressions, as far as they were asked for.
    values: Vec<usize>,
    /// The numbers in the graphs so far.
    given: Vec<Scalar>,
}

/// How a recording ended.
pub(crate) enum Ended {
    /// As one that is known.
    Known { at: usize, symbols: Vec<usize>, numbers: Vec<Scalar> },
    /// As none.
    New { graphs: Box<GraphBuilder>, log: Option<Box<EventLog>>, numbers: Vec<Scalar> },
}

impl Ended {
    /// The numbers in the graphs that each call gives, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = Scalar> + '_ {
        let (Ended::Known { numbers, .. } | Ended::New { numbers, .. }) = self;
        numbers.iter().copied()
    }

    /// A size as every call has it that this recording stands for; where it is one call's own, as that has it.
    pub(crate) fn length(&self, size: Size) -> Dim {
        match self {
            Ended::New { graphs, log: None, .. } => graphs.symbols.dim(size),
            _ => Dim::fixed(size.hint()),
        }
    }
}

impl ReplayBuilder {
    /// Builds graphs for one recording, the capture of that name.
    pub(crate) fn plain(capture: u32) -> ReplayBuilder {
        ReplayBuilder::Building(Box::new(Building { graphs: GraphBuilder::new(capture), writer: None }))
    }

    /// Replays the recordings of a cache, beginning with number `at`.
    pub(crate) fn replaying(cache: Arc<ReplayCache>, at: usize, capture: u32) -> ReplayBuilder {
        match cache.logs.is_empty() {
            true => ReplayBuilder::Building(Box::new(Building::logged(None, capture))),
            false => ReplayBuilder::Replaying(Replaying {
                capture,
                at: at.min(cache.logs.len() - 1),
                cache,
                cursor: 0,
                hints: Vec::new(),
                values: Vec::new(),
                given: Vec::new(),
            }),
        }
    }

    /// Whether two sizes are the same in every call that this recording stands for. It is no question of the graph, so it
    /// makes no difference between two recordings whether it was asked.
    pub(crate) fn proven(&self, a: Size, b: Size) -> bool {
        match self {
            ReplayBuilder::Building(building) => building.graphs.symbols.dim(a) == building.graphs.symbols.dim(b),
            ReplayBuilder::Replaying(f) => f.dim(a) == f.dim(b),
        }
    }

    /// Whether the recording stands for other calls too, which it will not see.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, ReplayBuilder::Building(building) if building.writer.is_none())
    }

    /// The graphs under construction of a recording that replays no other.
    pub(crate) fn graphs(&self) -> &GraphBuilder {
        match self {
            ReplayBuilder::Building(building) => &building.graphs,
            ReplayBuilder::Replaying(_) => unreachable!("bug in allotrope: what replays a recording has no graphs"),
        }
    }

    pub(crate) fn graphs_mut(&mut self) -> &mut GraphBuilder {
        match self {
            ReplayBuilder::Building(building) => &mut building.graphs,
            ReplayBuilder::Replaying(_) => unreachable!("bug in allotrope: what replays a recording has no graphs"),
        }
    }

    /// The answer to an event.
    ///
    /// # Errors
    /// Where operands do not fit, and values cannot be had.
    pub(crate) fn ask(&mut self, event: Event<'_>) -> Result<Answer> {
        let known = self.replays(&event);
        match self {
            ReplayBuilder::Replaying(replaying) if known => replaying.answer(),
            _ => self.building(&event).answer(event),
        }
    }

    /// The answer to an event that makes a value.
    ///
    /// # Errors
    /// As [`ReplayBuilder::ask`].
    pub(crate) fn made(&mut self, event: Event<'_>) -> Result<Made> {
        // Most of what a recording asks comes here, so nothing is copied that need not be.
        let known = self.replays(&event);
        let answer = match self {
            ReplayBuilder::Replaying(replaying) if known => match replaying.made() {
                Some(made) => return Ok(made),
                None => replaying.answer()?,
            },
            _ => self.building(&event).answer(event)?,
        };
        match answer {
            Answer::Made(made) => Ok(made),
            other => unreachable!("bug in allotrope: no value but {other:?}"),
        }
    }

    /// Whether a known recording has asked this next.
    #[inline]
    fn replays(&mut self, event: &Event<'_>) -> bool {
        match self {
            ReplayBuilder::Replaying(replaying) => replaying.advance(event),
            ReplayBuilder::Building(_) => false,
        }
    }

    /// The graphs under construction, made where they were known until this event.
    #[cold]
    fn rebuild(replaying: &Replaying, event: &Event<'_>) -> ReplayBuilder {
        ReplayBuilder::Building(Box::new(replaying.rebuilt(Some(event))))
    }

    fn building(&mut self, event: &Event<'_>) -> &mut Building {
        if let ReplayBuilder::Replaying(replaying) = self {
            *self = ReplayBuilder::rebuild(replaying, event);
        }
        match self {
            ReplayBuilder::Building(building) => building,
            ReplayBuilder::Replaying(_) => unreachable!("bug in allotrope: just rebuilt"),
        }
    }

    pub(crate) fn end(self) -> Result<Ended> {
        let building = match self {
            ReplayBuilder::Building(building) => building,
            ReplayBuilder::Replaying(mut replaying) => match replaying.ended() {
                true => {
                    let log = &replaying.cache.logs[replaying.at];
                    let slots = log.numbers.iter().zip(&replaying.given).filter(|(n, _)| n.fixed.is_none());
                    return Ok(Ended::Known {
                        at: replaying.at,
                        numbers: slots.map(|(_, s)| *s).collect(),
                        symbols: replaying.hints,
                    });
                }
                false => Box::new(replaying.rebuilt(None)),
            },
        };
        let Building { graphs, writer } = *building;
        let graphs = Box::new(graphs);
        Ok(match writer {
            None => Ended::New { graphs, log: None, numbers: Vec::new() },
            Some(LogWriter { log, given, .. }) => {
                let slots = log.numbers.iter().zip(&given).filter(|(n, _)| n.fixed.is_none());
                let numbers = slots.map(|(_, s)| *s).collect();
                Ended::New { graphs, log: Some(Box::new(log)), numbers }
            }
        })
    }
}

impl Building {
    fn logged(like: Option<Arc<EventLog>>, capture: u32) -> Building {
        let writer = LogWriter { log: EventLog::default(), given: Vec::new(), like };
        Building { graphs: GraphBuilder::new(capture), writer: Some(writer) }
    }

    fn answer(&mut self, event: Event<'_>) -> Result<Answer> {
        let Some(writer) = &mut self.writer else { return self.graphs.answer(&event) };
        writer.given.extend(event.operands().iter().filter_map(EventOperand::as_number));
        let event = writer.liken(event);
        self.write(event.into_owned())
    }

    /// Answers an event and writes it down.
    fn write(&mut self, event: Event<'static>) -> Result<Answer> {
        let answer = self.graphs.answer(&event);
        let Some(LogWriter { log, .. }) = &mut self.writer else { return answer };
        let outermost = self.graphs.open.len() == 1;
        log.numbers.extend(event.operands().iter().filter_map(|operand| match operand {
            EventOperand::Value(_) => None,
            EventOperand::Number(_, Aside(fixed)) => Some(Number { fixed: *fixed, outermost }),
        }));
        log.exprs.extend_from_slice(self.graphs.symbols.expressions(log.exprs.len()));
        if matches!(&answer, Ok(Answer::Numbers(_))) && matches!(event, Event::Unify(..) | Event::Specialize { .. }) {
            log.solved.push((log.entries.len(), self.graphs.symbols.expressions(0).to_vec()));
        }
        let recorded = answer.clone().unwrap_or_else(Answer::Failed);
        log.entries.push(Entry { event, answer: recorded });
        answer
    }
}

impl LogWriter {
    /// The event, in which each call gives the numbers that differ from those of the recording that this one is like.
    fn liken<'a>(&mut self, event: Event<'a>) -> Event<'a> {
        let Some(like) = &self.like else { return event };
        let Some(entry) = like.entries.get(self.log.len()).filter(|e| e.event.compare(&event) != Match::Other) else {
            self.like = None;
            return event;
        };
        let mut others = entry.event.operands().iter();
        event.with_operands(&mut |operand| match (operand.as_number(), others.next()) {
            (Some(s), Some(EventOperand::Number(dtype, Aside(other)))) if s.dtype() == *dtype => match other {
                Some(other) if other.bits() == s.bits() => operand,
                _ => EventOperand::slot(*dtype),
            },
            _ => operand,
        })
    }
}

impl Replaying {
    fn log(&self) -> &EventLog {
        &self.cache.logs[self.at]
    }

    fn dim(&self, size: Size) -> Cow<'_, Dim> {
        self.own(&size);
        self.log().dim(size, self.cursor)
    }

    /// That a size is none of another recording.
    fn own(&self, size: &Size) {
        if size.is_symbolic() && size.expr().capture != self.capture {
            give_up(foreign(*size));
        }
    }

    /// Goes on to the entry of this event, if one of the recordings has asked this after all that was asked.
    fn advance(&mut self, event: &Event<'_>) -> bool {
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
    fn made(&mut self) -> Option<Made> {
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
    fn answer(&mut self) -> Result<Answer> {
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
            Answer::Failed(e) => return Err(e.clone()),
            _ => {}
        }
        Ok(answer)
    }

    /// The other recordings that have asked what this one did, but for numbers.
    fn others(&self) -> impl Iterator<Item = usize> + '_ {
        let common = &self.cache.common[self.at];
        (0..common.len()).filter(move |&i| i != self.at && common[i] >= self.cursor)
    }

    /// Whether recording `i` asked this next, with an answer that holds for the sizes of this call.
    fn asked(&self, i: usize, event: &Event<'_>, least: Match) -> bool {
        let Some(entry) = self.cache.logs[i].entries.get(self.cursor) else { return false };
        let found = entry.event.compare(event);
        let compares = found == Match::Same || (found == Match::Numbers && least == Match::Numbers);
        compares
            && match &entry.answer {
                Answer::Numbers(solved) => solved.iter().all(|(s, n)| self.hints[s.0 as usize] == *n),
                _ => true,
            }
    }

    /// Whether a known recording ended here.
    fn ended(&mut self) -> bool {
        let ended = |i: &usize| self.cache.logs[*i].len() == self.cursor;
        if ended(&self.at) {
            return true;
        }
        let other = self.others().find(|i| ended(i) && self.cache.logs[*i].has(&self.given));
        self.at = other.unwrap_or(self.at);
        other.is_some()
    }

    /// The graphs for what was asked so far. `next` comes next.
    fn rebuilt(&self, next: Option<&Event<'_>>) -> Building {
        let like = next.and_then(|next| {
            let mut known = std::iter::once(self.at).chain(self.others());
            known.find(|&i| self.asked(i, next, Match::Numbers) && self.cache.logs[i].could_have(&self.given))
        });
        let base = like.map_or_else(|| self.log(), |i| &self.cache.logs[i]);
        let mut building = Building::logged(like.map(|i| Arc::clone(&self.cache.logs[i])), self.capture);
        building.graphs.symbols.replaying = true;
        let (mut hints, mut given) = (&self.hints[..], self.given.iter());
        for entry in &base.entries[..self.cursor] {
            let event = match &entry.event {
                Event::Begin(spec) if spec.limit.0.is_none() => {
                    hints = &hints[1..];
                    entry.event.clone()
                }
                Event::Argument { dtype, rank, name, .. } => {
                    let (these, rest) = hints.split_at(*rank);
                    hints = rest;
                    let numbers = Aside(Cow::Owned(these.to_vec()));
                    Event::Argument { dtype: *dtype, rank: *rank, numbers, name: *name }
                }
                other => other.clone(),
            };
            let event = event.with_operands(&mut |operand| match operand {
                EventOperand::Value(_) => operand,
                EventOperand::Number(dtype, Aside(number)) => match (number, given.next()) {
                    (Some(known), Some(now)) if now.bits() != known.bits() => EventOperand::slot(dtype),
                    _ => operand,
                },
            });
            // What failed then fails again.
            let answer = building.write(event);
            debug_assert!(
                answer.map_or_else(|_| matches!(entry.answer, Answer::Failed(_)), |a| a == entry.answer),
                "bug in allotrope: the same question has another answer"
            );
        }
        building.graphs.symbols.replaying = false;
        if let Some(writer) = &mut building.writer {
            writer.given = self.given.clone();
        }
        building
    }
}

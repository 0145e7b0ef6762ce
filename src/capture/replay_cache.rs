//! The script of a recording: either the graphs are built, or they are known from an earlier recording that has asked
//! the same so far, and then answers are only looked up. Where a recording asks something new, another known one is
//! looked for, and where there is none the graphs are built from what was asked until here. It decides nothing about a
//! graph; `program.rs` does.

use crate::capture::builder::Program;
use crate::capture::event::{Answer, Event, Given, Made, Match};
use crate::capture::symbols::{FIRST_ROOM, foreign};
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
pub(crate) struct Log {
    entries: Vec<Entry>,
    /// The expressions that sizes named, in order.
    exprs: Vec<Dim>,
    /// What the expressions so far were after symbols had been solved, by the number of the entry that solved them.
    solved: Vec<(usize, Vec<Dim>)>,
    /// The numbers in the program, in order.
    numbers: Vec<Number>,
}

/// A number in the program.
#[derive(Clone)]
struct Number {
    /// What it must be; none where each call gives it.
    fixed: Option<Scalar>,
    /// Whether it is in no loop, so that giving it anew on each call leaves the numbers of all values as they are.
    outermost: bool,
}

/// The known recordings of a closure.
#[derive(Default)]
pub(crate) struct Book {
    logs: Vec<Arc<Log>>,
    /// For each two, how many entries they have in common from the beginning, but for numbers.
    common: Vec<Vec<usize>>,
}

impl Log {
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
    pub(crate) fn first_new(&self, book: &Book) -> String {
        let nearest = book.logs.iter().max_by_key(|log| log.common(self));
        let Some((log, at)) = nearest.map(|log| (log, log.common(self))) else { return String::new() };
        let words = |log: &Log| log.entries.get(at).map_or_else(|| "the end".to_string(), |e| e.event.words());
        let (now, before) = (words(self), words(log));
        match now == before {
            true => format!("step {at}, {now}, was of other values or sizes"),
            false => format!("step {at} was {now}, not {before}"),
        }
    }

    fn common(&self, other: &Log) -> usize {
        let same = |(a, b): (&Entry, &Entry)| a.event.compare(&b.event) != Match::Other && a.answer.agrees(&b.answer);
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

impl Book {
    /// The book with one more recording, which comes last.
    pub(crate) fn with(&self, log: Log) -> Book {
        let log = Arc::new(log);
        let mut common = self.common.clone();
        let with_new: Vec<usize> = self.logs.iter().map(|other| other.common(&log)).collect();
        common.iter_mut().zip(&with_new).for_each(|(row, &n)| row.push(n));
        common.push(with_new.into_iter().chain([log.len()]).collect());
        Book { logs: self.logs.iter().cloned().chain([log]).collect(), common }
    }

    /// The book without recording `i`.
    pub(crate) fn without(&self, i: usize) -> Book {
        let places: Vec<usize> = (0..self.logs.len()).filter(|&j| j != i).collect();
        Book {
            logs: places.iter().map(|&j| Arc::clone(&self.logs[j])).collect(),
            common: places.iter().map(|&j| places.iter().map(|&k| self.common[j][k]).collect()).collect(),
        }
    }
}

/// How the graphs of a recording come to be.
#[derive(Clone)]
pub(crate) enum Script {
    Building(Box<Building>),
    Following(Following),
}

/// Graphs under construction.
#[derive(Clone)]
pub(crate) struct Building {
    program: Program,
    /// Set where the recording is to be followed later.
    writer: Option<Writer>,
}

#[derive(Clone)]
struct Writer {
    log: Log,
    /// The numbers in the program, as this recording has them.
    given: Vec<Scalar>,
    /// A recording that asked the same but for numbers: where they differ, each call gives them.
    like: Option<Arc<Log>>,
}

/// A recording that has asked what a known one did.
#[derive(Clone)]
pub(crate) struct Following {
    /// Names this recording, so that sizes of another one are noticed.
    capture: u32,
    book: Arc<Book>,
    /// The recording that is followed, and how far.
    at: usize,
    cursor: usize,
    /// The numbers of the symbols in this call.
    hints: Vec<usize>,
    /// The numbers of the expressions, as far as they were asked for.
    values: Vec<usize>,
    /// The numbers in the program so far.
    given: Vec<Scalar>,
}

/// How a recording ended.
pub(crate) enum Ended {
    /// As one that is known.
    Known { at: usize, symbols: Vec<usize>, numbers: Vec<Scalar> },
    /// As none.
    New { program: Box<Program>, log: Option<Box<Log>>, numbers: Vec<Scalar> },
}

impl Ended {
    /// The numbers in the program that each call gives, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = Scalar> + '_ {
        let (Ended::Known { numbers, .. } | Ended::New { numbers, .. }) = self;
        numbers.iter().copied()
    }

    /// A size as every call has it that this recording stands for; where it is one call's own, as that has it.
    pub(crate) fn length(&self, size: Size) -> Dim {
        match self {
            Ended::New { program, log: None, .. } => program.symbols.dim(size),
            _ => Dim::fixed(size.hint()),
        }
    }
}

impl Script {
    /// Builds graphs for one recording, the capture of that name.
    pub(crate) fn plain(capture: u32) -> Script {
        Script::Building(Box::new(Building { program: Program::new(capture), writer: None }))
    }

    /// Follows the recordings of a book, beginning with number `at`.
    pub(crate) fn following(book: Arc<Book>, at: usize, capture: u32) -> Script {
        match book.logs.is_empty() {
            true => Script::Building(Box::new(Building::logged(None, capture))),
            false => Script::Following(Following {
                capture,
                at: at.min(book.logs.len() - 1),
                book,
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
            Script::Building(building) => building.program.symbols.dim(a) == building.program.symbols.dim(b),
            Script::Following(f) => f.dim(a) == f.dim(b),
        }
    }

    /// Whether the recording stands for other calls too, which it will not see.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Script::Building(building) if building.writer.is_none())
    }

    /// The graphs under construction of a recording that follows no other.
    pub(crate) fn program(&self) -> &Program {
        match self {
            Script::Building(building) => &building.program,
            Script::Following(_) => unreachable!("bug in allotrope: what follows a recording has no graphs"),
        }
    }

    pub(crate) fn program_mut(&mut self) -> &mut Program {
        match self {
            Script::Building(building) => &mut building.program,
            Script::Following(_) => unreachable!("bug in allotrope: what follows a recording has no graphs"),
        }
    }

    /// The answer to an event.
    ///
    /// # Errors
    /// Where operands do not fit, and values cannot be had.
    pub(crate) fn ask(&mut self, event: Event<'_>) -> Result<Answer> {
        let known = self.follow(&event);
        match self {
            Script::Following(following) if known => following.answer(),
            _ => self.building(&event).answer(event),
        }
    }

    /// The answer to an event that makes a value.
    ///
    /// # Errors
    /// As [`Script::ask`].
    pub(crate) fn made(&mut self, event: Event<'_>) -> Result<Made> {
        // Most of what a recording asks comes here, so nothing is copied that need not be.
        let known = self.follow(&event);
        let answer = match self {
            Script::Following(following) if known => match following.made() {
                Some(made) => return Ok(made),
                None => following.answer()?,
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
    fn follow(&mut self, event: &Event<'_>) -> bool {
        match self {
            Script::Following(following) => following.step(event),
            Script::Building(_) => false,
        }
    }

    /// The graphs under construction, made where they were known until this event.
    #[cold]
    fn rebuild(following: &Following, event: &Event<'_>) -> Script {
        Script::Building(Box::new(following.rebuilt(Some(event))))
    }

    fn building(&mut self, event: &Event<'_>) -> &mut Building {
        if let Script::Following(following) = self {
            *self = Script::rebuild(following, event);
        }
        match self {
            Script::Building(building) => building,
            Script::Following(_) => unreachable!("bug in allotrope: just rebuilt"),
        }
    }

    pub(crate) fn end(self) -> Result<Ended> {
        let building = match self {
            Script::Building(building) => building,
            Script::Following(mut following) => match following.ended() {
                true => {
                    let log = &following.book.logs[following.at];
                    let slots = log.numbers.iter().zip(&following.given).filter(|(n, _)| n.fixed.is_none());
                    return Ok(Ended::Known {
                        at: following.at,
                        numbers: slots.map(|(_, s)| *s).collect(),
                        symbols: following.hints,
                    });
                }
                false => Box::new(following.rebuilt(None)),
            },
        };
        let Building { program, writer } = *building;
        let program = Box::new(program);
        Ok(match writer {
            None => Ended::New { program, log: None, numbers: Vec::new() },
            Some(Writer { log, given, .. }) => {
                let slots = log.numbers.iter().zip(&given).filter(|(n, _)| n.fixed.is_none());
                let numbers = slots.map(|(_, s)| *s).collect();
                Ended::New { program, log: Some(Box::new(log)), numbers }
            }
        })
    }
}

impl Building {
    fn logged(like: Option<Arc<Log>>, capture: u32) -> Building {
        let writer = Writer { log: Log::default(), given: Vec::new(), like };
        Building { program: Program::new(capture), writer: Some(writer) }
    }

    fn answer(&mut self, event: Event<'_>) -> Result<Answer> {
        let Some(writer) = &mut self.writer else { return self.program.answer(&event) };
        writer.given.extend(event.given().iter().filter_map(Given::number));
        let event = writer.liken(event);
        self.write(event.into_owned())
    }

    /// Answers an event and writes it down.
    fn write(&mut self, event: Event<'static>) -> Result<Answer> {
        let answer = self.program.answer(&event);
        let Some(Writer { log, .. }) = &mut self.writer else { return answer };
        let outermost = self.program.open.len() == 1;
        log.numbers.extend(event.given().iter().filter_map(|g| match g {
            Given::Value(_) => None,
            Given::Number(s) => Some(Number { fixed: Some(*s), outermost }),
            Given::Slot(_) => Some(Number { fixed: None, outermost }),
        }));
        log.exprs.extend_from_slice(self.program.symbols.expressions(log.exprs.len()));
        if matches!(&answer, Ok(Answer::Numbers(_))) && matches!(event, Event::Unify(..) | Event::Specialize { .. }) {
            log.solved.push((log.entries.len(), self.program.symbols.expressions(0).to_vec()));
        }
        let noted = answer.clone().unwrap_or_else(Answer::Failed);
        log.entries.push(Entry { event, answer: noted });
        answer
    }
}

impl Writer {
    /// The event, in which each call gives the numbers that differ from those of the recording that this one is like.
    fn liken<'a>(&mut self, event: Event<'a>) -> Event<'a> {
        let Some(like) = &self.like else { return event };
        let Some(entry) = like.entries.get(self.log.len()).filter(|e| e.event.compare(&event) != Match::Other) else {
            self.like = None;
            return event;
        };
        let mut others = entry.event.given().iter();
        event.with_given(&mut |given| match (given, others.next()) {
            (Given::Number(s), Some(Given::Slot(dtype))) if s.dtype() == *dtype => Given::Slot(*dtype),
            (Given::Number(s), Some(Given::Number(other))) if s.bits() != other.bits() => Given::Slot(s.dtype()),
            (given, _) => given,
        })
    }
}

impl Following {
    fn log(&self) -> &Log {
        &self.book.logs[self.at]
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
    fn step(&mut self, event: &Event<'_>) -> bool {
        event.sizes(&mut |size| self.own(size));
        if !self.asked(self.at, event, Match::Same) {
            let found = |&i: &usize| self.asked(i, event, Match::Same) && self.book.logs[i].has(&self.given);
            let Some(other) = self.others().find(found) else { return false };
            self.at = other;
        }
        self.cursor += 1;
        self.given.extend(event.given().iter().filter_map(Given::number));
        match event {
            Event::Argument { numbers, .. } => self.hints.extend_from_slice(numbers),
            Event::Begin(spec) if spec.limit.is_none() => self.hints.push(FIRST_ROOM),
            _ => {}
        }
        true
    }

    /// The answer to the last event, if it was a value.
    fn made(&mut self) -> Option<Made> {
        let Following { book, at, cursor, hints, values, capture, .. } = self;
        let log = &book.logs[*at];
        match &log.entries[*cursor - 1].answer {
            Answer::Made(made) => {
                let mut sizes = Sizes::from_slice(&made.sizes);
                log.renumber(&mut sizes, *capture, hints, values);
                Some(Made { value: made.value, dtype: made.dtype, sizes })
            }
            _ => None,
        }
    }

    /// The answer to the last event.
    fn answer(&mut self) -> Result<Answer> {
        let Following { book, at, cursor, hints, values, capture, .. } = self;
        let log = &book.logs[*at];
        let mut now = |sizes: &mut [Size]| log.renumber(sizes, *capture, hints, values);
        let mut answer = log.entries[*cursor - 1].answer.clone();
        match &mut answer {
            Answer::Made(made) => now(&mut made.sizes),
            Answer::Many(many) => many.iter_mut().for_each(|made| now(&mut made.sizes)),
            Answer::Begun(inside, limit) => {
                inside.iter_mut().for_each(|made| now(&mut made.sizes));
                now(std::slice::from_mut(limit));
            }
            Answer::Size(Some(size)) => now(std::slice::from_mut(size)),
            Answer::Failed(e) => return Err(e.clone()),
            _ => {}
        }
        Ok(answer)
    }

    /// The other recordings that have asked what this one did, but for numbers.
    fn others(&self) -> impl Iterator<Item = usize> + '_ {
        let common = &self.book.common[self.at];
        (0..common.len()).filter(move |&i| i != self.at && common[i] >= self.cursor)
    }

    /// Whether recording `i` asked this next, with an answer that holds for the sizes of this call.
    fn asked(&self, i: usize, event: &Event<'_>, least: Match) -> bool {
        let Some(entry) = self.book.logs[i].entries.get(self.cursor) else { return false };
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
        let ended = |i: &usize| self.book.logs[*i].len() == self.cursor;
        if ended(&self.at) {
            return true;
        }
        let other = self.others().find(|i| ended(i) && self.book.logs[*i].has(&self.given));
        self.at = other.unwrap_or(self.at);
        other.is_some()
    }

    /// The graphs for what was asked so far. `next` comes next.
    fn rebuilt(&self, next: Option<&Event<'_>>) -> Building {
        let like = next.and_then(|next| {
            let mut known = std::iter::once(self.at).chain(self.others());
            known.find(|&i| self.asked(i, next, Match::Numbers) && self.book.logs[i].could_have(&self.given))
        });
        let base = like.map_or_else(|| self.log(), |i| &self.book.logs[i]);
        let mut building = Building::logged(like.map(|i| Arc::clone(&self.book.logs[i])), self.capture);
        building.program.symbols.replaying = true;
        let (mut hints, mut given) = (&self.hints[..], self.given.iter());
        for entry in &base.entries[..self.cursor] {
            let event = match &entry.event {
                Event::Begin(spec) if spec.limit.is_none() => {
                    hints = &hints[1..];
                    entry.event.clone()
                }
                Event::Argument { dtype, numbers, name } => {
                    let (these, rest) = hints.split_at(numbers.len());
                    hints = rest;
                    Event::Argument { dtype: *dtype, numbers: Cow::Owned(these.to_vec()), name: *name }
                }
                other => other.clone(),
            };
            let event = event.with_given(&mut |g| match g {
                Given::Value(_) => g,
                Given::Slot(_) => {
                    given.next();
                    g
                }
                Given::Number(s) => match given.next() {
                    Some(now) if now.bits() != s.bits() => Given::Slot(now.dtype()),
                    _ => g,
                },
            });
            // What failed then fails again.
            let answer = building.write(event);
            debug_assert!(
                answer.map_or_else(|_| matches!(entry.answer, Answer::Failed(_)), |a| a.agrees(&entry.answer)),
                "bug in allotrope: the same question has another answer"
            );
        }
        building.program.symbols.replaying = false;
        if let Some(writer) = &mut building.writer {
            writer.given = self.given.clone();
        }
        building
    }
}

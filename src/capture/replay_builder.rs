//! How the graphs of a recording come to be: either they are built, or they are known from an earlier recording that has
//! asked the same so far, and then answers are only looked up. Where a recording asks something that none has asked, the
//! graphs are built from what was asked until here. It decides nothing about a graph; the builder does.

use crate::capture::builder::GraphBuilder;
use crate::capture::event::{Answer, Aside, Event, EventOperand, Made, Match};
use crate::capture::replay_cache::{Entry, EventLog, Number, ReplayCache};
use crate::capture::replaying::Replaying;
use crate::error::Result;
use crate::tensor::Size;
use allotrope_ir::{Dim, Scalar};
use std::borrow::Cow;
use std::sync::Arc;

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
        ReplayBuilder::Building(Box::new(Building::rebuilt(replaying, Some(event))))
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
                false => Box::new(Building::rebuilt(&replaying, None)),
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
    /// The graphs for what was asked so far. `next` comes next.
    fn rebuilt(replaying: &Replaying, next: Option<&Event<'_>>) -> Building {
        let like = next.and_then(|next| {
            let mut known = std::iter::once(replaying.at).chain(replaying.others());
            known.find(|&i| {
                replaying.asked(i, next, Match::Numbers) && replaying.cache.logs[i].could_have(&replaying.given)
            })
        });
        let base = like.map_or_else(|| replaying.log(), |i| &replaying.cache.logs[i]);
        let mut building = Building::logged(like.map(|i| Arc::clone(&replaying.cache.logs[i])), replaying.capture);
        building.graphs.symbols.replaying = true;
        let (mut hints, mut given) = (&replaying.hints[..], replaying.given.iter());
        for entry in &base.entries[..replaying.cursor] {
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
                answer.map_or_else(|_| matches!(entry.answer, Answer::Failed(..)), |a| a == entry.answer),
                "bug in allotrope: the same question has another answer"
            );
        }
        building.graphs.symbols.replaying = false;
        if let Some(writer) = &mut building.writer {
            writer.given = replaying.given.clone();
        }
        building
    }

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
        let failed = |e| Answer::Failed(e, self.graphs.symbols.hints().to_vec());
        let recorded = answer.clone().unwrap_or_else(failed);
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

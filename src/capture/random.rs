//! The random numbers of a capture: which draws the program makes, in its order, and drawing them for a call. A draw in
//! a loop is one for each step, made before the run in the order in which the steps would run. Nothing is drawn while
//! recording, and what is done with the numbers is the graph's.

use crate::capture::builder::{Program, Role};
use crate::capture::captured::Source;
use crate::capture::event::Event;
use crate::capture::layout::{Demand, Given};
use crate::capture::state::{Inner, Open};
use crate::error::{Error, Result};
use crate::kernels::rng::Mt19937;
use crate::mode::recorder::random::Draw;
use crate::runtime::guards::Binding;
use crate::tensor::draw::{Kind, numel};
use crate::tensor::storage::Buffer;
use crate::tensor::trace_handle::TraceHandle;
use crate::tensor::{Dims, Generator, Size, Tensor, eval};
use allotrope_ir::{DType, Dim, Graph, LoopKind, Shape};
use std::borrow::Cow;

/// One thing that a call does with generators.
#[derive(Clone)]
pub(crate) enum Item<D = Dim> {
    /// Draws the elements of an input, those of this step where it is in loops.
    Draw { generator: Generator, kind: Kind, input: usize },
    /// Starts the streams of a seed.
    Seed { generator: Generator, seed: u64 },
    /// Does these once for each step of a loop.
    Loop { length: D, reverse: bool, items: Vec<Item<D>> },
}

impl Item {
    /// What another recording did otherwise, in words.
    fn difference(&self, other: &Item) -> Option<String> {
        match (self, other) {
            (Item::Draw { generator: a, kind: k, input: i }, Item::Draw { generator: b, kind: l, input: j }) => {
                if !a.is_same(b) {
                    return Some(format!("it drew {} from another generator, one made outside stays", k.name()));
                }
                let (a, b) = (format!("{k:?}"), format!("{l:?}"));
                (a != b || i != j).then(|| format!("the draw {a} became {b}"))
            }
            (Item::Seed { generator: a, seed: s }, Item::Seed { generator: b, seed: t }) => {
                (!a.is_same(b) || s != t).then(|| format!("the seed {s} became {t}, or another generator's"))
            }
            (Item::Loop { items: a, reverse: r, .. }, Item::Loop { items: b, reverse: s, .. }) if r == s => {
                difference(a, b)
            }
            _ => Some("it drew random numbers in another order".into()),
        }
    }

    /// Every generator in it, each once.
    fn generators(&self, out: &mut Vec<Generator>) {
        match self {
            Item::Draw { generator, .. } | Item::Seed { generator, .. } => {
                if !out.iter().any(|g| g.is_same(generator)) {
                    out.push(generator.clone());
                }
            }
            Item::Loop { items, .. } => items.iter().for_each(|i| i.generators(out)),
        }
    }
}

impl Item<Size> {
    /// The item with its lengths said in another way.
    fn map(self, of: &dyn Fn(Size) -> Dim) -> Item {
        match self {
            Item::Draw { generator, kind, input } => Item::Draw { generator, kind, input },
            Item::Seed { generator, seed } => Item::Seed { generator, seed },
            Item::Loop { length, reverse, items } => {
                Item::Loop { length: of(length), reverse, items: items.into_iter().map(|i| i.map(of)).collect() }
            }
        }
    }
}

fn difference(a: &[Item], b: &[Item]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} uses of random generators became {}", a.len(), b.len()));
    }
    a.iter().zip(b).find_map(|(a, b)| a.difference(b))
}

/// The draws of one recording.
#[derive(Default)]
pub(crate) struct Draws {
    pub(crate) items: Vec<Item>,
    pub(crate) generators: Vec<Generator>,
    /// The tensors from outside whose memory matters.
    pub(crate) outside: Vec<TraceHandle>,
}

/// What the draws fill.
pub(crate) struct Fills {
    pub(crate) demands: Vec<Demand>,
    /// The type of each input that is drawn, by number, in ascending order.
    types: Vec<(usize, DType, Shape)>,
}

/// What a call has drawn, and the way back.
pub(crate) struct Drawn {
    pub(crate) tensors: Vec<(usize, Tensor)>,
    /// Each generator before and after.
    states: Vec<(Generator, Mt19937, Mt19937)>,
}

impl Drawn {
    /// Puts the generators back to where they were, unless somebody else has drawn from one since.
    pub(crate) fn undo(self) {
        for (generator, before, after) in self.states {
            let mut now = generator.lock();
            if *now == after {
                *now = before;
            }
        }
    }
}

/// An input on the way to be drawn.
struct Room {
    dtype: DType,
    shape: Dims,
    buffer: Buffer,
}

impl Fills {
    /// What the draws of a finished program fill, whose graph this is.
    pub(crate) fn new(program: &mut Program, graph: &Graph) -> Fills {
        let mut demands = std::mem::take(&mut program.demands);
        demands.iter_mut().for_each(|d| d.resolve(&|d| program.symbols.resolve(d)));
        let tensors = program.roles.iter().filter(|r| **r != Role::Slot);
        Fills::of(demands, tensors.map(|role| *role == Role::Drawn), graph)
    }

    /// What is filled in a graph, where `drawn` says for each input whether it is drawn.
    pub(crate) fn of(demands: Vec<Demand>, drawn: impl Iterator<Item = bool>, graph: &Graph) -> Fills {
        let types = drawn
            .zip(graph.input_values())
            .enumerate()
            .filter(|(_, (drawn, _))| *drawn)
            .map(|(i, (_, value))| (i, graph.ty(value).dtype, graph.ty(value).shape.clone()))
            .collect();
        Fills { demands, types }
    }
}

impl Draws {
    /// The draws of a recording; `length` says what a loop's length is.
    pub(crate) fn new(items: Vec<Item<Size>>, outside: Vec<TraceHandle>, length: &dyn Fn(Size) -> Dim) -> Draws {
        Draws::of(items.into_iter().map(|i| i.map(length)).collect(), outside)
    }

    pub(crate) fn of(items: Vec<Item>, outside: Vec<TraceHandle>) -> Draws {
        let mut generators = Vec::new();
        items.iter().for_each(|i| i.generators(&mut generators));
        Draws { items, generators, outside }
    }

    pub(crate) fn difference(&self, other: &Draws) -> Option<String> {
        difference(&self.items, &other.items)
    }

    /// Whether a call does nothing with generators.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Draws every input that is drawn.
    ///
    /// # Errors
    /// Before anything is drawn, where a layout does not fit or a shape is too large.
    pub(crate) fn run(&self, fills: &Fills, sources: &[Source], args: &[&Tensor], binding: &Binding) -> Result<Drawn> {
        let given = Given { sources, args, outside: &self.outside };
        fills.demands.iter().try_for_each(|d| d.check(&given, binding))?;
        let types = &fills.types;
        let room = |(_, dtype, shape): &(usize, DType, Shape)| {
            let shape: Dims = shape.iter().map(|d| d.eval(binding)).collect();
            let buffer = eval::buffer_for(*dtype, numel("a draw", &shape)?);
            Ok(Room { dtype: *dtype, shape, buffer })
        };
        let mut rooms = types.iter().map(room).collect::<Result<Vec<Room>>>()?;
        let before: Vec<Mt19937> = self.generators.iter().map(|g| g.lock().clone()).collect();
        fill(types, &self.items, binding, (0, 0), &mut rooms);
        let states = self.generators.iter().zip(before).map(|(g, before)| {
            let after = g.lock().clone();
            (g.clone(), before, after)
        });
        let tensors = types.iter().zip(rooms);
        let tensors = tensors.map(|((i, ..), r)| (*i, eval::fresh(r.dtype, &r.shape, r.buffer)));
        Ok(Drawn { states: states.collect(), tensors: tensors.collect() })
    }
}

/// Does the items of one step, which is number `at.0` of those of all loops around it, `at.1` of them.
fn fill(types: &[(usize, DType, Shape)], items: &[Item], binding: &Binding, at: (usize, usize), rooms: &mut [Room]) {
    for item in items {
        match item {
            Item::Seed { generator, seed } => *generator.lock() = Mt19937::new(*seed),
            Item::Draw { generator, kind, input } => {
                let i = types.binary_search_by_key(input, |(n, ..)| *n).expect("every draw has its input");
                let room = &mut rooms[i];
                let n: usize = room.shape[at.1..].iter().product();
                kind.fill(&mut generator.lock(), &mut room.buffer, room.dtype, at.0 * n..(at.0 + 1) * n);
            }
            Item::Loop { length, reverse, items } => {
                let length = length.eval(binding);
                for i in 0..length {
                    let t = if *reverse { length - 1 - i } else { i };
                    fill(types, items, binding, (at.0 * length + t, at.1 + 1), rooms);
                }
            }
        }
    }
}

impl Inner {
    /// A tensor that each call draws: an input of the whole program, and in loops an element of it for each step.
    ///
    /// # Errors
    /// Where it is not known before the run how often it is drawn, and when it should be one that was drawn before and is
    /// of another type.
    pub(crate) fn draw(&mut self, draw: &Draw<'_>) -> Result<(Tensor, usize)> {
        let at = self.current();
        let name = draw.kind.name();
        self.draws_known(name)?;
        let (dtype, sizes) = (draw.dtype, Cow::Borrowed(draw.sizes));
        let made = self.made(Event::Draw { dtype, sizes, name, again: draw.recomputed })?;
        let input = draw.recomputed.unwrap_or_else(|| {
            let input = self.sources.len();
            self.sources.push(Source::Draw);
            self.note(Item::Draw { generator: draw.generator.clone(), kind: draw.kind.clone(), input });
            input
        });
        Ok((self.tensor(at, &made), input))
    }

    /// That every call knows, before it runs, how often this place in the program is passed.
    ///
    /// # Errors
    /// In a loop whose number of steps is a value, and in a branch.
    pub(crate) fn draws_known(&self, what: &str) -> Result<()> {
        let unknown = self.open.iter().find(|open| open.kind != LoopKind::All);
        match unknown {
            None => Ok(()),
            Some(open) => {
                let place = match open.kind {
                    LoopKind::While => "the body of a while_loop, whose number of steps",
                    _ => "a branch of a cond, or the walk back through one or through a while_loop, where what is run",
                };
                Err(Error::Trace(format!(
                    "{what} is called in {place} is not known before the call has run, and all random numbers of a call are drawn before; \
                     draw outside and pass the numbers in, or carry them"
                )))
            }
        }
    }

    pub(crate) fn note(&mut self, item: Item<Size>) {
        self.draws.last_mut().expect("the whole program is open").push(item);
    }

    /// The draws of a loop body that has ended become those of each step.
    pub(crate) fn end_draws(&mut self, Open { length, reverse, kind, .. }: Open) {
        let items = self.draws.pop().expect("a loop is open");
        // No other loop has draws, but for one that is given up.
        if !items.is_empty() && kind == LoopKind::All {
            self.note(Item::Loop { length, reverse, items });
        }
    }
}

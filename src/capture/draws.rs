//! The random numbers of a capture: which draws the program makes, in its order, and drawing them for a call. A draw in
//! a loop is one for each iteration, made before the run in the order in which the iterations would run. Nothing is drawn while
//! recording, and what is done with the numbers is the graph's.

use crate::backend::Memory;
use crate::capture::symbols::Binding;
use crate::device::Device;
use crate::error::Result;
use crate::kernels::rng::Mt19937;
use crate::tensor::draw::Kind;
use crate::tensor::{Generator, Size, Tensor, TensorType, eval};
use allotrope_ir::{DType, Dim, Graph, Shape};

/// One thing that a call does with generators.
#[derive(Clone)]
pub(crate) enum Item<D = Dim> {
    /// Draws the elements of an input, those of this iteration where it is in loops.
    Draw { generator: Generator, kind: Kind, input: usize },
    /// Starts the streams of a seed.
    Seed { generator: Generator, seed: u64 },
    /// Does these once for each iteration of a loop.
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
}

/// What the draws fill.
pub(crate) struct Fills {
    /// The type of each input that is drawn, by number, in ascending order.
    types: Vec<(usize, DType, Shape)>,
}

/// What a call has drawn, and how to undo it.
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
struct Pending {
    ty: TensorType,
    memory: Memory,
}

impl Fills {
    /// What is filled in a graph, where `drawn` says for each input whether it is drawn.
    pub(crate) fn of(drawn: impl Iterator<Item = bool>, graph: &Graph) -> Fills {
        let types = drawn
            .zip(graph.input_values())
            .enumerate()
            .filter(|(_, (drawn, _))| *drawn)
            .map(|(i, (_, value))| (i, graph.ty(value).dtype, graph.ty(value).shape.clone()))
            .collect();
        Fills { types }
    }
}

impl Draws {
    /// The draws of a recording; `length` says what a loop's length is.
    pub(crate) fn new(items: Vec<Item<Size>>, length: &dyn Fn(Size) -> Dim) -> Draws {
        Draws::of(items.into_iter().map(|i| i.map(length)).collect())
    }

    pub(crate) fn of(items: Vec<Item>) -> Draws {
        let mut generators = Vec::new();
        items.iter().for_each(|i| i.generators(&mut generators));
        Draws { items, generators }
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
    /// Before anything is drawn, where a shape is too large.
    pub(crate) fn run(&self, device: Device, fills: &Fills, binding: &Binding) -> Result<Drawn> {
        let types = &fills.types;
        let drawn = |(_, dtype, shape): &(usize, DType, Shape)| {
            let ty = TensorType::new(*dtype, shape.iter().map(|d| d.eval(binding)).collect())?;
            let memory = eval::allocate(Device::Cpu, &ty)?;
            Ok(Pending { ty, memory })
        };
        let mut pending = types.iter().map(drawn).collect::<Result<Vec<Pending>>>()?;
        let before: Vec<Mt19937> = self.generators.iter().map(|g| g.lock().clone()).collect();
        fill(types, &self.items, binding, (0, 0), &mut pending);
        let states = self.generators.iter().zip(before).map(|(g, before)| {
            let after = g.lock().clone();
            (g.clone(), before, after)
        });
        let mut drawn = Drawn { states: states.collect(), tensors: Vec::with_capacity(types.len()) };
        for ((i, ..), p) in types.iter().zip(pending) {
            // Drawn by the host on every device, so the streams are the same.
            let here = eval::fresh(Device::Cpu, p.ty, p.memory);
            match eval::transferred(&here, device) {
                Ok(tensor) => drawn.tensors.push((*i, tensor)),
                Err(e) => {
                    drawn.undo();
                    return Err(e);
                }
            }
        }
        Ok(drawn)
    }
}

/// Does the items of one iteration, which is number `at.0` of those of all loops around it, `at.1` of them.
fn fill(
    types: &[(usize, DType, Shape)],
    items: &[Item],
    binding: &Binding,
    at: (usize, usize),
    pending: &mut [Pending],
) {
    for item in items {
        match item {
            Item::Seed { generator, seed } => *generator.lock() = Mt19937::new(*seed),
            Item::Draw { generator, kind, input } => {
                let i = types.binary_search_by_key(input, |(n, ..)| *n).expect("every draw has its input");
                let drawn = &mut pending[i];
                let n: usize = drawn.ty.shape()[at.1..].iter().product();
                kind.fill(&mut generator.lock(), &mut drawn.memory, drawn.ty.dtype(), at.0 * n..(at.0 + 1) * n);
            }
            Item::Loop { length, reverse, items } => {
                let length = length.eval(binding);
                for i in 0..length {
                    let t = if *reverse { length - 1 - i } else { i };
                    fill(types, items, binding, (at.0 * length + t, at.1 + 1), pending);
                }
            }
        }
    }
}

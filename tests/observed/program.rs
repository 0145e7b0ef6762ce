//! A random program as data: the steps of a closure, what it returns, and what happens around each of its calls.

use crate::step::{self, Step};
use crate::world::World;
use allotrope::prelude::*;
use std::fmt;

/// How a tensor lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    Dense,
    Transposed,
    /// The middle of a larger tensor.
    Narrowed,
    /// Every second element.
    Stepped,
    /// One row, repeated.
    Expanded,
}

/// A tensor made for a call.
#[derive(Clone, Copy)]
pub struct Fresh {
    pub shape: [u8; 2],
    /// 0, 1 or 2 axes.
    pub rank: u8,
    pub layout: Layout,
    pub requires_grad: bool,
    /// Computed from a leaf, instead of one.
    pub history: bool,
    pub seed: u8,
}

/// What is passed to the closure.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    Fresh(Fresh),
    /// The parameter, which the closure captures too.
    Parameter,
    /// The parameter's gradient, where there is one.
    ParameterGrad,
    /// What the cell holds, which the closure captures too.
    Cell,
    /// The first argument once more.
    First,
    /// A view of the parameter.
    View,
    /// A result of the call before.
    Result(u8),
}

/// Something that the caller does between two calls. Numbers are places among all that it holds.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Another tensor in the cell: a new one, or a view of something that lives on.
    Exchange(u8),
    /// Changes elements that others may show too.
    Change(u8),
    /// The same, recorded on the tape.
    ChangeRecorded(u8),
    Backward {
        of: u8,
        retain: bool,
    },
    /// The derivative of one thing with respect to another.
    Grad {
        of: u8,
        by: u8,
        create: bool,
    },
    /// Keeps the gradient of something that is computed, then goes backward from something else.
    RetainGrad {
        kept: u8,
        of: u8,
    },
    /// A hook that doubles, then a backward pass.
    Hook {
        on: u8,
        of: u8,
    },
    /// Holds on to a gradient.
    HoldGrad(u8),
    ClearGrad(u8),
}

#[derive(Clone, Debug)]
pub struct Call {
    pub before: Vec<Action>,
    pub args: [Argument; 2],
    pub after: Vec<Action>,
}

#[derive(Clone)]
pub struct Program {
    pub parameter: Fresh,
    /// What the cell holds at first, as of [`Action::Exchange`].
    pub cell: u8,
    pub steps: Vec<Step>,
    /// Places in the pool, counted from its end.
    pub returned: Vec<u8>,
    pub calls: Vec<Call>,
}

impl Program {
    /// The closure.
    pub fn run(&self, world: &World, args: [&Tensor; 2]) -> Vec<Tensor> {
        let [a, b] = args.map(Tensor::clone);
        let mut pool = vec![world.parameter.clone(), world.cell.borrow().clone(), b, a];
        for step in &self.steps {
            step::run(step, &mut pool, &world.around());
        }
        self.returned.iter().map(|&i| pool[pool.len() - 1 - i as usize % pool.len()].clone()).collect()
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = &self.shape[2 - usize::from(self.rank)..];
        let grad = match (self.requires_grad, self.history) {
            (false, _) => "",
            (true, false) => ", requires grad",
            (true, true) => ", with a history",
        };
        write!(f, "{shape:?} {:?}, seed {}{grad}", self.layout, self.seed)
    }
}

/// One line for each step and each call.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "parameter {:?}, cell {}", self.parameter, self.cell % 8)?;
        for Step { op, a, b, n, plain } in &self.steps {
            writeln!(f, "  {op:?} of {a} and {b}, {n:?}{}", if *plain { ", no_grad" } else { "" })?;
        }
        writeln!(f, "  returns {:?}", self.returned)?;
        for Call { before, args, after } in &self.calls {
            writeln!(f, "before {before:?}; call {args:?}; after {after:?}")?;
        }
        Ok(())
    }
}

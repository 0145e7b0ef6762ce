//! The guards of a variant: what must hold for a call to run its code, and what does not where one fails, in words.
//! Checking changes nothing.

use super::captured::{Captured, Source, Target};
use super::rooms::Rooms;
use crate::autograd::is_grad_enabled;
use crate::tensor::{Flag, Tensor};
use allotrope_ir::{DType, Dim};

/// The numbers of the symbols in one call.
pub(super) type Binding = smallvec::SmallVec<[usize; 8]>;

/// One thing that must hold of the sizes.
enum Guard {
    /// The axis has this size.
    Size { arg: usize, axis: usize, value: usize },
    /// The axis gives symbol `sym` its number.
    Bind { arg: usize, axis: usize, sym: usize },
    /// The axis has the size that the expression gives.
    Equal { arg: usize, axis: usize, dim: Dim },
    /// The expression is at least this.
    AtLeast { dim: Dim, least: usize },
}

/// What is fixed about an argument.
struct ArgType {
    dtype: DType,
    rank: usize,
    requires_grad: bool,
    /// Whether it lay in row-major order, where the program changes it in place: which views of it share elements depends
    /// on that.
    dense: Option<bool>,
    /// The argument before it that is the same tensor, where a gradient is wanted: it has one then, not two.
    same_as: Option<usize>,
}

/// The first argument that is the same tensor as argument `i`, where it needs a gradient.
pub(super) fn same_as(args: &[&Tensor], i: usize) -> Option<usize> {
    let first = || args[..i].iter().position(|a| a.is_same(args[i]));
    if args[i].is_requires_grad() { first() } else { None }
}

/// Everything that the capture of a variant depended on.
#[derive(Default)]
pub(super) struct Guards {
    /// Where every call is recorded, how many things a recording asks that it stands for; nothing else matters then.
    recorded: Option<usize>,
    args: Vec<ArgType>,
    sizes: Vec<Guard>,
    symbols: usize,
    /// Symbols that no argument has.
    pub(super) rooms: Rooms,
    /// Whether a tensor from outside needs a gradient, for those that the program reads.
    state_flags: Vec<(Tensor, bool)>,
    /// Whether a tensor from outside has a gradient when a call begins.
    grads: Vec<(Tensor, bool)>,
    /// The same for arguments, by number.
    arg_grads: Vec<(usize, bool)>,
    flags: Vec<(Flag, bool)>,
    grad_enabled: bool,
}

/// The first guard that a call does not meet.
#[derive(Clone, Copy)]
pub(super) enum Mismatch {
    Count,
    DType(usize),
    Rank(usize),
    RequiresGrad(usize),
    Layout(usize),
    SameAs(usize),
    GradMode,
    StateFlag(usize),
    Grad(usize),
    ArgGrad(usize),
    Flag(usize),
    Size(usize),
}

impl Guards {
    /// The guards of what was captured with these arguments.
    pub(super) fn new(captured: &Captured, args: &[&Tensor]) -> Guards {
        let changed = |i: usize| captured.wiring.targets.iter().any(|t| matches!(t, Target::Arg(j) if *j == i));
        let (sizes, symbols) = sizes(captured);
        let arg = |(i, a): (usize, &&Tensor)| ArgType {
            dtype: a.dtype(),
            rank: a.dim(),
            requires_grad: a.is_requires_grad(),
            dense: changed(i).then(|| a.is_contiguous()),
            same_as: same_as(args, i),
        };
        let flag = |s: &Source| match s {
            Source::State(t) => Some((t.clone(), t.is_requires_grad())),
            _ => None,
        };
        Guards {
            recorded: None,
            args: args.iter().enumerate().map(arg).collect(),
            sizes,
            symbols,
            rooms: Rooms::new(&captured.symbols.rooms),
            state_flags: captured.wiring.sources.iter().filter_map(flag).collect(),
            grads: captured.depended.grads.clone(),
            arg_grads: captured.depended.arg_grads.clone(),
            flags: captured.depended.flags.clone(),
            grad_enabled: is_grad_enabled(),
        }
    }

    /// That a recording asks for the same things, so many of them.
    pub(super) fn recorded(captured: &Captured, asked: usize) -> Guards {
        let (_, symbols) = sizes(captured);
        Guards { recorded: Some(asked), symbols, rooms: Rooms::new(&captured.symbols.rooms), ..Guards::default() }
    }

    /// The numbers of the symbols, if the variant stands for a call with these arguments.
    ///
    /// # Errors
    /// The first guard that does not hold.
    pub(super) fn check(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        let holds = |yes: bool, otherwise: Mismatch| if yes { Ok(()) } else { Err(otherwise) };
        holds(args.len() == self.args.len(), Mismatch::Count)?;
        for (i, (a, ty)) in args.iter().zip(&self.args).enumerate() {
            holds(a.dtype() == ty.dtype, Mismatch::DType(i))?;
            holds(a.dim() == ty.rank, Mismatch::Rank(i))?;
            holds(a.is_requires_grad() == ty.requires_grad, Mismatch::RequiresGrad(i))?;
            holds(ty.dense.is_none_or(|dense| dense == a.is_contiguous()), Mismatch::Layout(i))?;
            if ty.requires_grad {
                let from_outside = self.state_flags.iter().any(|(t, _)| t.is_same(a));
                holds(same_as(args, i) == ty.same_as && !from_outside, Mismatch::SameAs(i))?;
            }
        }
        holds(self.grad_enabled == is_grad_enabled(), Mismatch::GradMode)?;
        let first = |found: Option<usize>, of: fn(usize) -> Mismatch| found.map_or(Ok(()), |i| Err(of(i)));
        first(self.state_flags.iter().position(|(t, on)| t.is_requires_grad() != *on), Mismatch::StateFlag)?;
        first(self.grads.iter().position(|(t, some)| t.has_grad() != *some), Mismatch::Grad)?;
        first(self.arg_grads.iter().position(|(i, some)| args[*i].has_grad() != *some), Mismatch::ArgGrad)?;
        first(self.flags.iter().position(|(flag, on)| flag.peek() != *on), Mismatch::Flag)?;
        self.bind(args)
    }

    /// The binding of a recording in which the symbols have these numbers.
    pub(super) fn binding(&self, numbers: &[usize]) -> Binding {
        let mut binding: Binding = numbers.iter().take(self.symbols).copied().collect();
        self.rooms.bind(&mut binding);
        binding
    }

    /// The numbers of the symbols for these arguments, if every guard on sizes holds.
    fn bind(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        let mut binding = Binding::from_elem(0, self.symbols);
        self.rooms.bind(&mut binding);
        for (i, g) in self.sizes.iter().enumerate() {
            let holds = match g {
                Guard::Size { arg, axis, value } => args[*arg].shape_hint()[*axis] == *value,
                Guard::Bind { arg, axis, sym } => {
                    binding[*sym] = args[*arg].shape_hint()[*axis];
                    true
                }
                Guard::Equal { arg, axis, dim } => dim.eval(&binding) == args[*arg].shape_hint()[*axis],
                Guard::AtLeast { dim, least } => dim.eval(&binding) >= *least,
            };
            if !holds {
                return Err(Mismatch::Size(i));
            }
        }
        Ok(binding)
    }

    /// What did not hold, in words.
    pub(super) fn words(&self, mismatch: Mismatch, args: &[&Tensor]) -> String {
        let wants = |on: bool| if on { "needs a gradient" } else { "needs no gradient" };
        let has = |on: bool| if on { "has a gradient" } else { "has no gradient" };
        match mismatch {
            Mismatch::Count => format!("{} arguments, not {}", args.len(), self.args.len()),
            Mismatch::DType(i) => format!("argument {i} is {}, not {}", args[i].dtype(), self.args[i].dtype),
            Mismatch::Rank(i) => format!("argument {i} has {} axes, not {}", args[i].dim(), self.args[i].rank),
            Mismatch::RequiresGrad(i) => format!("argument {i} now {}", wants(args[i].is_requires_grad())),
            Mismatch::Layout(i) => format!("argument {i}, which is changed in place, lies otherwise in memory"),
            Mismatch::SameAs(i) => format!("argument {i} is the same tensor as another one, or no longer"),
            Mismatch::GradMode => format!("gradients are {}", if is_grad_enabled() { "enabled" } else { "disabled" }),
            Mismatch::StateFlag(i) => {
                let (t, on) = &self.state_flags[i];
                format!("a tensor from outside of shape {:?} now {}", t.shape_hint(), wants(!on))
            }
            Mismatch::Grad(i) => {
                let (t, some) = &self.grads[i];
                format!("a tensor from outside of shape {:?} now {}", t.shape_hint(), has(!some))
            }
            Mismatch::ArgGrad(i) => format!("argument {} now {}", self.arg_grads[i].0, has(!self.arg_grads[i].1)),
            Mismatch::Flag(i) => format!("a flag is {}", !self.flags[i].1),
            Mismatch::Size(i) => {
                let of = |arg: &usize, axis: &usize| args[*arg].shape_hint()[*axis];
                match &self.sizes[i] {
                    Guard::Size { arg, axis, value } => {
                        format!("axis {axis} of argument {arg} is {}, not {value}", of(arg, axis))
                    }
                    Guard::Bind { .. } => unreachable!("bug in allotrope: a binding cannot fail"),
                    Guard::Equal { arg, axis, dim } => {
                        format!("axis {axis} of argument {arg} is {}, not {dim}", of(arg, axis))
                    }
                    Guard::AtLeast { dim, least } => format!("{dim} is less than {least}"),
                }
            }
        }
    }
}

impl std::fmt::Display for Guards {
    /// One line for each.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(asked) = self.recorded {
            return writeln!(
                f,
                "the closure does the same as when it was recorded, {asked} things one after the other"
            );
        }
        for (i, a) in self.args.iter().enumerate() {
            let grad = if a.requires_grad { ", needs a gradient" } else { "" };
            let dense = match a.dense {
                Some(true) => ", contiguous",
                Some(false) => ", not contiguous",
                None => "",
            };
            let same = a.same_as.map_or_else(String::new, |j| format!(", the same tensor as argument {j}"));
            writeln!(f, "argument {i}: {} with {} axes{grad}{dense}{same}", a.dtype, a.rank)?;
        }
        for g in &self.sizes {
            match g {
                Guard::Size { arg, axis, value } => writeln!(f, "axis {axis} of argument {arg} is {value}")?,
                Guard::Bind { arg, axis, sym } => writeln!(f, "axis {axis} of argument {arg} is s{sym}, any size")?,
                Guard::Equal { arg, axis, dim } => writeln!(f, "axis {axis} of argument {arg} is {dim}")?,
                Guard::AtLeast { dim, least } => writeln!(f, "{dim} is at least {least}")?,
            }
        }
        writeln!(f, "gradients are {}", if self.grad_enabled { "enabled" } else { "disabled" })?;
        let wanting = self.state_flags.iter().filter(|(_, on)| *on).count();
        if !self.state_flags.is_empty() {
            writeln!(f, "{wanting} of {} tensors from outside need gradients", self.state_flags.len())?;
        }
        let having = |of: usize, all: usize, what: &str| match all {
            0 => String::new(),
            _ => format!("{of} of {all} {what} have gradients when a call begins\n"),
        };
        let (all, some) = (self.grads.len(), self.grads.iter().filter(|(_, some)| *some).count());
        f.write_str(&having(some, all, "tensors from outside"))?;
        let (all, some) = (self.arg_grads.len(), self.arg_grads.iter().filter(|(_, some)| *some).count());
        f.write_str(&having(some, all, "arguments"))?;
        self.flags.iter().try_for_each(|(_, on)| writeln!(f, "a flag is {on}"))
    }
}

/// The guards on sizes, bindings before what is computed from them, and the number of symbols.
fn sizes(captured: &Captured) -> (Vec<Guard>, usize) {
    let graph = &captured.graph;
    let mut bound = std::collections::HashSet::new();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for (source, value) in captured.wiring.sources.iter().zip(graph.input_values()) {
        let Source::Arg(arg) = *source else { continue };
        for (axis, dim) in graph.ty(value).shape.iter().enumerate() {
            match (dim.as_fixed(), dim.as_sym()) {
                (Some(value), _) => first.push(Guard::Size { arg, axis, value }),
                (_, Some(s)) if bound.insert(s) => first.push(Guard::Bind { arg, axis, sym: s.0 as usize }),
                _ => later.push(Guard::Equal { arg, axis, dim: dim.clone() }),
            }
        }
    }
    later.extend(captured.symbols.least.iter().filter_map(|(dim, least)| match dim.as_fixed() {
        Some(_) => None,
        None => Some(Guard::AtLeast { dim: dim.clone(), least: *least }),
    }));
    first.extend(later);
    let symbols = graph.symbols().last().map_or(0, |s| s.0 as usize + 1);
    (first, symbols.max(bound.iter().map(|s| s.0 as usize + 1).max().unwrap_or(0)))
}

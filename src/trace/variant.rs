//! One compiled variant of a traced closure: the guards that say for which calls it stands, the graph, and the code.

use super::call::Plan;
use super::captured::{Captured, Returned, Source};
use super::closure::{Args, Traceable};
use super::draws::Draws;
use super::panic_message;
use super::recorder::Capture;
use super::symbols::{FIRST_ROOM, Specialization};
use crate::autograd::is_grad_enabled;
use crate::codegen::{Compiled, KernelInfo, Options};
use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::tensor::storage::Buffer;
use crate::tensor::{Flag, Tensor, recorder as slot};
use allotrope_ir::passes::{Passes, optimize_with};
use allotrope_ir::{DType, Dim, Graph, Sym};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The numbers of the symbols in one call.
pub(super) type Binding = smallvec::SmallVec<[usize; 8]>;

/// One thing that must hold for a call.
pub(super) enum Guard {
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
pub(super) struct ArgType {
    pub(super) dtype: DType,
    pub(super) rank: usize,
    pub(super) requires_grad: bool,
    /// Whether it lay in row-major order, which matters where it is changed in place.
    pub(super) dense: bool,
    /// The argument before it that is the same tensor, where a gradient is wanted: it has one then, not two.
    same_as: Option<usize>,
}

/// The first argument that is the same tensor as argument `i`, where it needs a gradient.
fn same_as(args: &[&Tensor], i: usize) -> Option<usize> {
    let first = || args[..i].iter().position(|a| a.is_same(args[i]));
    if args[i].is_requires_grad() { first() } else { None }
}

pub(super) struct Variant {
    pub(super) args: Vec<ArgType>,
    pub(super) guards: Vec<Guard>,
    pub(super) symbols: usize,
    /// For how many steps loops have room: symbols that calls bind to what was enough so far.
    rooms: Vec<(Sym, AtomicUsize)>,
    /// Whether a tensor from outside needs a gradient, for those that the program reads.
    pub(super) state_flags: Vec<(Tensor, bool)>,
    /// Whether a tensor from outside has a gradient when a call begins.
    pub(super) grad_guards: Vec<(Tensor, bool)>,
    /// The same for arguments, by number.
    arg_grad_guards: Vec<(usize, bool)>,
    pub(super) flags: Vec<(Flag, bool)>,
    pub(super) grad_enabled: bool,
    pub(super) sources: Vec<Source>,
    pub(super) draws: Draws,
    pub(super) plan: Plan,
    pub(super) cleared: Vec<Tensor>,
    pub(super) cleared_args: Vec<usize>,
    pub(super) returned: Vec<Returned>,
    pub(super) compiled: Compiled,
    pub(super) scratch: Buffer,
    /// The symbol values that the scratch is known to be large enough for.
    pub(super) scratch_for: Option<Binding>,
    captured: Graph,
    optimized: Graph,
    specializations: Vec<Specialization>,
    phases: Vec<(String, Duration)>,
    total: Duration,
}

impl Variant {
    /// Records `closure` on arguments like these, and compiles it. Gives what it returned as a template.
    ///
    /// It is recorded twice: a closure that does something else the second time depends on Rust values that change
    /// (a counter, a growing list, a host generator), and compiled code would go on with those of one call.
    pub(super) fn capture<F, const N: usize>(
        closure: &mut F,
        args: &[&Tensor],
        passes: &Passes,
    ) -> Result<(Variant, F::Output)>
    where
        F: Traceable<N>,
    {
        let start = Instant::now();
        let (first, first_returned, _) = record::<F, N>(closure, args)?;
        let (captured, returned, output) = record::<F, N>(closure, args)?;
        if let Some(what) = first.difference(&captured).or_else(|| Returned::difference(&first_returned, &returned)) {
            return Err(Error::Trace(format!(
                "the closure was recorded twice and did something else the second time, so it depends on a Rust value \
                 that changes between calls: {what}. Pass that value as an argument, keep it in a tensor that the \
                 closure changes in place, or branch on a Flag"
            )));
        }
        let recorded = start.elapsed();
        let variant = Variant::compile(captured, returned, args, passes, recorded)?;
        Ok((variant, output))
    }

    fn compile(
        captured: Captured,
        returned: Vec<Returned>,
        args: &[&Tensor],
        passes: &Passes,
        recorded: Duration,
    ) -> Result<Variant> {
        let start = Instant::now();
        let mut phases = vec![("record".to_string(), recorded)];
        let optimized =
            optimize_with(&captured.graph, passes, &mut |name, _, time| phases.push((name.to_string(), time)));
        let compiled = compile(&optimized, &Options::default())?;
        phases.extend(compiled.phases().iter().map(|(name, time)| (name.to_string(), *time)));
        let (guards, symbols) = guards(&captured);
        let state_flags = captured
            .sources
            .iter()
            .filter_map(|s| match s {
                Source::State(t) => Some((t.clone(), t.is_requires_grad())),
                _ => None,
            })
            .collect();
        let arg = |(i, a): (usize, &&Tensor)| ArgType {
            dtype: a.dtype(),
            rank: a.dim(),
            requires_grad: a.is_requires_grad(),
            dense: a.is_contiguous(),
            same_as: same_as(args, i),
        };
        Ok(Variant {
            args: args.iter().enumerate().map(arg).collect(),
            guards,
            symbols,
            rooms: captured.symbols.rooms.iter().map(|s| (*s, AtomicUsize::new(FIRST_ROOM))).collect(),
            state_flags,
            grad_guards: captured.grad_guards,
            arg_grad_guards: captured.arg_grad_guards,
            flags: captured.flags,
            grad_enabled: is_grad_enabled(),
            plan: Plan::new(&optimized, &captured.sources, &captured.targets),
            sources: captured.sources,
            draws: captured.draws,
            cleared: captured.cleared,
            cleared_args: captured.cleared_args,
            returned,
            compiled,
            scratch: Buffer::new(0),
            scratch_for: None,
            captured: captured.graph,
            optimized,
            specializations: captured.symbols.specializations,
            phases,
            total: recorded + start.elapsed(),
        })
    }

    /// The numbers of the symbols, if the variant stands for a call with these arguments.
    pub(super) fn fits(&self, args: &[&Tensor]) -> Option<Binding> {
        let from_outside = |a: &Tensor| self.state_flags.iter().any(|(t, _)| t.is_same(a));
        let same = |(i, ty): (usize, &ArgType)| {
            let a = args[i];
            a.dtype() == ty.dtype
                && a.dim() == ty.rank
                && a.is_requires_grad() == ty.requires_grad
                // Which views of it share elements depends on how it lies.
                && (ty.dense == a.is_contiguous() || !self.plan.changes(i))
                && (!ty.requires_grad || (same_as(args, i) == ty.same_as && !from_outside(a)))
        };
        let holds = args.len() == self.args.len()
            && self.args.iter().enumerate().all(same)
            && self.grad_enabled == is_grad_enabled()
            && self.state_flags.iter().all(|(t, on)| t.is_requires_grad() == *on)
            && self.grad_guards.iter().all(|(t, some)| t.stored_grad().is_some() == *some)
            && self.arg_grad_guards.iter().all(|(i, some)| args[*i].stored_grad().is_some() == *some)
            && self.flags.iter().all(|(flag, on)| flag.peek() == *on);
        if holds { self.bind(args) } else { None }
    }

    /// The numbers of the symbols for these arguments, if every guard on sizes holds.
    fn bind(&self, args: &[&Tensor]) -> Option<Binding> {
        let mut binding = Binding::from_elem(0, self.symbols);
        for (s, room) in &self.rooms {
            if let Some(n) = binding.get_mut(s.0 as usize) {
                *n = room.load(Ordering::Relaxed);
            }
        }
        for g in &self.guards {
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
                return None;
            }
        }
        Some(binding)
    }

    /// Makes room for twice as many steps of a loop.
    ///
    /// # Errors
    /// Where no memory could hold what they collect.
    pub(super) fn make_room(&self, limit: &Dim, binding: &mut Binding) -> Result<()> {
        let found = self.rooms.iter().find(|(s, _)| limit.as_sym() == Some(*s));
        let (s, room) = found.ok_or_else(|| Error::Trace(format!("bug in allotrope: a loop has room for {limit}")))?;
        let steps = binding[s.0 as usize];
        let scratch = self.compiled.scratch_bytes(binding);
        if scratch > isize::MAX as usize / 4 || steps > usize::MAX / 4 {
            return Err(Error::Trace(format!(
                "a while_loop goes on after {steps} steps, and what its gradient needs of each does not fit into memory; \
                 carry a counter and let the condition end it"
            )));
        }
        binding[s.0 as usize] = 2 * steps;
        room.fetch_max(2 * steps, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn compile_time(&self) -> Duration {
        self.total
    }

    /// Why dimensions became numbers, for a warning.
    pub(super) fn reasons(&self) -> String {
        match self.specializations.is_empty() {
            true => "arguments of many dtypes, ranks or gradient flags".to_string(),
            false => {
                let each = self.specializations.iter().map(|s| format!("{} ({}, now {})", s.why, s.at, s.value));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }

    pub(super) fn captured(&self) -> &Graph {
        &self.captured
    }

    pub(super) fn optimized(&self) -> &Graph {
        &self.optimized
    }

    pub(super) fn clif(&self) -> Result<String> {
        let compiled = compile(&self.optimized, &Options { keep_clif: true })?;
        Ok(compiled.clif().unwrap_or_default().to_string())
    }

    pub(super) fn kernels(&self) -> &[KernelInfo] {
        self.compiled.kernels()
    }

    pub(super) fn specializations(&self) -> &[Specialization] {
        &self.specializations
    }

    pub(super) fn phases(&self) -> &[(String, Duration)] {
        &self.phases
    }

    pub(super) fn code_size(&self) -> usize {
        self.compiled.code_size()
    }
}

fn compile(graph: &Graph, options: &Options) -> Result<Compiled> {
    Compiled::compile(graph, options).map_err(|e| Error::Compile(e.to_string()))
}

/// Runs the closure on traced arguments.
fn record<F, const N: usize>(closure: &mut F, args: &[&Tensor]) -> Result<(Captured, Vec<Returned>, F::Output)>
where
    F: Traceable<N>,
{
    let capture = Rc::new(Capture::new());
    let mut traced: Vec<Tensor> = Vec::with_capacity(args.len());
    for (i, a) in args.iter().enumerate() {
        traced.push(same_as(args, i).map_or_else(|| capture.argument(i, a), |first| traced[first].clone()));
    }
    for (i, (t, a)) in traced.iter().zip(args).enumerate() {
        if a.is_requires_grad() && !a.is_leaf() {
            return Err(Error::Argument(format!(
                "argument {i} was computed from tensors that need gradients; its history cannot enter a trace: pass it with detach()"
            )));
        }
        debug_assert_eq!(t.is_requires_grad(), a.is_requires_grad());
    }
    let refs: Args<'_> = traced.iter().collect();
    let recorder: Rc<dyn slot::Recorder> = capture.clone();
    let output =
        catch_unwind(AssertUnwindSafe(|| slot::with(Some(recorder), || closure.run(&refs)))).map_err(panic_message)?;
    let mut returned = Vec::new();
    output.flatten(&mut returned);
    let capture = Rc::into_inner(capture).expect("the recorder is no longer installed");
    let (captured, returned) = capture.finish(&returned)?;
    Ok((captured, returned, output))
}

/// The guards on sizes, bindings before what is computed from them, and the number of symbols.
fn guards(captured: &Captured) -> (Vec<Guard>, usize) {
    let graph = &captured.graph;
    let mut bound = std::collections::HashSet::new();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for (source, value) in captured.sources.iter().zip(graph.input_values()) {
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

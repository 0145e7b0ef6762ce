//! One compiled variant of a traced closure: the guards that say for which calls it stands, the graph, and the code. It is
//! never changed once made: calls from several threads share it.

use super::call::Plan;
use super::captured::{Captured, Returned, Source, Target};
use super::closure::{Args, Traceable};
use super::draws::Draws;
use super::guards::{Binding, Guards, Mismatch, same_as};
use super::hot::{Kept, SpecializeHot};
use super::log;
use super::outer::Outer;
use super::recorder::Capture;
use super::stage::{Recorded, watchers};
use super::symbols::Specialization;
use crate::autograd::scope;
use crate::autograd::tape::next_seq;
use crate::codegen::{Compiled, KernelInfo, Options};
use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::tensor::anchor::Anchor;
use crate::tensor::setting::HostValue;
use crate::tensor::{Tensor, recorder as slot};
use allotrope_ir::passes::{Passes, optimize_with};
use allotrope_ir::{Dim, Graph, Sym};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Variant {
    pub(super) guards: Guards,
    /// Values on the host that each call sets.
    pub(super) effects: Vec<Arc<dyn HostValue>>,
    pub(super) sources: Vec<Source>,
    pub(super) draws: Draws,
    pub(super) plan: Plan,
    pub(super) cleared: Vec<Anchor>,
    pub(super) cleared_args: Vec<usize>,
    pub(super) returned: Vec<Returned>,
    /// Where each output of the captured graph goes.
    pub(super) targets: Vec<Target>,
    /// The way back from outside, where a result needs a gradient.
    pub(super) outer: Option<Outer>,
    pub(super) compiled: Compiled,
    pub(super) kept: Kept,
    pub(super) hot: SpecializeHot,
    pub(super) passes: Passes,
    /// Why it was made, in words.
    pub(super) reason: String,
    captured: Graph,
    optimized: Graph,
    specializations: Vec<Specialization>,
    phases: Vec<(String, Duration)>,
    total: Duration,
}

/// Makes the guards of what was captured, given what it returned and the arguments that it changes.
type MakeGuards<'a> = dyn Fn(&Captured, &[Returned], &[usize]) -> Guards + 'a;

/// How a traced function was asked to compile.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) passes: Passes,
    pub(super) hot: SpecializeHot,
}

impl Variant {
    /// Records `closure` on arguments like these, and compiles it. Gives what it returned as a template.
    ///
    /// It is recorded twice: a closure that does something else the second time depends on Rust values that change
    /// (a counter, a growing list, a host generator), and compiled code would go on with those of one call.
    pub(super) fn capture<F, const N: usize>(
        closure: &mut F,
        args: &[&Tensor],
        manner: &Manner,
        reason: &str,
    ) -> Result<(Variant, F::Output)>
    where
        F: Traceable<N>,
    {
        let start = Instant::now();
        let (first, first_returned, _) = record::<F, N>(closure, args, (&manner.passes, None))?;
        let nothing = Graph::new();
        let like = first.recorded.as_ref().map_or(&nothing, |r| &r.walk);
        let (captured, returned, output) = record::<F, N>(closure, args, (&manner.passes, Some(like)))?;
        if let Some(what) = first.difference(&captured).or_else(|| Returned::difference(&first_returned, &returned)) {
            return Err(Error::Trace(format!(
                "the closure was recorded twice and did something else the second time, so it depends on a Rust value \
                 that changes between calls: {what}. Pass that value as an argument, keep it in a tensor that the \
                 closure changes in place, or branch on a Flag"
            )));
        }
        let recorded = start.elapsed();
        let guards = |captured: &Captured, returned: &[Returned], changed: &[usize]| {
            Guards::new(captured, returned, args, changed)
        };
        let variant = Variant::compile(captured, returned, &guards, manner, ("record", recorded), reason)?;
        Ok((variant, output))
    }

    /// Compiles what was captured. `guards` makes them, given the arguments that are changed; `before` is the phase that
    /// the capture came from, with its time.
    pub(super) fn compile(
        mut captured: Captured,
        returned: Vec<Returned>,
        guards: &MakeGuards<'_>,
        manner: &Manner,
        before: (&str, Duration),
        reason: &str,
    ) -> Result<Variant> {
        let start = Instant::now();
        let mut phases = vec![(before.0.to_string(), before.1)];
        let optimized =
            optimize_with(&captured.graph, &manner.passes, &mut |name, _, time| phases.push((name.to_string(), time)));
        let compiled = compile(&optimized, &Options::default())?;
        phases.extend(compiled.phases().iter().map(|(name, time)| (name.to_string(), *time)));
        let outer = captured.recorded.take().map(Outer::new);
        let plan = Plan::new(&optimized, &captured.sources, &captured.targets);
        let variant = Variant {
            guards: guards(&captured, &returned, plan.changed()),
            plan,
            effects: captured.effects,
            sources: captured.sources,
            draws: captured.draws,
            cleared: captured.cleared,
            cleared_args: captured.cleared_args,
            returned,
            targets: captured.targets,
            outer,
            compiled,
            kept: Kept::default(),
            hot: manner.hot,
            passes: manner.passes,
            reason: reason.to_string(),
            captured: captured.graph,
            optimized,
            specializations: captured.symbols.specializations,
            phases,
            total: before.1 + start.elapsed(),
        };
        log::compiled(&variant);
        Ok(variant)
    }

    /// The numbers of the symbols, if the variant stands for a call with these arguments.
    ///
    /// # Errors
    /// The first guard that does not hold.
    pub(super) fn fits(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        self.guards.check(args)
    }

    /// The code for these symbol values only.
    pub(super) fn compile_for(&self, binding: &Binding) -> Result<Compiled> {
        let mut graph = self.captured.clone();
        // Room for steps may have to grow during a call.
        let number = |s: Sym| match binding.get(s.0 as usize) {
            Some(&n) if !self.guards.rooms.contains(s) => Dim::fixed(n),
            _ => Dim::sym(s),
        };
        graph.resolve(&|dim| dim.substitute(&number));
        compile(&self.optimize(&graph), &Options::default())
    }

    /// A graph after the passes that this variant was compiled with.
    pub(super) fn optimize(&self, graph: &Graph) -> Graph {
        optimize_with(graph, &self.passes, &mut |_, _, _| {})
    }

    /// Makes room for more steps of a loop.
    ///
    /// # Errors
    /// Where no memory could hold what they collect.
    pub(super) fn make_room(&self, limit: &Dim, binding: &mut Binding) -> Result<()> {
        self.guards.rooms.grow(limit, &self.compiled, binding)
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
        let compiled = compile(&self.optimized, &Options { keep_clif: true, ..Options::default() })?;
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

/// Runs the closure on traced arguments. What it returned keeps its structure only: its tensors are placeholders. The way
/// back from its results is recorded too; `how` has the passes for that, and what it was in another recording.
pub(super) fn record<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    how: (&Passes, Option<&Graph>),
) -> Result<(Captured, Vec<Returned>, F::Output)>
where
    F: Traceable<N>,
{
    let capture = Rc::new(Capture::new());
    let mut traced: Vec<Tensor> = Vec::with_capacity(args.len());
    for (i, a) in args.iter().enumerate() {
        traced.push(same_as(args, i).map_or_else(|| capture.argument(i, a), |first| traced[first].clone()));
    }
    for (i, a) in args.iter().enumerate() {
        if a.traced().is_some() {
            return Err(Error::Argument(format!(
                "argument {i} is a value of a trace that has ended, which has no elements; return it from that closure"
            )));
        }
    }
    let watchers: Vec<usize> = traced.iter().map(watchers).collect();
    let refs: Args<'_> = traced.iter().collect();
    let recorder: Rc<dyn slot::Recorder> = capture.clone();
    let border = next_seq();
    let run = || scope::apart(|| slot::with(Some(recorder), || closure.run(&refs)));
    let output = catch_unwind(AssertUnwindSafe(run)).map_err(Error::caught)?;
    let mut returned = Vec::new();
    output.flatten(&mut returned);
    let recorded = Recorded::new(&capture, &capture.computed(&returned), &traced, &watchers, border, how)?;
    let capture = Rc::into_inner(capture).expect("the recorder is no longer installed");
    let (captured, returned) = capture.finish(&returned, recorded)?;
    // The recorded tensors would keep the recording alive.
    let nothing = Tensor::scalar(0.0f32);
    let template = output.unflatten(&mut std::iter::repeat(nothing));
    Ok((captured, returned, template))
}

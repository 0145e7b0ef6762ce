//! One compiled variant of a traced closure: the guards that say for which calls it stands, the graph, and the code. It is
//! never changed once made: calls from several threads share it.

use crate::autograd::scope;
use crate::backend::cpu::{Compiled, Options};
use crate::capture::builder::Program;
use crate::capture::captured::{Captured, Depended, Wiring};
use crate::capture::closure::{Args, Traceable};
use crate::capture::random::Fills;
use crate::capture::recorder::Capture;
use crate::capture::replay_cache::Ended;
use crate::capture::symbols::Specialization;
use crate::error::{Error, Result};
use crate::inspect::log;
use crate::mode;
use crate::mode::recorder::Recorder;
use crate::ops::TensorTree;
use crate::partition::stage::{Recorded, watchers};
use crate::runtime::call::{Bound, Frame, Results};
use crate::runtime::guards::{Binding, Guards, Mismatch, same_as};
use crate::runtime::outer::Outer;
use crate::runtime::specialize::{Kept, SpecializeHot};
use crate::schedule::describe::KernelInfo;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::next_seq;
use allotrope_ir::passes::{Passes, optimize_with};
use allotrope_ir::{Dim, Graph, Sym};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(crate) struct Variant {
    pub(crate) guards: Guards,
    /// The tensors of every call, where they are always the same.
    bound: Bound,
    pub(crate) frame: Frame,
    /// The way back from outside, where a result needs a gradient.
    pub(crate) outer: Option<Outer>,
    pub(crate) compiled: Compiled,
    pub(crate) kept: Kept,
    pub(crate) hot: SpecializeHot,
    pub(crate) passes: Passes,
    /// Why it was made, in words.
    pub(crate) reason: String,
    captured: Graph,
    optimized: Graph,
    specializations: Vec<Specialization>,
    phases: Vec<(String, Duration)>,
    total: Duration,
}

/// How a traced function was asked to compile.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) passes: Passes,
    pub(crate) hot: SpecializeHot,
}

impl Variant {
    /// Records `closure` on arguments like these, and compiles it. Gives what it returned as a template.
    ///
    /// It is recorded twice: a closure that does something else the second time depends on Rust values that change
    /// (a counter, a growing list, a host generator), and compiled code would go on with those of one call.
    pub(crate) fn capture<F, const N: usize>(
        closure: &mut F,
        args: &[&Tensor],
        manner: &Manner,
        reason: &str,
    ) -> Result<(Variant, F::Output)>
    where
        F: Traceable<N>,
    {
        let start = Instant::now();
        let (first, _) = Captured::record::<F, N>(closure, args, (&manner.passes, None))?;
        let nothing = Graph::new();
        let like = first.recorded.as_ref().map_or(&nothing, |r| &r.walk);
        let (captured, output) = Captured::record::<F, N>(closure, args, (&manner.passes, Some(like)))?;
        if let Some(what) = first.difference(&captured) {
            return Err(Error::Trace(format!(
                "the closure was recorded twice and did something else the second time, so it depends on a Rust value \
                 that changes between calls: {what}. Pass that value as an argument, keep it in a tensor that the \
                 closure changes in place, or branch on a Flag"
            )));
        }
        let recorded = start.elapsed();
        let guards = Guards::new(&captured, args);
        let variant = Variant::compile(captured, guards, manner, ("record", recorded), reason)?;
        Ok((variant, output))
    }

    /// Compiles what was captured. `before` is the phase that the capture came from, with its time.
    pub(crate) fn compile(
        captured: Captured,
        guards: Guards,
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
        let outer = captured.recorded.map(Outer::new);
        let frame = Frame::new(&optimized, captured.fills);
        let variant = Variant {
            guards,
            bound: Bound::new(&frame, captured.wiring),
            frame,
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
    pub(crate) fn fits(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        self.guards.check(args)
    }

    /// Runs the compiled code on arguments that fit, with the numbers that they give the symbols.
    pub(crate) fn call(&self, args: &[&Tensor], binding: Binding) -> Result<Results> {
        self.bound.call(self, args, binding)
    }

    /// As [`Variant::call`], where the numbers of the symbols are asked about before each run.
    pub(crate) fn call_where(
        &self,
        args: &[&Tensor],
        binding: Binding,
        check: impl Fn(&Binding) -> Result<()>,
    ) -> Result<Results> {
        self.bound.call_where(self, args, binding, check)
    }

    /// That a call with these arguments has inputs that it can use.
    ///
    /// # Errors
    /// Where an argument shares its elements with what is changed.
    pub(crate) fn check_inputs(&self, args: &[&Tensor]) -> Result<()> {
        self.bound.check_inputs(args)
    }

    /// The tensors of every call, where they are always the same.
    pub(crate) fn wiring(&self) -> &Wiring {
        &self.bound.wiring
    }

    /// The code for these symbol values only.
    pub(crate) fn compile_for(&self, binding: &Binding) -> Result<Compiled> {
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
    pub(crate) fn optimize(&self, graph: &Graph) -> Graph {
        optimize_with(graph, &self.passes, &mut |_, _, _| {})
    }

    /// Makes room for more steps of a loop.
    ///
    /// # Errors
    /// Where no memory could hold what they collect.
    pub(crate) fn make_room(&self, limit: &Dim, binding: &mut Binding) -> Result<()> {
        self.guards.rooms.grow(limit, &self.compiled, binding)
    }

    pub(crate) fn compile_time(&self) -> Duration {
        self.total
    }

    /// Why dimensions became numbers, for a warning.
    pub(crate) fn reasons(&self) -> String {
        match self.specializations.is_empty() {
            true => "arguments of many dtypes, ranks or gradient flags".to_string(),
            false => {
                let each = self.specializations.iter().map(|s| format!("{} ({}, now {})", s.why, s.at, s.value));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }

    pub(crate) fn captured(&self) -> &Graph {
        &self.captured
    }

    pub(crate) fn optimized(&self) -> &Graph {
        &self.optimized
    }

    pub(crate) fn clif(&self) -> Result<String> {
        let compiled = compile(&self.optimized, &Options { keep_clif: true, ..Options::default() })?;
        Ok(compiled.clif().unwrap_or_default().to_string())
    }

    pub(crate) fn kernels(&self) -> &[KernelInfo] {
        self.compiled.kernels()
    }

    pub(crate) fn specializations(&self) -> &[Specialization] {
        &self.specializations
    }

    pub(crate) fn phases(&self) -> &[(String, Duration)] {
        &self.phases
    }

    pub(crate) fn code_size(&self) -> usize {
        self.compiled.code_size()
    }
}

fn compile(graph: &Graph, options: &Options) -> Result<Compiled> {
    Compiled::compile(graph, options).map_err(|e| Error::Compile(e.to_string()))
}

impl Captured {
    /// Runs the closure on traced arguments. What it returned keeps its structure only: its tensors are placeholders. The
    /// way back from its results is recorded too; `how` has the passes for that, and what it was in another recording.
    pub(crate) fn record<F, const N: usize>(
        closure: &mut F,
        args: &[&Tensor],
        how: (&Passes, Option<&Graph>),
    ) -> Result<(Captured, F::Output)>
    where
        F: Traceable<N>,
    {
        let Recording { ended, wiring, depended, recorded, output } =
            record::<F, N>(closure, args, Capture::plain(), Some(how))?;
        let Ended::New { program, .. } = ended else { unreachable!("bug in allotrope: there was nothing to follow") };
        let captured = Captured::new(*program, wiring, depended, recorded);
        // The recorded tensors would keep the recording alive.
        let nothing = Tensor::scalar(0.0f32);
        let template = output.unflatten(&mut std::iter::repeat(nothing));
        Ok((captured, template))
    }

    /// What a recording made that followed no other one.
    pub(crate) fn new(
        mut program: Program,
        wiring: Wiring,
        depended: Depended,
        recorded: Option<Recorded>,
    ) -> Captured {
        let graph = program.finish();
        let fills = Fills::new(&mut program, &graph);
        Captured { graph, fills, symbols: program.symbols, wiring, depended, recorded }
    }
}

/// What one run of a closure on traced arguments gave.
pub(crate) struct Recording<R> {
    pub(crate) ended: Ended,
    pub(crate) wiring: Wiring,
    pub(crate) depended: Depended,
    pub(crate) recorded: Option<Recorded>,
    pub(crate) output: R,
}

/// Runs the closure on traced arguments. With `how`, the way back from its results is recorded too: the passes for that,
/// and what it was in another recording.
pub(crate) fn record<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    capture: Capture,
    how: Option<(&Passes, Option<&Graph>)>,
) -> Result<Recording<F::Output>>
where
    F: Traceable<N>,
{
    let capture = Rc::new(capture);
    let mut traced: Vec<Tensor> = Vec::with_capacity(args.len());
    for (i, a) in args.iter().enumerate() {
        traced.push(match same_as(args, i) {
            Some(first) => traced[first].clone(),
            None => capture.argument(i, a)?,
        });
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
    let recorder: Rc<dyn Recorder> = capture.clone();
    let border = next_seq();
    let run = || scope::isolated(|| mode::with(Some(recorder), || closure.run(&refs)));
    let output = catch_unwind(AssertUnwindSafe(run)).map_err(Error::caught)?;
    let mut returned = Vec::new();
    output.flatten(&mut returned);
    let recorded = match how {
        Some(how) => Recorded::new(&capture, &capture.computed(&returned), &traced, &watchers, border, how)?,
        None => None,
    };
    let capture = Rc::into_inner(capture).expect("the recorder is no longer installed");
    let keep = recorded.as_ref().map_or(&[][..], |r| &r.outputs);
    let (ended, wiring, depended) = capture.finish(&returned, keep)?;
    Ok(Recording { ended, wiring, depended, recorded, output })
}

//! One compiled variant of a traced closure: the guards that say for which calls it stands, the graph, and the code. It is
//! never changed once made: calls from several threads share it.

use super::call::{Bound, Frame, Results};
use super::captured::{Captured, Depended, Wiring};
use super::closure::{Args, Traceable};
use super::draws::Fills;
use super::follow::{Ended, Script};
use super::guards::{Binding, Guards, Mismatch, same_as};
use super::hot::{Kept, SpecializeHot};
use super::panic_message;
use super::program::Program;
use super::recorder::Capture;
use super::symbols::Specialization;
use crate::codegen::{Compiled, KernelInfo, Options};
use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::tensor::{Tensor, recorder as slot};
use allotrope_ir::passes::{Passes, optimize_with};
use allotrope_ir::{Dim, Graph, Sym};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(super) struct Variant {
    pub(super) guards: Guards,
    /// The tensors of every call, where they are always the same.
    bound: Bound,
    pub(super) frame: Frame,
    pub(super) compiled: Compiled,
    pub(super) kept: Kept,
    pub(super) hot: SpecializeHot,
    passes: Passes,
    /// Why it was made, in words.
    pub(super) reason: String,
    captured: Graph,
    optimized: Graph,
    specializations: Vec<Specialization>,
    phases: Vec<(String, Duration)>,
    total: Duration,
}

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
        let (first, _) = Captured::record::<F, N>(closure, args)?;
        let (captured, output) = Captured::record::<F, N>(closure, args)?;
        if let Some(what) = first.difference(&captured) {
            return Err(Error::Trace(format!(
                "the closure was recorded twice and did something else the second time, so it depends on a Rust value \
                 that changes between calls: {what}. Pass that value as an argument, keep it in a tensor that the \
                 closure changes in place, or branch on a Flag"
            )));
        }
        let recorded = start.elapsed();
        let guards = Guards::new(&captured, args);
        let variant = Variant::compile(captured, guards, manner, recorded, reason)?;
        Ok((variant, output))
    }

    /// Compiles what was captured.
    pub(super) fn compile(
        captured: Captured,
        guards: Guards,
        manner: &Manner,
        recorded: Duration,
        reason: &str,
    ) -> Result<Variant> {
        let start = Instant::now();
        let mut phases = vec![("record".to_string(), recorded)];
        let optimized =
            optimize_with(&captured.graph, &manner.passes, &mut |name, _, time| phases.push((name.to_string(), time)));
        let compiled = compile(&optimized, &Options::default())?;
        phases.extend(compiled.phases().iter().map(|(name, time)| (name.to_string(), *time)));
        let frame = Frame::new(&optimized, captured.fills);
        Ok(Variant {
            guards,
            bound: Bound::new(&frame, captured.wiring),
            frame,
            compiled,
            kept: Kept::default(),
            hot: manner.hot,
            passes: manner.passes,
            reason: reason.to_string(),
            captured: captured.graph,
            optimized,
            specializations: captured.symbols.specializations,
            phases,
            total: recorded + start.elapsed(),
        })
    }

    /// The numbers of the symbols, if the variant stands for a call with these arguments.
    ///
    /// # Errors
    /// The first guard that does not hold.
    pub(super) fn fits(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        self.guards.check(args)
    }

    /// Runs the compiled code on arguments that fit, with the numbers that they give the symbols.
    pub(super) fn call(&self, args: &[&Tensor], binding: Binding) -> Result<Results> {
        self.bound.call(self, args, binding)
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
        compile(&optimize_with(&graph, &self.passes, &mut |_, _, _| {}), &Options::default())
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

impl Captured {
    /// Runs the closure on traced arguments. What it returned keeps its structure only: its tensors are placeholders.
    fn record<F, const N: usize>(closure: &mut F, args: &[&Tensor]) -> Result<(Captured, F::Output)>
    where
        F: Traceable<N>,
    {
        let (ended, wiring, depended, output) = record::<F, N>(closure, args, Script::plain())?;
        let Ended::New { program, .. } = ended else { unreachable!("bug in allotrope: there was nothing to follow") };
        let captured = Captured::new(*program, wiring, depended);
        // The recorded tensors would keep the recording alive.
        let nothing = Tensor::scalar(0.0f32);
        let template = output.unflatten(&mut std::iter::repeat(nothing));
        Ok((captured, template))
    }

    /// What a recording made that followed no other one.
    pub(super) fn new(mut program: Program, wiring: Wiring, depended: Depended) -> Captured {
        let graph = program.finish();
        let fills = Fills::new(&mut program, &graph);
        Captured { graph, fills, symbols: program.symbols, wiring, depended }
    }
}

/// Runs the closure on traced arguments.
pub(super) fn record<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    script: Script,
) -> Result<(Ended, Wiring, Depended, F::Output)>
where
    F: Traceable<N>,
{
    let capture = Rc::new(Capture::new(script));
    let mut traced: Vec<Tensor> = Vec::with_capacity(args.len());
    for (i, a) in args.iter().enumerate() {
        traced.push(match same_as(args, i) {
            Some(first) => traced[first].clone(),
            None => capture.argument(i, a)?,
        });
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
    let (ended, wiring, depended) = capture.finish(&returned)?;
    Ok((ended, wiring, depended, output))
}

//! One compiled variant of a traced closure: the guards that say for which calls it stands, the graph, and the code. It is
//! never changed once made: calls from several threads share it.

use crate::backend::CompileOptions;
use crate::capture::captured::{Captured, Wiring};
use crate::capture::closure::Traceable;
use crate::capture::symbols::{Binding, Specialization};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::partition::closure::{BackwardOptions, PartitionedClosure};
use crate::runtime::backward::Backward;
use crate::runtime::call::{Bound, CodeSignature};
use crate::runtime::execute::{Code, Results, compile};
use crate::runtime::guards::{Guards, Mismatch};
use crate::runtime::log;
use crate::runtime::record::{Recorded, record};
use crate::runtime::sharing::ArgumentPlan;
use crate::runtime::specialize::{SpecializeHot, WorkspacePool};
use crate::schedule::KernelInfo;
use crate::tensor::Tensor;
use allotrope_ir::passes::{Pass, Passes, optimize_with};
use allotrope_ir::{Dim, Graph, Sym};
use std::time::{Duration, Instant};

pub(crate) struct Variant {
    pub(crate) guards: Guards,
    /// The tensors of every call, where they are always the same.
    bound: Bound,
    pub(crate) signature: CodeSignature,
    /// For backward passes from outside, where a result needs a gradient.
    pub(crate) backward: Option<Backward>,
    pub(crate) compiled: Code,
    pub(crate) workspaces: WorkspacePool,
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
pub(crate) struct TraceOptions {
    pub(crate) passes: Passes,
    pub(crate) hot: SpecializeHot,
    /// Whether the closure is called eagerly instead.
    pub(crate) disabled: bool,
}

impl Default for TraceOptions {
    fn default() -> TraceOptions {
        TraceOptions { passes: Passes::ALL, hot: SpecializeHot::default(), disabled: false }
    }
}

impl TraceOptions {
    /// Which passes run; whether checks of unused values are asked stays as it is.
    pub(crate) fn set_passes(&mut self, passes: Passes) {
        let asked = !self.passes.contains(Pass::EliminateUnusedChecks);
        self.passes = passes;
        if !asked {
            self.set_unused_checks(false);
        }
    }

    pub(crate) fn set_unused_checks(&mut self, asked: bool) {
        let pass = Pass::EliminateUnusedChecks;
        self.passes = if asked { self.passes.without(pass) } else { self.passes.with(pass) };
    }
}

impl Variant {
    /// Records `closure` on arguments like these, and compiles it. Gives what it returned as a template.
    ///
    /// It is recorded twice: a closure that does something else the second time depends on Rust values that change
    /// (a counter, a growing list, a host generator), and compiled code would go on with those of one call.
    pub(crate) fn capture<F, const N: usize>(
        closure: &mut F,
        args: &[&Tensor],
        options: &TraceOptions,
        reason: &str,
    ) -> Result<(Variant, F::Output)>
    where
        F: Traceable<N>,
    {
        let start = Instant::now();
        let passes = &options.passes;
        let first = record::<F, N>(closure, args, ArgumentPlan::of(args), BackwardOptions { passes, like: None })?;
        let nothing = Graph::new();
        let like = Some(first.partitioned.as_ref().map_or(&nothing, |p| &p.backward));
        let second = record::<F, N>(closure, args, first.plan.clone(), BackwardOptions { passes, like })?;
        if let Some(what) = first.captured.difference(&second.captured) {
            return Err(Error::trace(format!(
                "the closure was recorded twice and did something else the second time, so it depends on a Rust value \
                 that changes between calls: {what}. Pass that value as an argument, keep it in a tensor that the \
                 closure changes in place, or branch on a Flag"
            )));
        }
        let recorded = start.elapsed();
        let Recorded { captured, partitioned, template, plan, sharing } = second;
        let guards = Guards::new(&captured, args, &plan, sharing);
        let variant = Variant::compile(captured, partitioned, guards, options, ("record", recorded), reason)?;
        Ok((variant, template))
    }

    /// Compiles what was captured. `before` is the phase that the capture came from, with its time.
    pub(crate) fn compile(
        captured: Captured,
        partitioned: Option<PartitionedClosure>,
        guards: Guards,
        options: &TraceOptions,
        before: (&str, Duration),
        reason: &str,
    ) -> Result<Variant> {
        let start = Instant::now();
        let mut phases = vec![(before.0.to_string(), before.1)];
        let optimized =
            optimize_with(&captured.graph, &options.passes, &mut |name, _, time| phases.push((name.to_string(), time)));
        let compiled = compile(captured.device, &optimized, &CompileOptions::default())?;
        phases.extend(compiled.phases.iter().map(|(name, time)| (name.to_string(), *time)));
        let backward = partitioned.map(Backward::new);
        let signature = CodeSignature::new(&optimized, captured.fills);
        let variant = Variant {
            guards,
            bound: Bound::new(&signature, captured.wiring),
            signature,
            backward,
            compiled,
            workspaces: WorkspacePool::default(),
            hot: options.hot,
            passes: options.passes,
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
    pub(crate) fn compile_for(&self, binding: &Binding) -> Result<Code> {
        let mut graph = self.captured.clone();
        // The capacity of loops may have to grow during a call.
        let number = |s: Sym| match binding.get(s.0 as usize) {
            Some(&n) if !self.guards.capacities.contains(s) => Dim::fixed(n),
            _ => Dim::sym(s),
        };
        graph.resolve(&|dim| dim.substitute(&number));
        compile(self.device(), &self.optimize(&graph), &CompileOptions::default())
    }

    /// Where the code runs.
    pub(crate) fn device(&self) -> Device {
        self.compiled.device
    }

    /// A graph after the passes that this variant was compiled with.
    pub(crate) fn optimize(&self, graph: &Graph) -> Graph {
        optimize_with(graph, &self.passes, &mut |_, _, _| {})
    }

    /// Gives a loop capacity for more iterations.
    ///
    /// # Errors
    /// Where no memory could hold what they collect.
    pub(crate) fn grow_capacity(&self, limit: &Dim, binding: &mut Binding) -> Result<()> {
        self.guards.capacities.grow(limit, &self.compiled, binding)
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

    /// The code as text: what ran last where that was kept, or made again for reading.
    pub(crate) fn code(&self) -> Result<String> {
        if let Some(text) = self.compiled.text() {
            return Ok(text.to_string());
        }
        let options = CompileOptions { keep_text: true, ..CompileOptions::default() };
        let compiled = compile(self.device(), &self.optimized, &options)?;
        Ok(compiled.text().unwrap_or_default().to_string())
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

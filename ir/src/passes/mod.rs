//! The passes: pure functions from graph to graph that keep every result to the bit (NaN payloads aside) and every error,
//! one that must be asked for aside, and the pipeline, one visible list. A pass knows nothing of devices or code; which passes run is the caller's choice.

mod batch;
mod eliminate_common_subexpressions;
mod eliminate_dead_code;
mod eliminate_unused_checks;
mod fold_constants;
mod fuse_add_matmul;
mod fuse_elementwise;
mod hoist_loop_invariants;
mod rewrite;
mod simplify;
mod transpose_products;

pub use eliminate_common_subexpressions::eliminate_common_subexpressions;
pub use eliminate_dead_code::eliminate_dead_code;
pub use eliminate_unused_checks::eliminate_unused_checks;
pub use fold_constants::fold_constants;
pub use fuse_add_matmul::fuse_add_matmul;
pub use fuse_elementwise::fuse_elementwise;
pub use hoist_loop_invariants::hoist_loop_invariants;
pub use simplify::{DTypes, Rule, simplify, simplify_rules};
pub use transpose_products::transpose_products;

use crate::{Graph, check};
use std::fmt;
use std::time::{Duration, Instant};

/// A pass; its name is that of its function and of its module.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pass {
    /// Not in [`Passes::ALL`]: an error of a check is lost where nothing uses what was checked.
    EliminateUnusedChecks,
    EliminateDeadCode,
    EliminateCommonSubexpressions,
    FoldConstants,
    Simplify,
    TransposeProducts,
    HoistLoopInvariants,
    FuseAddMatmul,
    FuseElementwise,
}

use Pass::*;

/// What [`optimize`] runs, in order. Cleaning comes before and after what moves code, fusion last: it is the form
/// that code generators take.
pub const PIPELINE: &[Pass] = &[
    EliminateUnusedChecks,
    EliminateDeadCode,
    EliminateCommonSubexpressions,
    FoldConstants,
    Simplify,
    EliminateCommonSubexpressions,
    TransposeProducts,
    HoistLoopInvariants,
    Simplify,
    EliminateCommonSubexpressions,
    EliminateDeadCode,
    FuseAddMatmul,
    FuseElementwise,
    EliminateDeadCode,
];

impl Pass {
    /// Every pass, in the order of its first run.
    pub const ALL: &'static [Pass] = &[
        EliminateUnusedChecks,
        EliminateDeadCode,
        EliminateCommonSubexpressions,
        FoldConstants,
        Simplify,
        TransposeProducts,
        HoistLoopInvariants,
        FuseAddMatmul,
        FuseElementwise,
    ];

    pub fn name(self) -> &'static str {
        match self {
            EliminateUnusedChecks => "eliminate_unused_checks",
            EliminateDeadCode => "eliminate_dead_code",
            EliminateCommonSubexpressions => "eliminate_common_subexpressions",
            FoldConstants => "fold_constants",
            Simplify => "simplify",
            TransposeProducts => "transpose_products",
            HoistLoopInvariants => "hoist_loop_invariants",
            FuseAddMatmul => "fuse_add_matmul",
            FuseElementwise => "fuse_elementwise",
        }
    }

    /// The pass of that name.
    pub fn from_name(name: &str) -> Option<Pass> {
        Pass::ALL.iter().copied().find(|p| p.name() == name)
    }

    /// Applies the pass.
    pub fn run(self, graph: &Graph) -> Graph {
        match self {
            EliminateUnusedChecks => eliminate_unused_checks(graph),
            EliminateDeadCode => eliminate_dead_code(graph),
            EliminateCommonSubexpressions => eliminate_common_subexpressions(graph),
            FoldConstants => fold_constants(graph),
            Simplify => simplify(graph),
            TransposeProducts => transpose_products(graph),
            HoistLoopInvariants => hoist_loop_invariants(graph),
            FuseAddMatmul => fuse_add_matmul(graph),
            FuseElementwise => fuse_elementwise(graph),
        }
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of passes: which of the pipeline run.
///
/// ```
/// use allotrope_ir::passes::{Pass, Passes};
/// let some = Passes::ALL.without(Pass::FuseElementwise);
/// assert!(!some.contains(Pass::FuseElementwise));
/// assert!(some.contains(Pass::Simplify));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Passes(u32);

impl Passes {
    /// Every pass that keeps what a program does, its errors included: all but [`Pass::EliminateUnusedChecks`].
    pub const ALL: Passes = Passes((1 << Pass::ALL.len()) - 1).without(EliminateUnusedChecks);
    pub const NONE: Passes = Passes(0);

    /// The set whose member `i` of [`Pass::ALL`] is there when bit `i` is set and [`Passes::ALL`] has it; other bits are ignored.
    pub fn from_bits(bits: u32) -> Passes {
        Passes(bits & Passes::ALL.0)
    }

    pub const fn with(self, pass: Pass) -> Passes {
        Passes(self.0 | 1 << pass as u32)
    }

    pub const fn without(self, pass: Pass) -> Passes {
        Passes(self.0 & !(1 << pass as u32))
    }

    pub fn contains(self, pass: Pass) -> bool {
        self.0 & 1 << pass as u32 != 0
    }

    /// The members, in the order of [`Pass::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Pass> {
        Pass::ALL.iter().copied().filter(move |p| self.contains(*p))
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Pass::name)
    }
}

impl Default for Passes {
    fn default() -> Passes {
        Passes::ALL
    }
}

impl FromIterator<Pass> for Passes {
    fn from_iter<I: IntoIterator<Item = Pass>>(passes: I) -> Passes {
        passes.into_iter().fold(Passes::NONE, Passes::with)
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Runs those passes of the pipeline that are in `passes`.
///
/// # Panics
/// In debug builds, when a pass breaks an invariant: a bug in this library.
pub fn optimize(graph: &Graph, passes: &Passes) -> Graph {
    optimize_with(graph, passes, &mut |_, _, _| {})
}

/// [`optimize`], showing the graph and the time taken after each pass.
///
/// # Panics
/// In debug builds, when a pass breaks an invariant: a bug in this library.
pub fn optimize_with(graph: &Graph, passes: &Passes, observe: &mut dyn FnMut(&'static str, &Graph, Duration)) -> Graph {
    let mut current: Option<Graph> = None;
    for pass in PIPELINE.iter().filter(|p| passes.contains(**p)) {
        let start = Instant::now();
        let next = pass.run(current.as_ref().unwrap_or(graph));
        observe(pass.name(), &next, start.elapsed());
        if cfg!(debug_assertions)
            && let Err(e) = check(&next)
        {
            panic!("bug in this library: {pass} broke the graph: {e}\nbefore:\n{}", current.as_ref().unwrap_or(graph));
        }
        current = Some(next);
    }
    current.unwrap_or_else(|| graph.clone())
}

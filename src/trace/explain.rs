//! What a traced function can tell of itself: why each variant was made, for which calls it stands, and what its code
//! does. It only reads.

use super::hot::HotCopy;
use super::symbols::Specialization;
use super::variant::Variant;
use crate::error::Result;
use std::sync::Arc;
use std::time::Duration;

/// What is known of one compiled variant. Printing it shows everything in short.
pub struct Explanation(pub(super) Arc<Variant>);

impl Explanation {
    /// Why the variant was made, in words.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// What must hold of a call that it stands for, a line each.
    pub fn guards(&self) -> String {
        self.0.guards.to_string()
    }

    /// The copy of the code that was tried for the sizes of the last call, where these have come often enough.
    pub fn hot_copy(&self) -> Option<HotCopy> {
        self.0.kept.report()
    }

    /// The captured graph in text form, before the passes.
    pub fn captured(&self) -> &allotrope_ir::Graph {
        self.0.captured()
    }

    /// The graph that code was made of.
    pub fn optimized(&self) -> &allotrope_ir::Graph {
        self.0.optimized()
    }

    /// The Cranelift code, made again for reading.
    ///
    /// # Errors
    /// When code cannot be generated.
    pub fn clif(&self) -> Result<String> {
        self.0.clif()
    }

    /// The fused kernels and calls of the compiled function.
    pub fn kernels(&self) -> &[crate::codegen::KernelInfo] {
        self.0.kernels()
    }

    /// Dimensions that became numbers, and why.
    pub fn specializations(&self) -> &[Specialization] {
        self.0.specializations()
    }

    /// Time taken by each phase of the compilation.
    pub fn phases(&self) -> &[(String, Duration)] {
        self.0.phases()
    }

    /// Bytes of machine code.
    pub fn code_size(&self) -> usize {
        self.0.code_size()
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "made because: {}", self.reason())?;
        let inputs: Vec<String> = self
            .captured()
            .inputs()
            .iter()
            .map(|i| {
                let v = allotrope_ir::Value { node: i.node, port: 0 };
                format!("{} {}", i.name, self.captured().ty(v))
            })
            .collect();
        writeln!(f, "inputs: {}", inputs.join(", "))?;
        writeln!(
            f,
            "nodes: {} captured, {} after the passes; {} bytes of code",
            self.captured().len(),
            self.optimized().len(),
            self.code_size()
        )?;
        for (phase, time) in self.phases() {
            writeln!(f, "  {phase}: {:.2} ms", time.as_secs_f64() * 1e3)?;
        }
        for s in self.specializations() {
            writeln!(f, "specialised to {} at {}: {}", s.value, s.at, s.why)?;
        }
        if let Some(hot) = self.hot_copy() {
            let [all, copy] = hot.times.map(|t| t.as_secs_f64() * 1e6);
            let done = if hot.kept { "runs now" } else { "was not faster" };
            writeln!(f, "a copy for the sizes {:?} {done}: {copy:.2} µs instead of {all:.2} µs", hot.sizes)?;
        }
        for k in self.kernels() {
            writeln!(f, "  {k}")?;
        }
        Ok(())
    }
}

//! What a traced function can tell of itself: why each variant was made, for which calls it stands, and what its code
//! does. It only reads.

use crate::capture::symbols::Specialization;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::runtime::dynamic::DynamicTraced;
use crate::runtime::specialize::HotCopy;
use crate::runtime::traced::Traced;
use crate::runtime::variant::Variant;
use crate::schedule::{BufferInfo, eager_peak_bytes};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// What is known of one compiled variant. Printing it shows everything in short.
pub struct Explanation(pub(crate) Arc<Variant>);

impl<F, R, const N: usize> Traced<F, R, N> {
    /// The compiled variants, most recently used first.
    pub fn explain(&self) -> Vec<Explanation> {
        self.variants().into_iter().map(Explanation).collect()
    }
}

impl<F, const N: usize> DynamicTraced<F, N> {
    /// The compiled variants, most recently used first.
    pub fn explain(&self) -> Vec<Explanation> {
        self.variants().into_iter().map(Explanation).collect()
    }
}

impl Explanation {
    /// Why the variant was made, in words.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Where the code runs.
    pub fn device(&self) -> Device {
        self.0.device()
    }

    /// What must hold of a call that it stands for, a line each.
    pub fn guards(&self) -> String {
        self.0.guards.to_string()
    }

    /// The copy of the code that was tried for the sizes of the last call, where these have come often enough.
    pub fn hot_copy(&self) -> Option<HotCopy> {
        self.0.workspaces.report()
    }

    /// The captured graph in text form, before the passes.
    pub fn captured(&self) -> &allotrope_ir::Graph {
        self.0.captured()
    }

    /// The graph that code was made of.
    pub fn optimized(&self) -> &allotrope_ir::Graph {
        self.0.optimized()
    }

    /// The code as text, made again for reading: in Cranelift's text form on the CPU, OpenCL C on a device of that kind,
    /// nothing where a backend has no text.
    ///
    /// # Errors
    /// When code cannot be generated.
    pub fn code(&self) -> Result<String> {
        self.0.code()
    }

    /// The Cranelift code, made again for reading.
    ///
    /// # Errors
    /// When code cannot be generated, and on other devices than the CPU, see [`Explanation::code`].
    pub fn clif(&self) -> Result<String> {
        match self.device() {
            Device::Cpu => self.code(),
            other => Err(Error::argument(format!("the code for {other} is not Cranelift's; code() gives it"))),
        }
    }

    /// The fused kernels and calls of the compiled function.
    pub fn kernels(&self) -> &[crate::schedule::KernelInfo] {
        self.0.kernels()
    }

    /// The pieces of scratch memory that were planned, in the order in which they come to life.
    pub fn buffers(&self) -> &[BufferInfo] {
        self.0.compiled.buffers()
    }

    /// The numbers of the symbols in the last call, if there was one.
    pub fn last_sizes(&self) -> Option<Vec<usize>> {
        self.0.workspaces.sizes().map(|sizes| sizes.to_vec())
    }

    /// Bytes that a call holds at its peak beside its inputs, where symbol `i` is `sizes[i]`: its results and what is
    /// computed on the way.
    ///
    /// # Panics
    /// When a symbol has no number.
    pub fn peak_bytes(&self, sizes: &[usize]) -> usize {
        self.0.compiled.peak_bytes(sizes)
    }

    /// What the eager mode would hold at least for the same operations.
    ///
    /// # Panics
    /// When a symbol has no number.
    pub fn eager_peak_bytes(&self, sizes: &[usize]) -> usize {
        eager_peak_bytes(self.captured(), sizes)
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
        if self.device() != Device::Cpu {
            writeln!(f, "runs on: {}", self.device())?;
        }
        self.0.compiled.remarks().iter().try_for_each(|remark| writeln!(f, "  {remark}"))?;
        writeln!(f, "stands for calls where")?;
        self.guards().lines().try_for_each(|guard| writeln!(f, "  {guard}"))?;
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
        write!(f, "nodes: {} captured, {} after the passes", self.captured().len(), self.optimized().len())?;
        match self.code_size() {
            0 => writeln!(f)?,
            n => writeln!(f, "; {n} bytes of code")?,
        }
        for (phase, time) in self.phases() {
            writeln!(f, "  {phase}: {:.2} ms", time.as_secs_f64() * 1e3)?;
        }
        let all: Duration = self.phases().iter().map(|(_, time)| *time).sum();
        writeln!(f, "  in all: {:.2} ms", all.as_secs_f64() * 1e3)?;
        let places: HashSet<usize> = self.buffers().iter().map(|b| b.place).collect();
        writeln!(f, "memory: {} buffers in {} places", self.buffers().len(), places.len())?;
        if let Some(sizes) = self.last_sizes() {
            let symbols: Vec<String> =
                self.captured().symbols().iter().map(|s| format!("{s}={}", sizes[s.0 as usize])).collect();
            let with = if symbols.is_empty() { String::new() } else { format!(" with {}", symbols.join(", ")) };
            let (traced, eager) = (bytes(self.peak_bytes(&sizes)), bytes(self.eager_peak_bytes(&sizes)));
            writeln!(f, "  at its peak{with}: {traced}, the eager mode at least {eager}")?;
        }
        for s in self.specializations() {
            writeln!(f, "specialised to {} at {}: {}", s.value, s.at, s.why)?;
        }
        if let Some(hot) = self.hot_copy() {
            let [all, copy] = hot.times.map(|t| t.as_secs_f64() * 1e6);
            let done = if hot.kept { "runs now" } else { "was not faster" };
            writeln!(f, "a copy for the sizes {:?} {done}: {copy:.2} µs instead of {all:.2} µs", hot.sizes)?;
        }
        writeln!(f, "kernels:")?;
        for k in self.kernels() {
            writeln!(f, "  {k}")?;
        }
        Ok(())
    }
}

/// A number of bytes, to be read.
fn bytes(n: usize) -> String {
    match n {
        0..1024 => format!("{n} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}

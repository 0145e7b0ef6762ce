//! How long each kernel of a variant takes: a report to read, and a Chrome trace to look at. Runs are made on copies, so
//! nothing is changed.

use crate::backend::{CompileOptions, KernelTime};
use crate::capture::closure::{Arguments, Traceable};
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::inspect::sandbox::Sandbox;
use crate::ops::TensorTree;
use crate::runtime::execute;
use crate::runtime::traced::{Traced, not_recording};
use crate::runtime::variant::Variant;
use crate::schedule::KernelInfo;
use crate::tensor::Tensor;
use serde_json::json;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Runs before those that count.
const WARM_UP: usize = 2;
/// Runs that count.
const RUNS: usize = 11;
/// Runs of kernels that a trace shows one by one.
const EVENTS: usize = 100_000;

/// How long the kernels of a traced call take, in the run whose total is the median of several.
#[derive(Clone, Debug)]
pub struct Profile {
    kernels: Vec<KernelInfo>,
    sizes: Vec<usize>,
    runs: usize,
    times: crate::backend::Profile,
}

impl<F, R, const N: usize> Traced<F, R, N>
where
    F: Traceable<N, Output = R>,
    R: TensorTree,
{
    /// Times each kernel of the code for these arguments, on copies: nothing is changed.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let f = trace(|x: &Tensor| x.matmul(x).tanh().sum());
    /// let profile = f.profile(&Tensor::ones(&[64, 64], DType::F32))?;
    /// println!("{profile}");
    /// assert!(profile.chrome_trace().contains("matmul"));
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Traced::call`], and inside a trace.
    pub fn profile<'a>(&self, args: impl Arguments<'a, N>) -> Result<Profile> {
        let args = args.tensors();
        not_recording("profile()")?;
        let (entry, binding) = self.entry(&args)?;
        entry.variant.check_inputs(&args)?;
        entry.variant.profile(&args, binding)
    }
}

impl Variant {
    /// Times the kernels on copies of what a call with these arguments would use.
    pub(crate) fn profile(&self, args: &[&Tensor], binding: Binding) -> Result<Profile> {
        let options = CompileOptions { profile: true, ..CompileOptions::default() };
        let code = execute::compile(self.device(), self.optimized(), &options)?;
        let mut sandbox = Sandbox::new(self, args, binding)?;
        let mut runs = Vec::new();
        for i in 0..WARM_UP + RUNS {
            let (_, times) = sandbox.run(self, &code, self.optimized(), Some(EVENTS))?;
            runs.extend(times.filter(|_| i >= WARM_UP));
        }
        runs.sort_by_key(|times| times.total);
        let times = runs.swap_remove(RUNS / 2);
        Ok(Profile { kernels: code.kernels().to_vec(), sizes: sandbox.binding.to_vec(), runs: RUNS, times })
    }
}

impl Profile {
    /// The kernels in the order of the program, each with how often it ran and how long that took altogether.
    pub fn kernels(&self) -> impl Iterator<Item = (&KernelInfo, KernelTime)> {
        self.kernels.iter().zip(self.times.kernels.iter().copied())
    }

    /// The whole run, the taking of times included.
    pub fn total(&self) -> Duration {
        self.times.total
    }

    /// The run in the format of Chrome's tracing (`chrome://tracing`, Perfetto): an object with a list of complete events,
    /// times in microseconds.
    pub fn chrome_trace(&self) -> String {
        let micros = |d: Duration| d.as_secs_f64() * 1e6;
        let whole =
            json!({ "name": "call", "ph": "X", "pid": 1, "tid": 1, "ts": 0.0, "dur": micros(self.times.total) });
        let events = self.times.events.iter().map(|e| {
            let k = &self.kernels[e.kernel];
            let space: Vec<String> = k.space.iter().map(|d| d.eval(&self.sizes).to_string()).collect();
            let args = json!({
                "kernel": e.kernel,
                "operations": k.ops,
                "space": space.join(" × "),
                "flop": k.flops.eval(&self.sizes),
                "bytes": k.bytes.eval(&self.sizes),
            });
            let (ts, dur) = (micros(e.start), micros(e.end.saturating_sub(e.start)));
            json!({ "name": k.name, "cat": "kernel", "ph": "X", "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": args })
        });
        let events: Vec<_> = std::iter::once(whole).chain(events).collect();
        json!({ "traceEvents": events, "displayTimeUnit": "ns", "otherData": { "dropped": self.times.dropped } })
            .to_string()
    }

    /// Writes [`Profile::chrome_trace`] to a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_chrome_trace(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let failed = |e: std::io::Error| Error::File {
            path: path.display().to_string(),
            message: format!("cannot be written: {e}"),
        };
        std::fs::write(path, self.chrome_trace()).map_err(failed)
    }
}

impl fmt::Display for Profile {
    /// One line for each kernel, those that take longest first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.times.total.as_secs_f64();
        let inside: Duration = self.times.kernels.iter().map(|k| k.total).sum();
        writeln!(
            f,
            "{:.2} µs a call, of {} runs the median; {:.2} µs in kernels",
            total * 1e6,
            self.runs,
            inside.as_secs_f64() * 1e6
        )?;
        writeln!(f, "{:>6} {:>10} {:>7} {:>8} {:>8}  kernel", "%", "µs", "runs", "Gflop/s", "GB/s")?;
        let mut order: Vec<(&KernelInfo, KernelTime)> = self.kernels().filter(|(_, t)| t.count > 0).collect();
        order.sort_by_key(|(_, t)| std::cmp::Reverse(t.total));
        for (k, t) in order {
            let seconds = t.total.as_secs_f64();
            let rate = |of: &allotrope_ir::Dim| of.eval(&self.sizes) as f64 * t.count as f64 / seconds.max(1e-9) / 1e9;
            let space: Vec<String> = k.space.iter().map(|d| d.eval(&self.sizes).to_string()).collect();
            writeln!(
                f,
                "{:>6.1} {:>10.2} {:>7} {:>8.2} {:>8.2}  {} [{}]: {}",
                100.0 * seconds / total.max(1e-9),
                seconds * 1e6,
                t.count,
                rate(&k.flops),
                rate(&k.bytes),
                k.name,
                space.join(", "),
                k.ops
            )?;
        }
        Ok(())
    }
}

//! One subject trained step by step in one mode.

use super::experiment::{Batch, StepResult, Subject};
use super::run::{KernelInfo, Mode, ParameterBits, Run};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inspect::explain::Explanation;
use crate::inspect::profile::Profile;
use crate::inspect::verify::Verification;
use crate::runtime::dynamic::{DynamicTraced, trace_dynamic};
use crate::runtime::traced::{Traced, trace};
use crate::tensor::Tensor;

/// A step whose arguments are in one row: those of the batch, then what is carried.
type Row = Box<dyn FnMut(&[Tensor]) -> StepResult>;

/// A closure of a slice.
const SLICE: usize = crate::capture::closure::SLICE;

enum Stepper {
    Eager(Row),
    Traced(Box<Traced<Row, StepResult, SLICE>>),
    Dynamic(Box<DynamicTraced<Row, SLICE>>),
}

/// A subject in one mode; times and compilations are asked of it afterwards. [`Experiment`](super::Experiment) is made of this.
pub struct Trainer {
    state: Vec<(String, Tensor)>,
    stepper: Stepper,
    carried: Vec<Tensor>,
}

impl Trainer {
    /// A subject in a mode; `dynamic` traces with [`trace_dynamic`].
    pub fn new(subject: Subject, mode: Mode, dynamic: bool) -> Trainer {
        let Subject { state, mut step, carried } = subject;
        let carries = carried.len();
        let row: Row = Box::new(move |row| {
            let (batch, carried) = row.split_at(row.len() - carries);
            step(batch, carried)
        });
        let stepper = match (mode, dynamic) {
            (Mode::Eager, _) => Stepper::Eager(row),
            (Mode::Traced, false) => Stepper::Traced(Box::new(trace(row))),
            (Mode::Traced, true) => Stepper::Dynamic(Box::new(trace_dynamic(row))),
        };
        Trainer { state, stepper, carried }
    }

    /// Makes one training step; gives its loss and its prediction, which are there when it returns.
    ///
    /// # Errors
    /// When a traced step fails, and when it carries over another number of tensors than it was given.
    pub fn step(&mut self, batch: &Batch) -> Result<(Tensor, Option<Tensor>)> {
        let row = self.row(batch);
        let StepResult { loss, prediction, carried } = match &mut self.stepper {
            Stepper::Eager(step) => step(&row),
            Stepper::Traced(step) => step.call(&row)?,
            Stepper::Dynamic(step) => step.call(&row)?,
        };
        if carried.len() != self.carried.len() {
            return Err(Error::argument(format!(
                "a step was given {} carried tensors and gave {}; `Subject::carrying` has the first ones",
                self.carried.len(),
                carried.len()
            )));
        }
        self.carried = carried;
        if loss.device() != Device::Cpu {
            // On a device a step is only enqueued, and reading waits for all that was.
            loss.try_to(Device::Cpu)?;
        }
        Ok((loss, prediction))
    }

    fn row(&self, batch: &Batch) -> Vec<Tensor> {
        batch.tensors.iter().chain(&self.carried).cloned().collect()
    }

    /// Compiled variants so far.
    pub fn compilations(&self) -> usize {
        match &self.stepper {
            Stepper::Eager(_) => 0,
            Stepper::Traced(step) => step.compilations(),
            Stepper::Dynamic(step) => step.compilations(),
        }
    }

    /// What compiling took so far.
    pub fn compile_seconds(&self) -> f64 {
        match &self.stepper {
            Stepper::Eager(_) => 0.0,
            Stepper::Traced(step) => step.compile_time().as_secs_f64(),
            Stepper::Dynamic(step) => step.compile_time().as_secs_f64(),
        }
    }

    /// What is known of the first compiled variant.
    pub fn explanation(&self) -> Option<Explanation> {
        let all = match &self.stepper {
            Stepper::Eager(_) => Vec::new(),
            Stepper::Traced(step) => step.explain(),
            Stepper::Dynamic(step) => step.explain(),
        };
        all.into_iter().next()
    }

    /// Both modes compared on this batch, on copies of all state.
    ///
    /// # Errors
    /// When the step was not traced by `trace`, and when it fails.
    pub fn verify(&self, batch: &Batch) -> Result<Verification> {
        self.traced()?.verify(&self.row(batch))
    }

    /// The times of the kernels on this batch.
    ///
    /// # Errors
    /// When the step was not traced by `trace`, and when it fails.
    pub fn profile(&self, batch: &Batch) -> Result<Profile> {
        self.traced()?.profile(&self.row(batch))
    }

    fn traced(&self) -> Result<&Traced<Row, StepResult, SLICE>> {
        match &self.stepper {
            Stepper::Traced(step) => Ok(step),
            Stepper::Eager(_) | Stepper::Dynamic(_) => Err(Error::argument("the step was not traced by `trace`")),
        }
    }

    /// What a run says when its steps are made.
    pub(super) fn finish(&self, run: &mut Run) -> Result<()> {
        run.compilations = self.compilations();
        run.compile_seconds = self.compile_seconds();
        run.kernels = self.explanation().map(|e| e.kernels().iter().map(kernel).collect()).unwrap_or_default();
        run.parameters = self.state.iter().map(ParameterBits::of).collect::<Result<_>>()?;
        Ok(())
    }
}

fn kernel(kernel: &crate::schedule::KernelInfo) -> KernelInfo {
    let space: Vec<String> = kernel.space.iter().map(|d| d.to_string()).collect();
    let place = if kernel.in_loop { "in a loop" } else { "once a step" };
    KernelInfo {
        name: kernel.name.clone(),
        operations: kernel.ops.split(' ').map(str::to_string).collect(),
        place: format!("[{}], {place}", space.join(", ")),
    }
}

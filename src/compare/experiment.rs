//! What is compared: how a model, its optimizer and its training step are made, what they are fed with, and how often.

use super::comparison::Comparison;
use super::run::{Accelerator, Column, Fit, Mode, Run, frame_steps, keeps_fit};
use super::trainer::Trainer;
use crate::device::{Device, with_device};
use crate::error::{Error, Result};
use crate::nn::Module;
use crate::ops::TensorTree;
use crate::ops::random::{fork_rng, manual_seed};
use crate::tensor::Tensor;
use std::time::Instant;

/// A training step: the tensors of a batch and what the step before carried over.
pub(super) type Step = Box<dyn FnMut(&[Tensor], &[Tensor]) -> StepResult>;

/// A model that is trained by a step.
pub struct Subject {
    /// Parameters and buffers, which are compared in the end.
    pub(super) state: Vec<(String, Tensor)>,
    pub(super) step: Step,
    pub(super) carried: Vec<Tensor>,
}

impl Subject {
    /// A model with a whole training step: forward, loss, backward, update. The step is given the tensors of the batch, and what the
    /// step before carried over.
    pub fn new(
        model: &(impl Module + ?Sized),
        mut step: impl FnMut(&[Tensor], &[Tensor]) -> StepResult + 'static,
    ) -> Subject {
        let mut detached = move |batch: &[Tensor], carried: &[Tensor]| {
            let StepResult { loss, prediction, carried } = step(batch, carried);
            StepResult { loss: loss.detach(), prediction: prediction.map(|p| p.detach()), carried }
        };
        Subject {
            state: model.state_dict().into_iter().collect(),
            step: Box::new(move |batch, carried| detached(batch, carried)),
            carried: Vec::new(),
        }
    }

    /// What the first step is given as carried over: a hidden state of zeros, for instance.
    #[must_use]
    pub fn carrying(mut self, first: impl Into<Vec<Tensor>>) -> Subject {
        self.carried = first.into();
        self
    }
}

/// What a training step gives.
pub struct StepResult {
    /// One number.
    pub loss: Tensor,
    /// For the animation of the fit, where the batch has a curve.
    pub prediction: Option<Tensor>,
    /// For the next step; detach it, or the next backward pass goes on into this step.
    pub carried: Vec<Tensor>,
}

impl StepResult {
    /// A loss alone.
    pub fn of(loss: Tensor) -> StepResult {
        StepResult { loss, prediction: None, carried: Vec::new() }
    }

    #[must_use]
    pub fn predicting(mut self, prediction: Tensor) -> StepResult {
        self.prediction = Some(prediction);
        self
    }

    #[must_use]
    pub fn carrying(mut self, next: impl Into<Vec<Tensor>>) -> StepResult {
        self.carried = next.into();
        self
    }
}

impl TensorTree for StepResult {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        TensorTree::flatten(&self.loss, out);
        TensorTree::flatten(&self.prediction, out);
        TensorTree::flatten(&self.carried, out);
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> StepResult {
        StepResult {
            loss: TensorTree::unflatten(&self.loss, from),
            prediction: TensorTree::unflatten(&self.prediction, from),
            carried: TensorTree::unflatten(&self.carried, from),
        }
    }
}

/// The tensors of one step.
#[derive(Clone)]
pub struct Batch {
    pub(super) tensors: Vec<Tensor>,
    length: Option<usize>,
    curve: Option<(Vec<f32>, Vec<f32>)>,
}

impl Batch {
    pub fn new(tensors: impl Into<Vec<Tensor>>) -> Batch {
        Batch { tensors: tensors.into(), length: None, curve: None }
    }

    /// Its length, for plots and tables. Without it the length of the first tensor along axis 1, or along axis 0 where that is its last.
    #[must_use]
    pub fn length(mut self, length: usize) -> Batch {
        self.length = Some(length);
        self
    }

    /// What the prediction (its first elements) is drawn over in the animation: places on the time axis and the target there.
    #[must_use]
    pub fn curve(mut self, time: Vec<f32>, target: Vec<f32>) -> Batch {
        self.curve = Some((time, target));
        self
    }

    fn length_of(&self) -> usize {
        let shape = self.tensors.first().map_or(&[][..], Tensor::shape_hint);
        self.length.unwrap_or_else(|| shape.get(1).or(shape.first()).copied().unwrap_or(1))
    }
}

/// So that a source of batches may fail or not.
impl From<Batch> for Result<Batch> {
    fn from(batch: Batch) -> Result<Batch> {
        Ok(batch)
    }
}

type Batches = Box<dyn Iterator<Item = Result<Batch>>>;

/// One training program, to be run in every mode from the same seed; see [the module](crate::compare).
pub struct Experiment {
    name: String,
    description: String,
    make: Box<dyn Fn() -> Subject>,
    batches: Box<dyn Fn() -> Batches>,
    steps: usize,
    seed: u64,
    threads: Option<usize>,
    devices: Vec<Device>,
    dynamic: bool,
}

impl Experiment {
    /// `make` builds model, optimizer and step; `batches` gives the batches of a run, from the first one on. Both are called once for each
    /// run, after the default generator was given the seed; what they draw is the same in all of them. Without more said: 60 steps,
    /// seed 0, on the CPU.
    pub fn new<I>(
        name: impl Into<String>,
        make: impl Fn() -> Subject + 'static,
        batches: impl Fn() -> I + 'static,
    ) -> Experiment
    where
        I: IntoIterator + 'static,
        I::Item: Into<Result<Batch>>,
    {
        Experiment {
            name: name.into(),
            description: String::new(),
            make: Box::new(make),
            batches: Box::new(move || Box::new(batches().into_iter().map(Into::into))),
            steps: 60,
            seed: 0,
            threads: None,
            devices: Vec::new(),
            dynamic: false,
        }
    }

    /// A sentence on what is trained, for the report.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Experiment {
        self.description = text.into();
        self
    }

    /// Training steps of each run; fewer where the batches end before.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Experiment {
        self.steps = steps;
        self
    }

    #[must_use]
    pub fn seed(mut self, seed: u64) -> Experiment {
        self.seed = seed;
        self
    }

    /// Threads for large kernels while it runs; results have the same bits for any number.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Experiment {
        self.threads = Some(threads);
        self
    }

    /// Devices that run the traced program too, and are held against the CPU.
    #[must_use]
    pub fn devices(mut self, devices: impl Into<Vec<Device>>) -> Experiment {
        self.devices = devices.into();
        self.devices.retain(|device| *device != Device::Cpu);
        self
    }

    /// Traces with [`trace_dynamic`](crate::trace::trace_dynamic), for steps whose Rust control flow differs from call to call.
    #[must_use]
    pub fn dynamic(mut self) -> Experiment {
        self.dynamic = true;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it eagerly, traced, and traced on each device.
    ///
    /// # Errors
    /// When there is no step to make, a device cannot be used, a batch or a traced step fails, or a loss is not one number.
    pub fn run(&self) -> Result<Comparison> {
        self.run_with(|_, _| {})
    }

    /// As [`Experiment::run`], and says before each run and after each step which column it is and how many steps it has made.
    ///
    /// # Errors
    /// As there.
    pub fn run_with(&self, mut progress: impl FnMut(&Column, usize)) -> Result<Comparison> {
        if self.steps == 0 || self.threads == Some(0) {
            return Err(Error::argument(format!("experiment {}: needs at least one step and one thread", self.name)));
        }
        let mut columns = vec![Column::cpu(Mode::Eager), Column::cpu(Mode::Traced)];
        for device in &self.devices {
            columns.push(Column { mode: Mode::Traced, on: Some(Accelerator::open(*device)?) });
        }
        let _threads = self.threads.map(Threads::set);
        let runs = columns.into_iter().map(|column| {
            progress(&column, 0);
            with_device(column.device(), || fork_rng(|| self.one(column, &mut progress)))
        });
        let runs = runs.collect::<Result<Vec<_>>>()?;
        Ok(Comparison { name: self.name.clone(), description: self.description.clone(), runs })
    }

    fn one(&self, column: Column, progress: &mut dyn FnMut(&Column, usize)) -> Result<Run> {
        manual_seed(self.seed);
        let mut trainer = Trainer::new((self.make)(), column.mode, self.dynamic);
        let mut run = Run::new(&self.name, column);
        let frames = frame_steps(self.steps);
        for (step, batch) in (self.batches)().take(self.steps).enumerate() {
            let batch = batch?;
            let clock = Instant::now();
            let (loss, prediction) = trainer.step(&batch)?;
            run.step_seconds.push(clock.elapsed().as_secs_f64());
            run.losses.push(loss_of(&self.name, &loss)?);
            run.lengths.push(batch.length_of());
            if let (Some((time, target)), Some(prediction)) = (batch.curve, prediction)
                && keeps_fit(&frames, step)
            {
                let mut prediction = crate::plot::Values::values(&prediction)?;
                prediction.truncate(time.len());
                let prediction = prediction.into_iter().map(|x| x as f32).collect();
                run.fits.push(Fit { step, time, target, prediction });
            }
            progress(&run.column, step + 1);
        }
        if run.losses.is_empty() {
            return Err(Error::argument(format!("experiment {}: there is no batch", self.name)));
        }
        trainer.finish(&mut run)?;
        Ok(run)
    }
}

fn loss_of(name: &str, loss: &Tensor) -> Result<f64> {
    match crate::plot::Values::values(loss)?[..] {
        [one] => Ok(one),
        _ => Err(Error::argument(format!("experiment {name}: a loss is one number, got shape {:?}", loss.shape()))),
    }
}

/// The number of threads that was set before, set again when dropped.
struct Threads(usize);

impl Threads {
    fn set(threads: usize) -> Threads {
        let before = crate::kernels::num_threads();
        crate::kernels::set_num_threads(threads);
        Threads(before)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        crate::kernels::set_num_threads(self.0);
    }
}

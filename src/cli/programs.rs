//! The programs of the command: a recurrent network that learns the cosine from the sine, workloads on large tensors, and what is
//! printed of graphs.

use super::args::Settings;
use super::error::CliError;
use super::sequence::{self, Program};
use allotrope::compare::{Batch, Experiment, Mode, StepResult, Subject, Trainer};
use allotrope::prelude::*;
use allotrope::trace::Explanation;
use clap::ValueEnum;
use std::path::Path;
use std::rc::Rc;

/// The learning rate of both programs.
const LEARNING_RATE: f64 = 0.02;

/// sin in, cos out: a recurrent layer and a linear one, as in the programs that users start from.
#[derive(Module)]
struct SinToCos {
    rnn: nn::Rnn,
    out: nn::Linear,
}

impl SinToCos {
    /// `[batch, points, 1]` and `[1, batch, hidden]` in, prediction and last hidden state out.
    fn forward(&self, x: &Tensor, h: &Tensor) -> (Tensor, Tensor) {
        let (states, h) = self.rnn.forward(x, h);
        (self.out.forward(&states), h)
    }
}

/// The model with its training step, which carries the hidden state over.
pub fn subject(hidden: usize, batch: usize) -> Subject {
    let rnn = nn::Rnn::new(1, hidden).batch_first(true);
    let model = Rc::new(SinToCos { rnn, out: nn::Linear::new(hidden, 1) });
    let optimizer = optim::Adam::new(model.parameters(), LEARNING_RATE);
    let trained = Rc::clone(&model);
    let step = move |batch: &[Tensor], carried: &[Tensor]| {
        let (prediction, h) = trained.forward(&batch[0], &carried[0]);
        let loss = mse_loss(&prediction, &batch[1]);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        StepResult::of(loss).predicting(prediction).carrying([h.detach()])
    };
    Subject::new(&model, step).carrying([Tensor::zeros(&[1, batch, hidden], DType::F32)])
}

/// A trainer of that model, made from the seed.
pub fn trainer(mode: Mode, hidden: usize, batch: usize, seed: u64) -> Trainer {
    manual_seed(seed);
    Trainer::new(subject(hidden, batch), mode, false)
}

/// A batch of random numbers in place of the sine and the cosine.
pub fn random_batch(batch: usize, points: usize) -> Batch {
    let shape = [batch, points, 1];
    Batch::new([randn(&shape), randn(&shape)])
}

/// The batch of one step of a program.
///
/// # Errors
/// When there is no memory for it.
pub fn window(program: Program, span: sequence::Span, batch: usize) -> Result<Batch, Error> {
    let window = sequence::window(program, span, batch);
    let tensor = |values: &[f32]| Tensor::try_from_slice(values, &[batch, window.points, 1]);
    let tensors = Batch::new([tensor(&window.input)?, tensor(&window.target)?]).length(window.points);
    let target = window.target[..window.points].to_vec();
    Ok(if program.shows_fit() { tensors.curve(window.time, target) } else { tensors })
}

/// A program with these settings, to be run in every mode.
pub fn experiment(program: Program, settings: &Settings) -> Experiment {
    let Settings { half_turns, hidden, batch, seed, .. } = *settings;
    let steps = settings.steps;
    let spans = move || sequence::spans(program, steps, half_turns, seed).into_iter();
    Experiment::new(
        program.name(),
        move || subject(hidden, batch),
        move || spans().map(move |span| window(program, span, batch)),
    )
    .description(program.description(half_turns))
    .steps(sequence::steps(program, steps))
    .seed(seed)
    .threads(settings.threads)
    .devices(settings.device.into_iter().collect::<Vec<_>>())
}

/// The kinds of OpenCL devices: each has its own way to the same bits.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cpu,
    Gpu,
}

/// Which OpenCL C of a step is to be shown: that which its device runs, or that for a kind of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenClText {
    OfDevice,
    Kind(Kind),
}

impl OpenClText {
    #[cfg(feature = "opencl")]
    fn of(self, explanation: &Explanation) -> Result<String, CliError> {
        use allotrope::backend::opencl::source::{self, body::Style};
        let style = match (self, explanation.device()) {
            (OpenClText::OfDevice, Device::OpenCl(_)) => return explanation.code().map_err(library("code generation")),
            (OpenClText::Kind(Kind::Cpu), _) => Style::Cpu,
            (OpenClText::Kind(Kind::Gpu) | OpenClText::OfDevice, _) => Style::Gpu,
        };
        let schedule = allotrope::schedule::Schedule::of(explanation.optimized());
        let schedule = schedule.map_err(|error| library("code generation")(Error::Compile(error.to_string())))?;
        Ok(source::text(&schedule, style))
    }

    #[cfg(not(feature = "opencl"))]
    fn of(self, _: &Explanation) -> Result<String, CliError> {
        Err(CliError::without_opencl(match self {
            OpenClText::OfDevice => "--opencl",
            OpenClText::Kind(Kind::Cpu) => "--opencl=cpu",
            OpenClText::Kind(Kind::Gpu) => "--opencl=gpu",
        }))
    }
}

/// A traced step, printed.
pub struct GraphText {
    pub captured: String,
    pub optimized: String,
    pub dot: String,
    /// As text: Cranelift's on the CPU, OpenCL C on a device.
    pub code: String,
    /// OpenCL C, where it was asked for.
    pub opencl: Option<String>,
    pub explanation: String,
}

/// The workloads that measure one eager operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    Add,
    MulForwardBackward,
}

pub fn library(what: &str) -> impl Fn(allotrope::Error) -> CliError {
    move |error| CliError::Library { what: what.to_string(), message: error.to_string() }
}

/// Opens a device, by making a tensor there.
///
/// # Errors
/// When it cannot be used.
pub fn open(device: Device) -> Result<(), CliError> {
    let made = with_device(device, || Tensor::try_from_slice(&[0.0f32], &[1])?.try_item::<f32>());
    made.map(drop).map_err(|error| unusable(device, error))
}

/// What is said of a device that cannot be used.
pub fn unusable(device: Device, error: Error) -> CliError {
    let message = match error {
        Error::DeviceMissing { message, .. } => message,
        other => other.to_string(),
    };
    CliError::Device { device, message }
}

/// Waits until the elements are there: on a device a step is only enqueued, and reading waits for all that was.
fn wait(t: &Tensor) {
    if t.device() != Device::Cpu {
        std::hint::black_box(t.to_vec::<f32>());
    }
}

/// Uses that many threads in large kernels.
pub fn use_threads(threads: usize) -> Result<(), CliError> {
    allotrope::kernels::set_num_threads(threads);
    Ok(())
}

/// The workloads on large tensors of f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Large {
    /// `relu(x * y + 1)` of this many elements: reads two, writes one.
    Chain(usize),
    /// The sum of this many elements.
    Sum(usize),
    /// The product of two square matrices of this many rows.
    Matmul(usize),
}

/// A workload on large tensors, ready to be timed: each call waits for its result.
pub fn large(which: Large, mode: Mode, seed: u64) -> Box<dyn FnMut() -> Result<(), CliError>> {
    manual_seed(seed);
    let shape = match which {
        Large::Chain(n) | Large::Sum(n) => vec![n],
        Large::Matmul(n) => vec![n, n],
    };
    let (x, y) = (randn(&shape), randn(&shape));
    let step = move |x: &Tensor, y: &Tensor| match which {
        Large::Chain(_) => (x * y + 1.0).relu(),
        Large::Sum(_) => x.sum(),
        Large::Matmul(_) => x.matmul(y),
    };
    // One element is there when all of them are.
    let wait = |t: Tensor| t.flatten(0, -1).select(0, 0).try_item::<f32>().map(drop).map_err(library("the result"));
    match mode {
        Mode::Eager => Box::new(move || wait(step(&x, &y))),
        Mode::Traced => {
            let traced = trace(step);
            Box::new(move || wait(traced.call((&x, &y)).map_err(library("the step"))?))
        }
    }
}

/// A chain of operations on eight values, ready to be timed.
pub fn dispatch(which: Dispatch, operations: usize, seed: u64) -> Box<dyn FnMut()> {
    manual_seed(seed);
    let x = randn(&[8]);
    match which {
        Dispatch::Add => Box::new(move || {
            let mut z = x.clone();
            for _ in 0..operations {
                z = &z + &x;
            }
            wait(&z);
            std::hint::black_box(z);
        }),
        Dispatch::MulForwardBackward => {
            let y = randn(&[8]).requires_grad();
            Box::new(move || {
                let mut z = y.clone();
                for _ in 0..operations {
                    z = &z * &x;
                }
                z.sum().backward();
                y.grad().iter().for_each(wait);
            })
        }
    }
}

/// What is printed of a traced trainer that has made a step.
///
/// # Errors
/// When nothing was traced, and when code cannot be generated.
pub fn graph(trainer: &Trainer, opencl: Option<OpenClText>) -> Result<GraphText, CliError> {
    GraphText::of(&trainer.explanation().ok_or_else(nothing)?, opencl)
}

fn nothing() -> CliError {
    CliError::Library { what: "graph".to_string(), message: "nothing was traced".to_string() }
}

impl GraphText {
    fn of(explanation: &Explanation, opencl: Option<OpenClText>) -> Result<GraphText, CliError> {
        Ok(GraphText {
            opencl: opencl.map(|text| text.of(explanation)).transpose()?,
            captured: explanation.captured().to_string(),
            optimized: explanation.optimized().to_string(),
            dot: allotrope::ir::dot(explanation.optimized()),
            code: explanation.code().map_err(library("code generation"))?,
            explanation: explanation.to_string(),
        })
    }
}

/// The text of a saved function, checked.
pub fn saved_text(path: &Path) -> Result<String, CliError> {
    let read = allotrope::trace::read_graphs(path).map_err(library("graph"))?;
    Ok(allotrope::ir::saved::print(&read))
}

/// Every variant of a saved function, compiled for a device.
pub fn saved_graphs(path: &Path, device: Device, opencl: Option<OpenClText>) -> Result<Vec<GraphText>, CliError> {
    let program = allotrope::trace::Program::load_on(path, device).map_err(library("graph"))?;
    program.explain().iter().map(|explanation| GraphText::of(explanation, opencl)).collect()
}

//! The two ways to run the recurrent programs: the only file of the command line that knows the library.

use super::error::CliError;
use super::run::{Accelerator, Contract, KernelInfo, Mode, ParameterBits};
use super::sequence::Window;
use allotrope::prelude::*;
use allotrope::trace::{Explanation, Traced};
use clap::ValueEnum;
use std::path::Path;
use std::rc::Rc;

/// The learning rate of both programs.
const LEARNING_RATE: f64 = 0.02;

/// One window as the library holds it: `[batch, points, 1]` each.
pub struct Data {
    x: Tensor,
    y: Tensor,
}

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

/// A training step: window and hidden state in; loss, prediction and hidden state out.
type Step3 = Box<dyn FnMut(&Tensor, &Tensor, &Tensor) -> (Tensor, Tensor, Tensor)>;

/// The same closure in both modes.
enum Stepper {
    Eager(Step3),
    Traced(Box<Traced<Step3, (Tensor, Tensor, Tensor), 3>>),
}

/// A model with its optimizer and carried hidden state, trained step by step in one mode.
pub struct Trainer {
    model: Rc<SinToCos>,
    stepper: Stepper,
    hidden: Tensor,
    batch: usize,
}

/// What a step gave: there when the step has returned, and read outside the clock.
pub struct Step {
    loss: Tensor,
    prediction: Tensor,
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

fn library(what: &str) -> impl Fn(allotrope::Error) -> CliError {
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

/// What a comparison says of a device, which it opens.
///
/// # Errors
/// When it cannot be used.
pub fn accelerator(device: Device) -> Result<Accelerator, CliError> {
    open(device)?;
    #[cfg(feature = "opencl")]
    if let Device::OpenCl(number) = device {
        let opened = allotrope::backend::opencl::of(number).opened().map_err(|error| unusable(device, error))?;
        let description = opened.description();
        let name = format!("{} ({})", description.name, description.platform);
        return Ok(Accelerator { device, name, contract: contract(opened.verdict()) });
    }
    Ok(Accelerator { device, name: device.to_string(), contract: Contract::EqualBits })
}

/// What the probe of a device promises of programs in f32.
#[cfg(feature = "opencl")]
fn contract(found: &allotrope::backend::opencl::Verdict) -> Contract {
    if found.equal_bits() {
        return Contract::EqualBits;
    }
    let less = allotrope::backend::opencl::What::ALL.into_iter().filter(|what| !found.single.is_equal(*what));
    let less = less.map(|what| format!("{what} {}", found.single.of(what).agreement));
    Contract::Within(format!("by its probe {}", less.collect::<Vec<_>>().join(", ")))
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

impl Step {
    pub fn loss(&self) -> Result<f32, CliError> {
        self.loss.try_item().map_err(library("the loss"))
    }

    pub fn prediction(&self) -> Result<Vec<f32>, CliError> {
        Ok(self.prediction.to_vec())
    }
}

impl Trainer {
    pub fn new(mode: Mode, hidden: usize, batch: usize, seed: u64) -> Result<Self, CliError> {
        manual_seed(seed);
        let rnn = nn::Rnn::new(1, hidden).batch_first(true);
        let model = Rc::new(SinToCos { rnn, out: nn::Linear::new(hidden, 1) });
        let optimizer = optim::Adam::new(model.parameters(), LEARNING_RATE);
        let step: Step3 = {
            let model = Rc::clone(&model);
            Box::new(move |x, y, h| {
                let (prediction, h) = model.forward(x, h);
                let loss = mse_loss(&prediction, y);
                optimizer.zero_grad();
                loss.backward();
                optimizer.step();
                (loss.detach(), prediction.detach(), h.detach())
            })
        };
        let stepper = match mode {
            Mode::Eager => Stepper::Eager(step),
            Mode::Traced => Stepper::Traced(Box::new(trace(step))),
        };
        Ok(Trainer { model, stepper, hidden: Tensor::zeros(&[1, batch, hidden], DType::F32), batch })
    }

    pub fn data(&self, window: &Window) -> Result<Data, CliError> {
        let tensor = |values: &[f32]| Tensor::try_from_slice(values, &[self.batch, window.points, 1]);
        let make = || Ok(Data { x: tensor(&window.input)?, y: tensor(&window.target)? });
        make().map_err(library("the window"))
    }

    pub fn random_data(&self, points: usize) -> Result<Data, CliError> {
        let shape = [self.batch, points, 1];
        Ok(Data { x: randn(&shape), y: randn(&shape) })
    }

    pub fn step(&mut self, data: &Data) -> Result<Step, CliError> {
        let (loss, prediction, hidden) = match &mut self.stepper {
            Stepper::Eager(step) => step(&data.x, &data.y, &self.hidden),
            Stepper::Traced(step) => {
                step.call((&data.x, &data.y, &self.hidden)).map_err(library("the training step"))?
            }
        };
        self.hidden = hidden;
        wait(&loss);
        Ok(Step { loss, prediction })
    }

    pub fn train_only(&mut self, data: &Data) -> Result<(), CliError> {
        self.step(data).map(drop)
    }

    fn traced(&self) -> Option<&Traced<Step3, (Tensor, Tensor, Tensor), 3>> {
        match &self.stepper {
            Stepper::Eager(_) => None,
            Stepper::Traced(step) => Some(step),
        }
    }

    fn explanation(&self) -> Option<Explanation> {
        self.traced().and_then(|step| step.explain().into_iter().next())
    }

    pub fn compilations(&self) -> usize {
        self.traced().map_or(0, Traced::compilations)
    }

    pub fn compile_seconds(&self) -> f64 {
        self.traced().map_or(0.0, |step| step.compile_time().as_secs_f64())
    }

    pub fn parameters(&self) -> Result<Vec<ParameterBits>, CliError> {
        let bits = |t: &Tensor| t.to_vec::<f32>().into_iter().map(f32::to_bits).collect();
        let named = self.model.named_parameters();
        Ok(named.into_iter().map(|(name, t)| ParameterBits { name, bits: bits(&t) }).collect())
    }

    pub fn kernels(&self) -> Vec<KernelInfo> {
        let Some(explanation) = self.explanation() else { return Vec::new() };
        let info = |k: &allotrope::backend::KernelInfo| {
            let space: Vec<String> = k.space.iter().map(|d| d.to_string()).collect();
            let place = if k.in_loop { "in a loop over time" } else { "once a step" };
            KernelInfo {
                name: k.name.clone(),
                operations: k.ops.split(' ').map(str::to_string).collect(),
                place: format!("[{}], {place}", space.join(", ")),
            }
        };
        explanation.kernels().iter().map(info).collect()
    }

    pub fn graph(&mut self, opencl: Option<OpenClText>) -> Result<GraphText, CliError> {
        GraphText::of(&self.explanation().ok_or_else(nothing)?, opencl)
    }

    /// Both modes compared on this step, and whether they agree.
    pub fn verify(&self, data: &Data) -> Result<(String, bool), CliError> {
        let step = self.traced().ok_or_else(nothing)?;
        let found = step.verify((&data.x, &data.y, &self.hidden)).map_err(library("verify"))?;
        Ok((found.to_string(), found.is_equal()))
    }

    /// The times of the kernels in this step; the trace goes to the file.
    pub fn profile(&self, data: &Data, trace: &Path) -> Result<String, CliError> {
        let step = self.traced().ok_or_else(nothing)?;
        let profile = step.profile((&data.x, &data.y, &self.hidden)).map_err(library("profile"))?;
        profile.write_chrome_trace(trace).map_err(library("profile"))?;
        Ok(profile.to_string())
    }
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

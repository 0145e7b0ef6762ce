//! The two ways to run the recurrent programs: the only file of the command line that knows the library.

use super::error::CliError;
use super::run::{KernelInfo, Mode, ParameterBits};
use super::sequence::Window;

/// One window as the library holds it.
pub struct Data;

/// A model with its optimizer and carried hidden state, trained step by step in one mode.
pub struct Trainer;

/// What a step gave: read outside the clock.
pub struct Step;

/// A traced step, printed.
pub struct GraphText {
    pub captured: String,
    pub optimized: String,
    pub dot: String,
    pub clif: String,
}

/// The workloads that measure one eager operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    Add,
    MulForwardBackward,
}

fn missing<T>() -> Result<T, CliError> {
    Err(CliError::Library { what: "programs".to_string(), message: "the library is not wired yet".to_string() })
}

pub fn use_threads(_threads: usize) -> Result<(), CliError> {
    Ok(())
}

pub fn dispatch(_which: Dispatch, _operations: usize, _seed: u64) -> Box<dyn FnMut()> {
    Box::new(|| {})
}

impl Step {
    pub fn loss(&self) -> Result<f32, CliError> {
        missing()
    }

    pub fn prediction(&self) -> Result<Vec<f32>, CliError> {
        missing()
    }
}

impl Trainer {
    pub fn new(_mode: Mode, _hidden: usize, _batch: usize, _seed: u64) -> Result<Self, CliError> {
        missing()
    }

    pub fn data(&self, _window: &Window) -> Result<Data, CliError> {
        missing()
    }

    pub fn random_data(&self, _points: usize) -> Result<Data, CliError> {
        missing()
    }

    pub fn step(&mut self, _data: &Data) -> Result<Step, CliError> {
        missing()
    }

    pub fn train_only(&mut self, _data: &Data) -> Result<(), CliError> {
        missing()
    }

    pub fn compilations(&self) -> usize {
        0
    }

    pub fn compile_seconds(&self) -> f64 {
        0.0
    }

    pub fn parameters(&self) -> Result<Vec<ParameterBits>, CliError> {
        missing()
    }

    pub fn kernels(&self) -> Vec<KernelInfo> {
        Vec::new()
    }

    pub fn graph(&mut self) -> Result<GraphText, CliError> {
        missing()
    }
}

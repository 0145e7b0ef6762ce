//! Runs made of plain formulas, for the tests of the report; nothing outside the tests uses them.

use super::Report;
use super::comparison::Comparison;
use super::run::{Accelerator, Column, Contract, Fit, KernelInfo, Mode, ParameterBits, Run, frame_steps, keeps_fit};
use std::f32::consts::PI;

/// Stand-ins for three programs: one length, a few, many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Fixed,
    Dynamic,
    Variable,
}

impl Program {
    pub const ALL: [Program; 3] = [Program::Fixed, Program::Dynamic, Program::Variable];

    pub fn name(self) -> &'static str {
        match self {
            Program::Fixed => "rnn_fixed",
            Program::Dynamic => "rnn_dynamic",
            Program::Variable => "rnn_var_200",
        }
    }

    fn steps(self) -> usize {
        if self == Program::Variable { 600 } else { 60 }
    }

    fn length(self, step: usize) -> usize {
        match self {
            Program::Fixed => 10,
            Program::Dynamic => 10 * (1 + step * 7 % 3),
            Program::Variable => 1 + step * 7919 % 200,
        }
    }
}

pub fn report() -> Report {
    comparisons().into_iter().fold(Report::new("A test").setting("steps", 60), Report::with)
}

/// Both modes with equal bits and plausible times.
pub fn comparison(program: Program) -> Comparison {
    let runs = [Mode::Eager, Mode::Traced].map(|mode| run(program, Column::cpu(mode))).to_vec();
    Comparison { name: program.name().to_string(), description: String::new(), runs }
}

/// The same, and traced on a device. There is no other device than the CPU in every build, so it has that one's name.
pub fn on_a_device(program: Program, contract: Contract) -> Comparison {
    let mut all = comparison(program);
    let on = Accelerator { device: crate::Device::Cpu, name: "a device".to_string(), contract };
    all.runs.push(run(program, Column { mode: Mode::Traced, on: Some(on) }));
    all
}

pub fn comparisons() -> Vec<Comparison> {
    Program::ALL.map(comparison).to_vec()
}

fn run(program: Program, column: Column) -> Run {
    let mode = column.mode;
    let steps = program.steps();
    let lengths: Vec<usize> = (0..steps).map(|step| program.length(step)).collect();
    let frames = frame_steps(steps);
    let wobble = |i: usize| ((i * 7919 + 13) % 101) as f64 / 101.0;
    let progress = |i: usize| 1.0 - (-4.0 * i as f64 / steps as f64).exp();
    let losses = (0..steps).map(|i| ((0.6 + 0.5 * wobble(i)) * (1.01 - progress(i))) as f32).map(f64::from);
    let seconds = |i: usize| {
        let points = lengths[i] as f64;
        match mode {
            Mode::Eager => 20e-6 + 9e-6 * points * (1.0 + 0.2 * wobble(i)),
            Mode::Traced if i == 0 => 22e-3,
            Mode::Traced => 0.6e-6 + 0.3e-6 * points * (1.0 + 0.1 * wobble(i)),
        }
    };
    let fit = |step: usize| {
        let begin = lengths[..step].iter().sum::<usize>();
        let time: Vec<f32> = (0..lengths[step]).map(|i| (begin + i) as f32 / 10.0).collect();
        let target: Vec<f32> = time.iter().map(|t| (t * PI).cos()).collect();
        let reach = progress(step) as f32;
        let prediction = target.iter().zip(&time).map(|(y, t)| reach * y + 0.4 * (1.0 - reach) * (t * PI).sin());
        Fit { step, prediction: prediction.collect(), time, target }
    };
    let kept = (0..steps).filter(|&step| program != Program::Variable && keeps_fit(&frames, step));
    Run {
        program: program.name().to_string(),
        column,
        losses: losses.collect(),
        step_seconds: (0..steps).map(seconds).collect(),
        compilations: usize::from(mode == Mode::Traced),
        compile_seconds: if mode == Mode::Traced { 21e-3 } else { 0.0 },
        parameters: [("rnn.weight_ih_l0", 32), ("rnn.weight_hh_l0", 1024), ("out.weight", 32)]
            .map(|(name, n): (&str, u32)| ParameterBits {
                name: name.to_string(),
                bits: (0..n).map(|i| u64::from((i as f32 * 0.01).to_bits())).collect(),
                width: 4,
            })
            .to_vec(),
        fits: kept.map(fit).collect(),
        kernels: kernels(mode),
        lengths,
    }
}

fn kernels(mode: Mode) -> Vec<KernelInfo> {
    let kernel = |name: &str, operations: &[&str], place: &str| KernelInfo {
        name: name.to_string(),
        operations: operations.iter().map(|op| op.to_string()).collect(),
        place: place.to_string(),
    };
    if mode == Mode::Eager {
        return Vec::new();
    }
    vec![
        kernel("matmul", &["matmul"], "[T, 1] x [1, 32], once a step"),
        kernel("elementwise", &["add", "add", "tanh"], "[1, 32], in the loop over time"),
        kernel("elementwise", &["sub", "mul", "mul"], "[T, 1], once a step"),
        kernel(
            "elementwise",
            &["mul", "mul", "add", "mul", "mul", "add", "sqrt", "add", "div", "mul", "sub"],
            "[32, 32], once a step",
        ),
    ]
}

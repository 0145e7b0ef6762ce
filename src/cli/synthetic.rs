//! Runs made of plain formulas, for the tests of the report; nothing outside the tests uses them.

use super::comparison::Comparison;
use super::run::{
    Accelerator, Column, Contract, Fit, KernelInfo, Mode, ParameterBits, Run, Settings, frame_steps, keeps_fit,
};
use super::sequence::{self, HalfTurns, Program};

pub fn settings() -> Settings {
    let half_turns = HalfTurns { least: 1, most: 3 };
    Settings { steps: 60, half_turns, hidden: 32, batch: 1, seed: 1, threads: 1, device: None }
}

/// Both modes with equal bits and plausible times.
pub fn comparison(program: Program) -> Comparison {
    Comparison { runs: [Mode::Eager, Mode::Traced].map(|mode| run(program, Column::cpu(mode))).to_vec() }
}

/// The same, and traced on a device. There is no other device than the CPU in every build, so it has that one's name.
pub fn on_a_device(program: Program, contract: Contract) -> Comparison {
    let mut all = comparison(program);
    let on = Accelerator { device: allotrope::Device::Cpu, name: "a device".to_string(), contract };
    all.runs.push(run(program, Column { mode: Mode::Traced, on: Some(on) }));
    all
}

pub fn comparisons() -> Vec<Comparison> {
    Program::ALL.map(comparison).to_vec()
}

fn run(program: Program, column: Column) -> Run {
    let mode = column.mode;
    let settings = settings();
    let spans = sequence::spans(program, settings.steps, settings.half_turns, settings.seed);
    let steps = spans.len();
    let frames = frame_steps(steps);
    let wobble = |i: usize| ((i * 7919 + 13) % 101) as f64 / 101.0;
    let progress = |i: usize| 1.0 - (-4.0 * i as f64 / steps as f64).exp();
    let losses = (0..steps).map(|i| ((0.6 + 0.5 * wobble(i)) * (1.01 - progress(i))) as f32);
    let seconds = |i: usize| {
        let points = spans[i].points as f64;
        match mode {
            Mode::Eager => 20e-6 + 9e-6 * points * (1.0 + 0.2 * wobble(i)),
            Mode::Traced if i == 0 => 22e-3,
            Mode::Traced => 0.6e-6 + 0.3e-6 * points * (1.0 + 0.1 * wobble(i)),
        }
    };
    let fit = |step: usize| {
        let window = sequence::window(program, spans[step], 1);
        let reach = progress(step) as f32;
        let prediction = window.target.iter().zip(&window.input);
        let prediction = prediction.map(|(&y, &x)| reach * y + 0.4 * (1.0 - reach) * x).collect();
        Fit { step, time: window.time, target: window.target, prediction }
    };
    let kept = (0..steps).filter(|&step| program.shows_fit() && keeps_fit(&frames, step));
    Run {
        program,
        column,
        losses: losses.collect(),
        step_seconds: (0..steps).map(seconds).collect(),
        compilations: usize::from(mode == Mode::Traced),
        compile_seconds: if mode == Mode::Traced { 21e-3 } else { 0.0 },
        parameters: [("rnn.weight_ih_l0", 32), ("rnn.weight_hh_l0", 1024), ("out.weight", 32)]
            .map(|(name, n): (&str, u32)| ParameterBits {
                name: name.to_string(),
                bits: (0..n).map(|i| (i as f32 * 0.01).to_bits()).collect(),
            })
            .to_vec(),
        fits: kept.map(fit).collect(),
        kernels: kernels(mode),
        spans,
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

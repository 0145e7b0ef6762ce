//! One training run with a clock beside it: windows in, a `Run` out.
//!
//! It times whole steps only; making the windows and reading the results is outside the clock.

use super::error::CliError;
use super::programs::Trainer;
use super::run::{Column, Fit, Run, Settings, frame_steps, keeps_fit};
use super::sequence::{self, Program, Window};
use allotrope::device::with_device;
use std::time::Instant;

/// Trains `program` from the seed; calls `on_step` after each step.
///
/// # Errors
/// When the library refuses a step.
pub fn train(program: Program, column: Column, settings: &Settings, on_step: impl Fn()) -> Result<Run, CliError> {
    with_device(column.device(), || train_here(program, column, settings, on_step))
}

fn train_here(program: Program, column: Column, settings: &Settings, on_step: impl Fn()) -> Result<Run, CliError> {
    let spans = sequence::spans(program, settings.steps, settings.half_turns, settings.seed);
    let frames = frame_steps(spans.len());
    let mut trainer = Trainer::new(column.mode, settings.hidden, settings.batch, settings.seed)?;
    let mut losses = Vec::with_capacity(spans.len());
    let mut step_seconds = Vec::with_capacity(spans.len());
    let mut fits = Vec::new();
    for (step, span) in spans.iter().enumerate() {
        let window = sequence::window(program, *span, settings.batch);
        let data = trainer.data(&window)?;
        let clock = Instant::now();
        let result = trainer.step(&data)?;
        step_seconds.push(clock.elapsed().as_secs_f64());
        losses.push(result.loss()?);
        if program.shows_fit() && keeps_fit(&frames, step) {
            fits.push(fit(step, window, result.prediction()?));
        }
        on_step();
    }
    Ok(Run {
        program,
        column,
        spans,
        losses,
        step_seconds,
        compilations: trainer.compilations(),
        compile_seconds: trainer.compile_seconds(),
        parameters: trainer.parameters()?,
        fits,
        kernels: trainer.kernels(),
    })
}

/// Row 0 of the batch: the first `points` values of target and prediction.
fn fit(step: usize, window: Window, mut prediction: Vec<f32>) -> Fit {
    let mut target = window.target;
    target.truncate(window.points);
    prediction.truncate(window.points);
    Fit { step, time: window.time, target, prediction }
}

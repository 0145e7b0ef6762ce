//! OpenCL C from schedules: the text of kernels, and in which order and how often they are launched. Nothing here touches a
//! device.
//!
//! In flow order: [`program`] turns each instruction into launches ([`kernel`], [`operator`]), whose text is written with
//! what [`body`] offers; [`launched`] makes each launch a kernel function of its own, and [`single`] makes the whole program
//! one, for the work of one work group.

pub mod body;
mod expr;
pub mod fold;
mod fused_reduction;
mod kernel;
pub mod launched;
pub mod math;
pub mod number;
mod operator;
pub mod program;
pub mod single;
pub mod text;

use crate::schedule::Schedule;

/// A schedule as a program for people to read, for a kind of devices: its launches one by one. It needs no device.
pub fn text(schedule: &Schedule, style: body::Style) -> String {
    let program = program::Program::of(schedule, style, false);
    text::complete(&launched::functions(schedule, &program).2, math::Arithmetic::EXACT)
}

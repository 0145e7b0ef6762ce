//! The results of one training run.
//!
//! Plain data: the table and the report are made from it, and it never holds a tensor.

use super::sequence::{HalfTurns, Program, Span};
use allotrope::Device;

/// Which of the two structures a program ran in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Eager,
    Traced,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Traced => "traced",
        }
    }
}

/// What a device promises of its results beside those of the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contract {
    EqualBits,
    /// Less than that, in the library's words.
    #[cfg_attr(
        not(any(test, feature = "opencl")),
        allow(dead_code, reason = "no device of such a build promises less")
    )]
    Within(String),
}

/// A device beside the CPU that a comparison runs on too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    pub device: Device,
    /// What its driver calls it.
    pub name: String,
    pub contract: Contract,
}

/// A column of a comparison: in which mode a program runs, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub mode: Mode,
    /// Where it is not the CPU.
    pub on: Option<Accelerator>,
}

impl Column {
    pub fn cpu(mode: Mode) -> Column {
        Column { mode, on: None }
    }

    pub fn device(&self) -> Device {
        self.on.as_ref().map_or(Device::Cpu, |on| on.device)
    }

    /// As people read it: `traced`, `traced@opencl:0`.
    pub fn label(&self) -> String {
        let mode = self.mode.name();
        self.on.as_ref().map_or_else(|| mode.to_string(), |on| format!("{mode}@{}", on.device))
    }

    /// What the files of a report call it, whichever device it is.
    pub fn key(&self) -> &'static str {
        if self.on.is_some() { "device" } else { self.mode.name() }
    }
}

/// The options of a comparison, already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub steps: usize,
    pub half_turns: HalfTurns,
    pub hidden: usize,
    pub batch: usize,
    pub seed: u64,
    pub threads: usize,
    /// A device that runs the traced programs too.
    pub device: Option<Device>,
}

/// One fused kernel of the compiled training step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelInfo {
    /// What kind of work it is, or the name of the library kernel that is called.
    pub name: String,
    /// The primitives in it, in the order they are computed.
    pub operations: Vec<String>,
    /// Shapes and where it runs ("once a step", "in the loop over time").
    pub place: String,
}

/// A parameter after training, as the bits of its f32 values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterBits {
    pub name: String,
    pub bits: Vec<u32>,
}

/// The prediction over its target in one training step, row 0 of the batch; kept for the animation.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub step: usize,
    /// In half-turns.
    pub time: Vec<f32>,
    pub target: Vec<f32>,
    pub prediction: Vec<f32>,
}

/// One program trained in one mode on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub program: Program,
    pub column: Column,
    pub spans: Vec<Span>,
    pub losses: Vec<f32>,
    /// Wall time of each whole training step; a step that compiled includes it.
    pub step_seconds: Vec<f64>,
    pub compilations: usize,
    pub compile_seconds: f64,
    pub parameters: Vec<ParameterBits>,
    pub fits: Vec<Fit>,
    pub kernels: Vec<KernelInfo>,
}

impl Run {
    pub fn traced(&self) -> bool {
        self.column.mode == Mode::Traced
    }

    pub fn steps(&self) -> usize {
        self.losses.len()
    }

    pub fn total_seconds(&self) -> f64 {
        self.step_seconds.iter().sum()
    }

    pub fn median_step_seconds(&self) -> f64 {
        median(&self.step_seconds)
    }

    pub fn final_loss(&self) -> f32 {
        self.losses.last().copied().unwrap_or(f32::NAN)
    }

    /// FNV-1a over the parameters' bits: one figure to hold against a run on another machine.
    pub fn fingerprint(&self) -> u64 {
        let bytes = self.parameters.iter().flat_map(|p| &p.bits);
        bytes
            .flat_map(|bits| bits.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// The upper median, as the peers' scripts take it; NaN for no values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many frames an animation of the fit has at most.
pub const MOST_FRAMES: usize = 60;
/// How many steps before a frame's own one are still in its picture.
pub const STEPS_IN_VIEW: usize = 12;

/// The steps that become frames: all of them, or evenly spread ones that end with the last.
pub fn frame_steps(steps: usize) -> Vec<usize> {
    let frames = steps.min(MOST_FRAMES);
    (1..=frames).map(|i| i * steps / frames - 1).collect()
}

/// Whether a step's fit is in any frame's picture. Long runs keep only these, so memory stays bounded.
pub fn keeps_fit(frames: &[usize], step: usize) -> bool {
    let next = frames.partition_point(|&frame| frame < step);
    frames.get(next).is_some_and(|&frame| frame - step < STEPS_IN_VIEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_with_the_last_step_and_memory_is_bounded() {
        assert_eq!(frame_steps(1), [0]);
        assert_eq!(frame_steps(60), (0..60).collect::<Vec<_>>());
        let frames = frame_steps(100_000);
        assert_eq!((frames.len(), frames[59]), (60, 99_999));
        let kept = (0..100_000).filter(|&step| keeps_fit(&frames, step)).count();
        assert_eq!(kept, 60 * STEPS_IN_VIEW);
    }

    #[test]
    fn the_median_is_the_peers() {
        assert_eq!(median(&[3.0, 1.0, 2.0, 4.0]), 3.0);
        assert!(median(&[]).is_nan());
    }
}

//! The results of one training run: plain data, which the table and the report are made from.

use crate::device::Device;
use crate::error::Result;
use crate::tensor::Tensor;
use allotrope_ir::DType;

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

impl Accelerator {
    /// What is known of a device, which is opened.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(device: Device) -> Result<Accelerator> {
        crate::device::with_device(device, || Tensor::try_from_slice(&[0.0f32], &[1])?.try_item::<f32>())?;
        #[cfg(feature = "opencl")]
        if let Device::OpenCl(number) = device {
            let opened = crate::backend::opencl::of(number).opened()?;
            let description = opened.description();
            let name = format!("{} ({})", description.name, description.platform);
            return Ok(Accelerator { device, name, contract: Contract::of(opened.verdict()) });
        }
        Ok(Accelerator { device, name: device.to_string(), contract: Contract::EqualBits })
    }
}

impl Contract {
    /// What the probe of a device promises of programs in f32.
    #[cfg(feature = "opencl")]
    fn of(found: &crate::backend::opencl::Verdict) -> Contract {
        if found.equal_bits() {
            return Contract::EqualBits;
        }
        let less = crate::backend::opencl::What::ALL.into_iter().filter(|what| !found.single.is_equal(*what));
        let less = less.map(|what| format!("{what} {}", found.single.of(what).agreement));
        Contract::Within(format!("by its probe {}", less.collect::<Vec<_>>().join(", ")))
    }
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

/// A parameter or a buffer after training, as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterBits {
    pub name: String,
    /// Those of each element: 32 of an f32, else those of the element as f64, which holds every other dtype but large whole numbers.
    pub bits: Vec<u64>,
    /// Bytes that tell one element from another: 4 or 8.
    pub width: usize,
}

impl ParameterBits {
    pub(super) fn of((name, tensor): &(String, Tensor)) -> Result<ParameterBits> {
        let (bits, width) = match tensor.dtype() {
            DType::F32 => (tensor.try_to_vec::<f32>()?.into_iter().map(|x| u64::from(x.to_bits())).collect(), 4),
            _ => (crate::plot::Values::values(tensor)?.into_iter().map(f64::to_bits).collect(), 8),
        };
        Ok(ParameterBits { name: name.clone(), bits, width })
    }
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
    pub program: String,
    pub column: Column,
    /// The length of each step's batch.
    pub lengths: Vec<usize>,
    pub losses: Vec<f64>,
    /// Wall time of each whole training step; a step that compiled includes it.
    pub step_seconds: Vec<f64>,
    pub compilations: usize,
    pub compile_seconds: f64,
    pub parameters: Vec<ParameterBits>,
    pub fits: Vec<Fit>,
    pub kernels: Vec<KernelInfo>,
}

impl Run {
    /// Before its first step.
    pub(super) fn new(program: &str, column: Column) -> Run {
        Run {
            program: program.to_string(),
            column,
            lengths: Vec::new(),
            losses: Vec::new(),
            step_seconds: Vec::new(),
            compilations: 0,
            compile_seconds: 0.0,
            parameters: Vec::new(),
            fits: Vec::new(),
            kernels: Vec::new(),
        }
    }

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

    pub fn final_loss(&self) -> f64 {
        self.losses.last().copied().unwrap_or(f64::NAN)
    }

    /// FNV-1a over the parameters' bits: one figure to hold against a run on another machine.
    pub fn fingerprint(&self) -> u64 {
        let bytes = self.parameters.iter().flat_map(|p| p.bits.iter().map(|bits| (bits.to_le_bytes(), p.width)));
        bytes
            .flat_map(|(bytes, width)| bytes.into_iter().take(width))
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

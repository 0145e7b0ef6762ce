//! The results of one training run, and the comparison of two.
//!
//! Plain data: the table and the report are made from it, and it never holds a tensor.

use super::sequence::{HalfTurns, Program, Span};

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

/// The options of a comparison, already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub steps: usize,
    pub half_turns: HalfTurns,
    pub hidden: usize,
    pub batch: usize,
    pub seed: u64,
    pub threads: usize,
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

/// One program trained in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub program: Program,
    pub mode: Mode,
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

/// Whether two lists of f32 hold the same bits, and if not, where they part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    Equal,
    Differ(String),
}

impl Agreement {
    pub fn is_equal(&self) -> bool {
        *self == Self::Equal
    }
}

/// The same program, trained from the same seed in both modes.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub eager: Run,
    pub traced: Run,
}

impl Comparison {
    pub fn program(&self) -> Program {
        self.eager.program
    }

    pub fn runs(&self) -> [&Run; 2] {
        [&self.eager, &self.traced]
    }

    /// How many times faster the median traced step is.
    pub fn step_speedup(&self) -> f64 {
        self.eager.median_step_seconds() / self.traced.median_step_seconds()
    }

    /// How many times faster the whole traced run is, its compilation included.
    pub fn total_speedup(&self) -> f64 {
        self.eager.total_seconds() / self.traced.total_seconds()
    }

    pub fn losses(&self) -> Agreement {
        let (eager, traced) = (&self.eager.losses, &self.traced.losses);
        if eager.len() != traced.len() {
            return Agreement::Differ(format!("{} steps and {}", eager.len(), traced.len()));
        }
        let parted = eager.iter().zip(traced).position(|(e, t)| e.to_bits() != t.to_bits());
        match parted {
            None => Agreement::Equal,
            Some(step) => Agreement::Differ(format!(
                "first at step {}: eager {:e} (0x{:08x}), traced {:e} (0x{:08x})",
                step + 1,
                eager[step],
                eager[step].to_bits(),
                traced[step],
                traced[step].to_bits()
            )),
        }
    }

    pub fn parameters(&self) -> Agreement {
        let (eager, traced) = (&self.eager.parameters, &self.traced.parameters);
        if eager.len() != traced.len() {
            let message = format!("{} parameters and {}", eager.len(), traced.len());
            return Agreement::Differ(message);
        }
        for (e, t) in eager.iter().zip(traced) {
            if e.name != t.name || e.bits.len() != t.bits.len() {
                let (a, b) = (e.bits.len(), t.bits.len());
                return Agreement::Differ(format!("{} [{a}] beside {} [{b}]", e.name, t.name));
            }
            let differing = e.bits.iter().zip(&t.bits).filter(|(a, b)| a != b).count();
            if differing > 0 {
                let all = e.bits.len();
                return Agreement::Differ(format!("{differing} of {all} values of {}", e.name));
            }
        }
        Agreement::Equal
    }

    pub fn agrees(&self) -> bool {
        self.losses().is_equal() && self.parameters().is_equal()
    }
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
    use crate::cli::synthetic;

    #[test]
    fn equal_runs_agree() {
        let pair = synthetic::comparison(Program::Fixed);
        assert!(pair.agrees());
        assert_eq!(pair.eager.fingerprint(), pair.traced.fingerprint());
    }

    #[test]
    fn one_bit_of_a_loss_is_found_and_named() {
        let mut pair = synthetic::comparison(Program::Fixed);
        pair.traced.losses[6] = f32::from_bits(pair.traced.losses[6].to_bits() ^ 1);
        let Agreement::Differ(where_) = pair.losses() else { panic!("a flipped bit went unseen") };
        assert!(where_.contains("step 7"), "{where_}");
        assert!(pair.parameters().is_equal());
    }

    #[test]
    fn one_bit_of_a_parameter_is_found_and_named() {
        let mut pair = synthetic::comparison(Program::Fixed);
        pair.traced.parameters[1].bits[3] ^= 1;
        let Agreement::Differ(where_) = pair.parameters() else { panic!("a flipped bit went unseen") };
        assert!(where_.contains(&pair.eager.parameters[1].name), "{where_}");
    }

    #[test]
    fn equal_nans_are_equal_bits() {
        let mut pair = synthetic::comparison(Program::Fixed);
        pair.eager.losses[0] = f32::NAN;
        pair.traced.losses[0] = f32::NAN;
        assert!(pair.losses().is_equal());
    }

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

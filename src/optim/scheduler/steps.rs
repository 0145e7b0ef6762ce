//! Rates that are multiplied at certain epochs.

use super::by_epoch::{At, ByEpoch, Formula, constructors};
use super::visit::Visit;
use crate::error::{Error, Result};

/// The rate is multiplied by `gamma` every `step_size` epochs.
pub type StepLr = ByEpoch<Step>;

/// The formula of [`StepLr`].
#[derive(Clone, Debug)]
pub struct Step {
    step_size: i64,
    gamma: f64,
}

constructors! { "StepLR" Step:
    /// Multiplied by `gamma` (PyTorch's default: 0.1) every `step_size` epochs.
    fn new / try_new(start, step_size: usize, gamma: f64) {
        if step_size == 0 {
            return Err(Error::argument("StepLR: step_size must be at least 1, got 0"));
        }
        finite("StepLR", "gamma", gamma)?;
        ByEpoch::begin(start, Step { step_size: step_size as i64, gamma })
    }
}

/// Refuses what is no number of a schedule.
pub(super) fn finite(of: &str, name: &str, x: f64) -> Result<()> {
    if x.is_finite() { Ok(()) } else { Err(Error::argument(format!("{of}: {name} must be finite, got {x}"))) }
}

impl Formula for Step {
    const NAME: &'static str = "StepLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        Ok(if at.epoch == 0 || at.epoch % self.step_size != 0 { at.lr } else { at.lr * self.gamma })
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        Some(at.base_lr * self.gamma.powf((at.epoch / self.step_size) as f64))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.int("step_size", &mut self.step_size);
        v.number("gamma", &mut self.gamma);
    }
}

/// The rate is multiplied by `gamma` at each of some epochs.
pub type MultiStepLr = ByEpoch<MultiStep>;

/// The formula of [`MultiStepLr`].
#[derive(Clone, Debug)]
pub struct MultiStep {
    /// Epochs in order, and how often each was given.
    milestones: Vec<(i64, i64)>,
    gamma: f64,
}

constructors! { "MultiStepLR" MultiStep:
    /// Multiplied by `gamma` (PyTorch's default: 0.1) at each of the milestones, as often as it is given.
    fn new / try_new(start, milestones: &[usize], gamma: f64) {
        finite("MultiStepLR", "gamma", gamma)?;
        let mut counts: Vec<(i64, i64)> = Vec::new();
        for &m in milestones {
            match counts.iter_mut().find(|(epoch, _)| *epoch == m as i64) {
                Some((_, n)) => *n += 1,
                None => counts.push((m as i64, 1)),
            }
        }
        counts.sort_unstable();
        ByEpoch::begin(start, MultiStep { milestones: counts, gamma })
    }
}

impl Formula for MultiStep {
    const NAME: &'static str = "MultiStepLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        let found = self.milestones.iter().find(|(epoch, _)| *epoch == at.epoch);
        Ok(found.map_or(at.lr, |(_, n)| at.lr * self.gamma.powf(*n as f64)))
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        let passed: i64 = self.milestones.iter().filter(|(epoch, _)| *epoch <= at.epoch).map(|(_, n)| n).sum();
        Some(at.base_lr * self.gamma.powf(passed as f64))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.counts("milestones", &mut self.milestones);
        v.number("gamma", &mut self.gamma);
    }
}

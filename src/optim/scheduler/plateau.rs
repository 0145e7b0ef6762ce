//! Rates that fall when a metric no longer gets better.

use super::by_epoch::rates;
use super::per_group::PerGroup;
use super::start::Start;
use super::visit::Visit;
use crate::error::{Error, Result, must};
use crate::optim::group::{Group, outside_of_a_trace};
use crate::state::Value;

/// Whether a metric is better when it is smaller or larger.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PlateauMode {
    Min,
    Max,
}

/// Whether a metric must be better by a share of the best one, or by an amount.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ThresholdMode {
    Rel,
    Abs,
}

/// What [`ReduceLrOnPlateau`] takes; the defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateauOptions {
    pub mode: PlateauMode,
    /// By what rates are multiplied, below 1.
    pub factor: f64,
    /// How many steps without a better metric are borne.
    pub patience: usize,
    /// By how much a metric must be better.
    pub threshold: f64,
    pub threshold_mode: ThresholdMode,
    /// How many steps after a reduction are not counted.
    pub cooldown: usize,
    /// No rate becomes smaller.
    pub min_lr: PerGroup,
    /// A smaller change is not made.
    pub eps: f64,
}

impl Default for PlateauOptions {
    fn default() -> PlateauOptions {
        PlateauOptions {
            mode: PlateauMode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            min_lr: PerGroup::All(0.0),
            eps: 1e-8,
        }
    }
}

/// Multiplies the learning rates by a factor when a metric has not got better for some steps. A step takes the metric, so this is no
/// [`Scheduler`](super::Scheduler) that could be chained.
///
/// ```
/// use allotrope::{optim::{Sgd, scheduler::{PlateauOptions, ReduceLrOnPlateau}}, prelude::*};
/// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 1.0);
/// let options = PlateauOptions { patience: 1, factor: 0.5, ..Default::default() };
/// let mut scheduler = ReduceLrOnPlateau::new(&opt, options);
/// [3.0, 3.0, 3.0].iter().for_each(|loss| scheduler.step(*loss));
/// assert_eq!(scheduler.get_last_lr(), [0.5]);
/// ```
#[derive(Clone)]
pub struct ReduceLrOnPlateau {
    groups: Vec<Group>,
    mode: PlateauMode,
    factor: f64,
    patience: i64,
    threshold: f64,
    threshold_mode: ThresholdMode,
    cooldown: i64,
    min_lrs: Vec<f64>,
    eps: f64,
    best: f64,
    cooldown_counter: i64,
    num_bad_epochs: i64,
    last_epoch: i64,
    last_lr: Vec<f64>,
}

const NAME: &str = "ReduceLROnPlateau";

impl ReduceLrOnPlateau {
    /// A scheduler that has seen no metric yet.
    ///
    /// # Panics
    /// Where [`ReduceLrOnPlateau::try_new`] fails.
    #[track_caller]
    pub fn new<'a>(start: impl Into<Start<'a>>, options: PlateauOptions) -> ReduceLrOnPlateau {
        must(ReduceLrOnPlateau::try_new(start, options))
    }

    /// As [`ReduceLrOnPlateau::new`].
    ///
    /// # Errors
    /// When the factor is not below 1, or the number of smallest rates is not that of the groups, and inside a trace.
    pub fn try_new<'a>(start: impl Into<Start<'a>>, options: PlateauOptions) -> Result<ReduceLrOnPlateau> {
        outside_of_a_trace(NAME)?;
        let groups = start.into().groups;
        let PlateauOptions { mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps } = options;
        if factor >= 1.0 || factor.is_nan() {
            return Err(Error::argument(format!("{NAME}: factor must be below 1, got {factor}")));
        }
        Ok(ReduceLrOnPlateau {
            min_lrs: min_lr.each(NAME, "min_lr", groups.len())?,
            last_lr: rates(groups)?,
            groups: groups.to_vec(),
            mode,
            factor,
            patience: patience as i64,
            threshold,
            threshold_mode,
            cooldown: cooldown as i64,
            eps,
            best: worst(mode),
            cooldown_counter: 0,
            num_bad_epochs: 0,
            last_epoch: 0,
        })
    }

    fn is_better(&self, metric: f64) -> bool {
        let (best, by) = (self.best, self.threshold);
        match (self.mode, self.threshold_mode) {
            (PlateauMode::Min, ThresholdMode::Rel) => metric < best * (1.0 - by),
            (PlateauMode::Min, ThresholdMode::Abs) => metric < best - by,
            (PlateauMode::Max, ThresholdMode::Rel) => metric > best * (by + 1.0),
            (PlateauMode::Max, ThresholdMode::Abs) => metric > best + by,
        }
    }

    /// Takes the metric of an epoch, and reduces the rates where it is time.
    ///
    /// # Panics
    /// Where [`ReduceLrOnPlateau::try_step`] fails.
    #[track_caller]
    pub fn step(&mut self, metric: f64) {
        must(self.try_step(metric));
    }

    /// As [`ReduceLrOnPlateau::step`].
    ///
    /// # Errors
    /// Inside a trace.
    pub fn try_step(&mut self, metric: f64) -> Result<()> {
        outside_of_a_trace("a scheduler's step")?;
        let now = rates(&self.groups)?;
        self.last_epoch += 1;
        if self.is_better(metric) {
            self.best = metric;
            self.num_bad_epochs = 0;
        } else {
            self.num_bad_epochs += 1;
        }
        if self.is_cooling_down() {
            self.cooldown_counter -= 1;
            self.num_bad_epochs = 0;
        }
        if self.num_bad_epochs > self.patience {
            for ((group, old), least) in self.groups.iter().zip(now).zip(&self.min_lrs) {
                let new = (old * self.factor).max(*least);
                if old - new > self.eps {
                    group.fill_lr(new);
                }
            }
            self.cooldown_counter = self.cooldown;
            self.num_bad_epochs = 0;
        }
        self.last_lr = rates(&self.groups)?;
        Ok(())
    }

    /// Whether steps are not counted because of a reduction.
    pub fn is_cooling_down(&self) -> bool {
        self.cooldown_counter > 0
    }

    /// The learning rate of each group after the last step.
    pub fn get_last_lr(&self) -> Vec<f64> {
        self.last_lr.clone()
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.number("factor", &mut self.factor);
        v.numbers("min_lrs", &mut self.min_lrs);
        v.int("patience", &mut self.patience);
        v.int("cooldown", &mut self.cooldown);
        v.number("eps", &mut self.eps);
        v.int("last_epoch", &mut self.last_epoch);
        v.numbers("_last_lr", &mut self.last_lr);
        v.fixed("mode_worse", Value::Float(worst(self.mode)));
        v.word("mode", &mut self.mode, &[("min", PlateauMode::Min), ("max", PlateauMode::Max)]);
        v.number("threshold", &mut self.threshold);
        v.word("threshold_mode", &mut self.threshold_mode, &[("rel", ThresholdMode::Rel), ("abs", ThresholdMode::Abs)]);
        v.number("best", &mut self.best);
        v.int("cooldown_counter", &mut self.cooldown_counter);
        v.int("num_bad_epochs", &mut self.num_bad_epochs);
    }

    /// What must be saved to go on later, under PyTorch's names.
    pub fn state_dict(&self) -> Value {
        let mut visit = Visit::saving(NAME);
        self.clone().visit(&mut visit);
        visit.saved()
    }

    /// Goes on from what [`ReduceLrOnPlateau::state_dict`], or PyTorch's, gave.
    ///
    /// # Errors
    /// When a value is missing or of another kind. Nothing is changed then.
    pub fn load_state_dict(&mut self, state: &Value) -> Result<()> {
        let mut visit = Visit::loading(NAME, state)?;
        let mut loaded = self.clone();
        loaded.visit(&mut visit);
        visit.finish()?;
        *self = loaded;
        Ok(())
    }
}

fn worst(mode: PlateauMode) -> f64 {
    if mode == PlateauMode::Min { f64::INFINITY } else { f64::NEG_INFINITY }
}

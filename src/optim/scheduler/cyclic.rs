//! Rates that go up and down between two bounds (Smith, 2017).

use super::by_epoch::{At, ByEpoch, Formula, constructors};
use super::one_cycle::{begin_momenta, momenta};
use super::per_group::PerGroup;
use super::visit::Visit;
use crate::error::{Error, Result};
use crate::optim::group::outside_of_a_trace;
use crate::state::Value;
use std::sync::Arc;

/// How the height of the cycles changes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CyclicMode {
    /// It stays.
    Triangular,
    /// It is halved with every cycle.
    Triangular2,
    /// It is multiplied by `gamma` with every step.
    ExpRange,
}

/// What a scale function is given.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ScaleMode {
    /// The number of the cycle, from 1.
    Cycle,
    /// The number of the step.
    Iterations,
}

/// A function of the cycle or the step that scales the height.
pub type ScaleFn = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

/// What [`CyclicLr`] takes beside both rates; the defaults are PyTorch's.
#[derive(Clone)]
pub struct CyclicOptions {
    /// Steps in which the rate rises.
    pub step_size_up: usize,
    /// Steps in which it falls; none means as many.
    pub step_size_down: Option<usize>,
    pub mode: CyclicMode,
    /// For [`CyclicMode::ExpRange`].
    pub gamma: f64,
    /// In the place of a mode.
    pub scale_fn: Option<ScaleFn>,
    /// What `scale_fn` is given.
    pub scale_mode: ScaleMode,
    /// Whether the momentum, or the first of the betas, goes the other way, between `max_momentum` and `base_momentum`.
    pub cycle_momentum: bool,
    pub base_momentum: PerGroup,
    pub max_momentum: PerGroup,
}

impl Default for CyclicOptions {
    fn default() -> CyclicOptions {
        CyclicOptions {
            step_size_up: 2000,
            step_size_down: None,
            mode: CyclicMode::Triangular,
            gamma: 1.0,
            scale_fn: None,
            scale_mode: ScaleMode::Cycle,
            cycle_momentum: true,
            base_momentum: PerGroup::All(0.8),
            max_momentum: PerGroup::All(0.9),
        }
    }
}

/// The rate goes up and down between `base_lr` and `max_lr`; step it after every batch.
pub type CyclicLr = ByEpoch<Cyclic>;

/// The formula of [`CyclicLr`].
#[derive(Clone)]
pub struct Cyclic {
    base_lrs: Vec<f64>,
    max_lrs: Vec<f64>,
    total_size: f64,
    step_ratio: f64,
    mode: CyclicMode,
    gamma: f64,
    scale_fn: Option<ScaleFn>,
    scale_mode: ScaleMode,
    cycle_momentum: bool,
    use_beta1: bool,
    base_momentums: Vec<f64>,
    max_momentums: Vec<f64>,
}

const NAME: &str = "CyclicLR";

constructors! { "CyclicLR" Cyclic:
    /// With PyTorch's defaults.
    fn new / try_new(start, base_lr: impl Into<PerGroup>, max_lr: impl Into<PerGroup>) {
        begin(start, base_lr.into(), max_lr.into(), CyclicOptions::default())
    }

    /// With other options.
    ///
    /// ```
    /// use allotrope::{optim::{Scheduler, Sgd, scheduler::{CyclicLr, CyclicOptions}}, prelude::*};
    /// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 0.1);
    /// let options = CyclicOptions { step_size_up: 2, cycle_momentum: false, ..Default::default() };
    /// let mut scheduler = CyclicLr::with_options(&opt, 0.0, 1.0, options);
    /// scheduler.step();
    /// assert_eq!(scheduler.get_last_lr(), [0.5]);
    /// ```
    fn with_options / try_with_options(
        start,
        base_lr: impl Into<PerGroup>,
        max_lr: impl Into<PerGroup>,
        options: CyclicOptions
    ) {
        begin(start, base_lr.into(), max_lr.into(), options)
    }
}

fn begin(
    start: super::start::Start<'_>,
    base_lr: PerGroup,
    max_lr: PerGroup,
    options: CyclicOptions,
) -> Result<ByEpoch<Cyclic>> {
    outside_of_a_trace(NAME)?;
    let (groups, last_epoch) = (start.groups, start.last_epoch);
    let base_lrs = base_lr.each(NAME, "base_lr", groups.len())?;
    let max_lrs = max_lr.each(NAME, "max_lr", groups.len())?;
    let (up, down) = (options.step_size_up, options.step_size_down.unwrap_or(options.step_size_up));
    if up == 0 || down == 0 {
        return Err(Error::argument(format!("{NAME}: step sizes must be at least 1, got {up} up and {down} down")));
    }
    super::steps::finite(NAME, "gamma", options.gamma)?;
    let bounds = (&options.base_momentum, &options.max_momentum);
    let momenta = momenta(NAME, options.cycle_momentum, bounds, groups)?;
    if last_epoch != -1 && groups.iter().any(|g| g.extra_number("initial_lr").is_none()) {
        return Err(Error::argument(format!(
            "{NAME}: a group has no initial_lr to go on from; load the optimizer's state dict first"
        )));
    }
    if last_epoch == -1 {
        groups.iter().zip(&base_lrs).for_each(|(group, lr)| group.fill_lr(*lr));
    }
    begin_momenta(groups, &momenta, last_epoch)?;
    let (base_momentums, max_momentums) = momenta.unwrap_or_default();
    let total_size = (up + down) as f64;
    let scale_mode = match (&options.scale_fn, options.mode) {
        (Some(_), _) => options.scale_mode,
        (None, CyclicMode::ExpRange) => ScaleMode::Iterations,
        (None, CyclicMode::Triangular | CyclicMode::Triangular2) => ScaleMode::Cycle,
    };
    let formula = Cyclic {
        base_lrs,
        max_lrs,
        total_size,
        step_ratio: up as f64 / total_size,
        mode: options.mode,
        gamma: options.gamma,
        scale_fn: options.scale_fn,
        scale_mode,
        cycle_momentum: options.cycle_momentum,
        use_beta1: groups.iter().any(|g| g.momentum_name() == Some("betas")),
        base_momentums,
        max_momentums,
    };
    let base = formula.base_lrs.clone();
    let mut all = ByEpoch::begin(start, formula)?;
    all.base_lrs = base;
    Ok(all)
}

impl Cyclic {
    /// How high between both bounds, with the height of this cycle.
    fn height(&self, epoch: i64) -> (f64, f64) {
        let at = epoch as f64 / self.total_size;
        let cycle = (1.0 + at).floor();
        let x = 1.0 + at - cycle;
        let part = if x <= self.step_ratio { x / self.step_ratio } else { (x - 1.0) / (self.step_ratio - 1.0) };
        let given = if self.scale_mode == ScaleMode::Cycle { cycle } else { epoch as f64 };
        let scale = match (&self.scale_fn, self.mode) {
            (Some(f), _) => f(given),
            (None, CyclicMode::Triangular) => 1.0,
            (None, CyclicMode::Triangular2) => 1.0 / 2f64.powf(given - 1.0),
            (None, CyclicMode::ExpRange) => self.gamma.powf(given),
        };
        (part, scale)
    }
}

impl Formula for Cyclic {
    const NAME: &'static str = NAME;

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        let (part, scale) = self.height(at.epoch);
        Ok(at.base_lr + (self.max_lrs[at.index] - at.base_lr) * part * scale)
    }

    fn momentum(&self, at: &At<'_>) -> Option<f64> {
        let (base, max) = (self.base_momentums.get(at.index)?, self.max_momentums.get(at.index)?);
        let (part, scale) = self.height(at.epoch);
        self.cycle_momentum.then(|| max - (max - base) * part * scale)
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.numbers("max_lrs", &mut self.max_lrs);
        v.number("total_size", &mut self.total_size);
        v.number("step_ratio", &mut self.step_ratio);
        let modes = [
            ("triangular", CyclicMode::Triangular),
            ("triangular2", CyclicMode::Triangular2),
            ("exp_range", CyclicMode::ExpRange),
        ];
        v.word("mode", &mut self.mode, &modes);
        v.number("gamma", &mut self.gamma);
        v.word(
            "scale_mode",
            &mut self.scale_mode,
            &[("cycle", ScaleMode::Cycle), ("iterations", ScaleMode::Iterations)],
        );
        v.flag("cycle_momentum", &mut self.cycle_momentum);
        if self.cycle_momentum {
            v.fixed("use_beta1", Value::Bool(self.use_beta1));
            v.numbers("base_momentums", &mut self.base_momentums);
            v.numbers("max_momentums", &mut self.max_momentums);
        }
        v.fixed("_scale_fn_custom", Value::None);
    }
}

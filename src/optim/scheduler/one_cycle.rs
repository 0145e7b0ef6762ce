//! One cycle of the learning rate and, the other way round, of the momentum (Smith and Topin, 2018).

use super::by_epoch::{At, ByEpoch, Formula, constructors};
use super::per_group::PerGroup;
use super::visit::Visit;
use crate::error::{Error, Result};
use crate::optim::group::{Group, outside_of_a_trace};
use crate::optim::options::Range;
use crate::state::Value;

/// How rates go from one to the next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// Along half a cosine.
    Cos,
    /// On a straight line.
    Linear,
}

/// What [`OneCycleLr`] takes beside the highest rate and the number of steps; the defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct OneCycleOptions {
    /// The share of the steps in which the rate rises.
    pub pct_start: f64,
    pub anneal_strategy: Anneal,
    /// Whether the momentum, or the first of the betas, falls from `max_momentum` to `base_momentum` and rises again.
    pub cycle_momentum: bool,
    pub base_momentum: PerGroup,
    pub max_momentum: PerGroup,
    /// The first rate is the highest divided by it.
    pub div_factor: f64,
    /// The last rate is the first divided by it.
    pub final_div_factor: f64,
    /// Falls to the first rate, and then to the last.
    pub three_phase: bool,
}

impl Default for OneCycleOptions {
    fn default() -> OneCycleOptions {
        OneCycleOptions {
            pct_start: 0.3,
            anneal_strategy: Anneal::Cos,
            cycle_momentum: true,
            base_momentum: PerGroup::All(0.85),
            max_momentum: PerGroup::All(0.95),
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }
}

/// The rate rises to `max_lr` and falls to nearly nothing within `total_steps`; step it after every batch.
pub type OneCycleLr = ByEpoch<OneCycle>;

/// The formula of [`OneCycleLr`].
#[derive(Clone, Debug)]
pub struct OneCycle {
    total_steps: i64,
    pct_start: f64,
    anneal: Anneal,
    cycle_momentum: bool,
    three_phase: bool,
    use_beta1: bool,
}

const NAME: &str = "OneCycleLR";

constructors! { "OneCycleLR" OneCycle:
    /// With PyTorch's defaults. For epochs of batches, `total_steps` is their number times that of the batches.
    ///
    /// ```
    /// use allotrope::{optim::{AdamW, Scheduler, scheduler::OneCycleLr}, prelude::*};
    /// let opt = AdamW::new(nn::Linear::new(3, 1).parameters(), 1e-3);
    /// let mut scheduler = OneCycleLr::new(&opt, 0.01, 100);
    /// (0..30).for_each(|_| scheduler.step());
    /// assert!(scheduler.get_last_lr()[0] > 0.0099 && opt.groups()[0].momentum().unwrap() < 0.851);
    /// ```
    fn new / try_new(start, max_lr: impl Into<PerGroup>, total_steps: usize) {
        begin(start, max_lr.into(), total_steps, OneCycleOptions::default())
    }

    /// With other options.
    fn with_options / try_with_options(start, max_lr: impl Into<PerGroup>, total_steps: usize, options: OneCycleOptions) {
        begin(start, max_lr.into(), total_steps, options)
    }
}

/// The momenta of a cycle, checked; none where they stay.
pub(super) fn momenta(
    of: &str,
    cycles: bool,
    (base, max): (&PerGroup, &PerGroup),
    groups: &[Group],
) -> Result<Option<(Vec<f64>, Vec<f64>)>> {
    if !cycles {
        return Ok(None);
    }
    if groups.iter().any(|g| g.momentum_name().is_none()) {
        return Err(Error::argument(format!(
            "{of}: the optimizer has neither a momentum nor betas to cycle; use cycle_momentum: false"
        )));
    }
    let (base, max) = (base.each(of, "base_momentum", groups.len())?, max.each(of, "max_momentum", groups.len())?);
    for (name, all) in [("base_momentum", &base), ("max_momentum", &max)] {
        all.iter().try_for_each(|x| Range::BELOW_ONE.check(of, name, *x))?;
    }
    Ok(Some((base, max)))
}

/// Sets the momentum of the beginning, and leaves both bounds in the groups, as PyTorch does.
pub(super) fn begin_momenta(groups: &[Group], momenta: &Option<(Vec<f64>, Vec<f64>)>, last_epoch: i64) -> Result<()> {
    let Some((base, max)) = momenta.as_ref().filter(|_| last_epoch == -1) else { return Ok(()) };
    for ((group, base), max) in groups.iter().zip(base).zip(max) {
        group.try_set_momentum(*max)?;
        group.set_extra("max_momentum", *max);
        group.set_extra("base_momentum", *base);
    }
    Ok(())
}

fn begin(
    start: super::start::Start<'_>,
    max_lr: PerGroup,
    total_steps: usize,
    options: OneCycleOptions,
) -> Result<ByEpoch<OneCycle>> {
    outside_of_a_trace(NAME)?;
    let (groups, last_epoch) = (start.groups, start.last_epoch);
    if total_steps == 0 {
        return Err(Error::argument(format!("{NAME}: total_steps must be at least 1, got 0")));
    }
    Range::UNIT.check(NAME, "pct_start", options.pct_start)?;
    Range::ABOVE_ZERO.check(NAME, "div_factor", options.div_factor)?;
    Range::ABOVE_ZERO.check(NAME, "final_div_factor", options.final_div_factor)?;
    let max_lrs = max_lr.each(NAME, "max_lr", groups.len())?;
    let bounds = (&options.base_momentum, &options.max_momentum);
    let momenta = momenta(NAME, options.cycle_momentum, bounds, groups)?;
    let formula = OneCycle {
        total_steps: total_steps as i64,
        pct_start: options.pct_start,
        anneal: options.anneal_strategy,
        cycle_momentum: options.cycle_momentum,
        three_phase: options.three_phase,
        use_beta1: groups.iter().any(|g| g.momentum_name() == Some("betas")),
    };
    if !formula.now(0).1.is_finite() {
        return Err(Error::argument(format!(
            "{NAME}: total_steps {total_steps} is too small for pct_start {}: the rate would rise in no time",
            options.pct_start
        )));
    }
    if last_epoch == -1 {
        for (group, max) in groups.iter().zip(&max_lrs) {
            let initial = max / options.div_factor;
            group.set_extra("initial_lr", initial);
            group.set_extra("max_lr", *max);
            group.set_extra("min_lr", initial / options.final_div_factor);
        }
    } else if last_epoch > total_steps as i64 {
        return Err(Error::argument(format!("{NAME}: cannot go on after step {last_epoch} of {total_steps}")));
    } else if groups.iter().any(|g| ["max_lr", "min_lr"].iter().any(|name| g.extra_number(name).is_none())) {
        return Err(Error::argument(format!(
            "{NAME}: a group has no max_lr to go on from; load the optimizer's state dict first"
        )));
    }
    begin_momenta(groups, &momenta, last_epoch)?;
    ByEpoch::begin(start, formula)
}

/// Where a phase ends, and the names of what it goes from and to: rates, then momenta.
type Phase = (f64, [&'static str; 4]);

impl OneCycle {
    fn phases(&self) -> Vec<Phase> {
        let (total, rising) = (self.total_steps as f64, self.pct_start * self.total_steps as f64);
        let up = (rising - 1.0, ["initial_lr", "max_lr", "max_momentum", "base_momentum"]);
        match self.three_phase {
            true => vec![
                up,
                (2.0 * rising - 2.0, ["max_lr", "initial_lr", "base_momentum", "max_momentum"]),
                (total - 1.0, ["initial_lr", "min_lr", "max_momentum", "max_momentum"]),
            ],
            false => vec![up, (total - 1.0, ["max_lr", "min_lr", "base_momentum", "max_momentum"])],
        }
    }

    fn between(&self, at: &At<'_>, from: &str, to: &str, part: f64) -> Option<f64> {
        let (start, end) = (at.group.extra_number(from)?, at.group.extra_number(to)?);
        Some(match self.anneal {
            Anneal::Cos => end + (start - end) / 2.0 * ((std::f64::consts::PI * part).cos() + 1.0),
            Anneal::Linear => (end - start) * part + start,
        })
    }

    /// What goes from where to where now, and how much of the way has passed.
    fn now(&self, epoch: i64) -> ([&'static str; 4], f64) {
        let (step, phases) = (epoch as f64, self.phases());
        let mut begin = 0.0;
        let place = phases.iter().position(|(end, _)| step <= *end).unwrap_or(phases.len() - 1);
        if place > 0 {
            begin = phases[place - 1].0;
        }
        let (end, names) = phases[place];
        (names, (step - begin) / (end - begin))
    }
}

impl Formula for OneCycle {
    const NAME: &'static str = NAME;

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        if at.epoch > self.total_steps {
            return Err(Error::argument(format!(
                "{NAME}: step {} is after the last of its {} steps",
                at.epoch, self.total_steps
            )));
        }
        let ([from, to, ..], part) = self.now(at.epoch);
        self.between(at, from, to, part).ok_or_else(|| {
            Error::argument(format!(
                "{NAME}: group {} has no {from} or {to} any more; its optimizer's state dict had none",
                at.index
            ))
        })
    }

    fn momentum(&self, at: &At<'_>) -> Option<f64> {
        let ([.., from, to], part) = self.now(at.epoch);
        self.cycle_momentum.then(|| self.between(at, from, to, part)).flatten()
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.int("total_steps", &mut self.total_steps);
        let phases = self.phases().into_iter().map(|(end, names)| {
            let keys = ["start_lr", "end_lr", "start_momentum", "end_momentum"];
            let names = keys.into_iter().zip(names.map(Value::from));
            Value::dict(std::iter::once(("end_step", Value::Float(end))).chain(names))
        });
        v.fixed("_schedule_phases", Value::List(phases.collect()));
        v.word("_anneal_func_type", &mut self.anneal, &[("cos", Anneal::Cos), ("linear", Anneal::Linear)]);
        v.flag("cycle_momentum", &mut self.cycle_momentum);
        if self.cycle_momentum {
            v.fixed("use_beta1", Value::Bool(self.use_beta1));
        }
    }
}

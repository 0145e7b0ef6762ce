//! Rates along half a cosine (Loshchilov and Hutter, 2017, SGDR), once or again and again.

use super::by_epoch::{At, ByEpoch, Formula, constructors};
use super::steps::finite;
use super::visit::Visit;
use crate::error::{Error, Result, must};
use std::f64::consts::PI;

/// The rate falls to `eta_min` in `t_max` epochs along a cosine, and rises again.
pub type CosineAnnealingLr = ByEpoch<CosineAnnealing>;

/// The formula of [`CosineAnnealingLr`].
#[derive(Clone, Debug)]
pub struct CosineAnnealing {
    t_max: i64,
    eta_min: f64,
}

constructors! { "CosineAnnealingLR" CosineAnnealing:
    /// To `eta_min` (PyTorch's default: 0) in `t_max` epochs.
    fn new / try_new(start, t_max: usize, eta_min: f64) {
        if t_max == 0 {
            return Err(Error::argument("CosineAnnealingLR: t_max must be at least 1, got 0"));
        }
        finite("CosineAnnealingLR", "eta_min", eta_min)?;
        ByEpoch::begin(start, CosineAnnealing { t_max: t_max as i64, eta_min })
    }
}

impl CosineAnnealing {
    fn whole(&self, at: &At<'_>, angle: f64) -> f64 {
        self.eta_min + (at.base_lr - self.eta_min) * (1.0 + angle.cos()) / 2.0
    }
}

impl Formula for CosineAnnealing {
    const NAME: &'static str = "CosineAnnealingLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        let (epoch, most) = (at.epoch as f64, self.t_max as f64);
        if at.is_initial {
            return Ok(at.lr);
        }
        if at.step_count == 1 && at.epoch > 0 {
            return Ok(self.whole(at, epoch * PI / most));
        }
        if (at.epoch - 1 - self.t_max).rem_euclid(2 * self.t_max) == 0 {
            return Ok(at.lr + (at.base_lr - self.eta_min) * (1.0 - (PI / most).cos()) / 2.0);
        }
        let ratio = (1.0 + (PI * epoch / most).cos()) / (1.0 + (PI * (epoch - 1.0) / most).cos());
        Ok(ratio * (at.lr - self.eta_min) + self.eta_min)
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        Some(self.whole(at, PI * at.epoch as f64 / self.t_max as f64))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.int("T_max", &mut self.t_max);
        v.number("eta_min", &mut self.eta_min);
    }
}

/// The rate falls along a cosine and begins again, each time for `t_mult` times as many epochs.
pub type CosineAnnealingWarmRestarts = ByEpoch<WarmRestarts>;

/// The formula of [`CosineAnnealingWarmRestarts`].
#[derive(Clone, Debug)]
pub struct WarmRestarts {
    t_0: i64,
    /// The length of this round, and how much of it has passed.
    t_i: f64,
    t_mult: i64,
    eta_min: f64,
    t_cur: f64,
}

constructors! { "CosineAnnealingWarmRestarts" WarmRestarts:
    /// `t_0` epochs in the first round, `t_mult` (PyTorch's default: 1) times as many in each further one, to `eta_min` (0).
    fn new / try_new(start, t_0: usize, t_mult: usize, eta_min: f64) {
        for (name, n) in [("t_0", t_0), ("t_mult", t_mult)] {
            if n == 0 {
                return Err(Error::argument(format!("CosineAnnealingWarmRestarts: {name} must be at least 1, got 0")));
            }
        }
        finite("CosineAnnealingWarmRestarts", "eta_min", eta_min)?;
        let t_cur = start.last_epoch as f64;
        let (t_0, t_mult) = (t_0 as i64, t_mult as i64);
        ByEpoch::begin(start, WarmRestarts { t_0, t_i: t_0 as f64, t_mult, eta_min, t_cur })
    }
}

impl WarmRestarts {
    /// Goes to an epoch, which may be a part of one.
    fn go_to(&mut self, epoch: f64) {
        let (first, by) = (self.t_0 as f64, self.t_mult as f64);
        if epoch < first {
            (self.t_i, self.t_cur) = (first, epoch);
        } else if self.t_mult == 1 {
            self.t_cur = epoch.rem_euclid(first);
        } else {
            let rounds = (epoch / first * (by - 1.0) + 1.0).log(by).trunc();
            self.t_cur = epoch - first * (by.powf(rounds) - 1.0) / (by - 1.0);
            self.t_i = first * by.powf(rounds);
        }
    }
}

impl Formula for WarmRestarts {
    const NAME: &'static str = "CosineAnnealingWarmRestarts";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        Ok(self.eta_min + (at.base_lr - self.eta_min) * (1.0 + (PI * self.t_cur / self.t_i).cos()) / 2.0)
    }

    fn advance(&mut self, epoch: i64) {
        if epoch < 0 {
            return self.go_to(0.0);
        }
        self.t_cur += 1.0;
        if self.t_cur >= self.t_i {
            self.t_cur %= self.t_i;
            self.t_i *= self.t_mult as f64;
        }
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.int("T_0", &mut self.t_0);
        v.number("T_i", &mut self.t_i);
        v.int("T_mult", &mut self.t_mult);
        v.number("eta_min", &mut self.eta_min);
        v.number("T_cur", &mut self.t_cur);
    }
}

impl CosineAnnealingWarmRestarts {
    /// Sets the rates at a part of an epoch, after each batch: PyTorch's `scheduler.step(epoch + i / batches)`.
    ///
    /// # Panics
    /// Where [`CosineAnnealingWarmRestarts::try_step_at`] fails.
    #[track_caller]
    pub fn step_at(&mut self, epoch: f64) {
        must(self.try_step_at(epoch));
    }

    /// As [`CosineAnnealingWarmRestarts::step_at`].
    ///
    /// # Errors
    /// When the epoch is negative, and inside a trace.
    pub fn try_step_at(&mut self, epoch: f64) -> Result<()> {
        if !(epoch >= 0.0 && epoch.is_finite()) {
            return Err(Error::argument(format!("{}: the epoch must be at least 0, got {epoch}", WarmRestarts::NAME)));
        }
        let before = self.formula.clone();
        self.formula.go_to(epoch);
        let done = self.update(Some(epoch.floor() as i64), false);
        if done.is_err() {
            self.formula = before;
        }
        done
    }

    /// The epoch of this round, and how many the round has.
    pub fn round(&self) -> (f64, f64) {
        (self.formula.t_cur, self.formula.t_i)
    }
}

//! Rates that follow a factor of the epoch: constant, linear, exponential, polynomial.

use super::by_epoch::{At, ByEpoch, Formula, constructors};
use super::steps::finite;
use super::visit::Visit;
use crate::error::{Error, Result};
use crate::optim::options::Range;

/// The rate is multiplied by a factor until `total_iters` epochs have passed.
pub type ConstantLr = ByEpoch<Constant>;

/// The formula of [`ConstantLr`].
#[derive(Clone, Debug)]
pub struct Constant {
    factor: f64,
    total_iters: i64,
}

constructors! { "ConstantLR" Constant:
    /// Multiplied by `factor` (PyTorch's default: 1 / 3) for `total_iters` epochs (5).
    fn new / try_new(start, factor: f64, total_iters: usize) {
        Range::UNIT.check("ConstantLR", "factor", factor)?;
        ByEpoch::begin(start, Constant { factor, total_iters: total_iters as i64 })
    }
}

impl Formula for Constant {
    const NAME: &'static str = "ConstantLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        Ok(match at.epoch {
            0 => at.lr * self.factor,
            n if n != self.total_iters => at.lr,
            _ => at.lr * (1.0 / self.factor),
        })
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        let passed = if at.epoch >= self.total_iters { 1.0 - self.factor } else { 0.0 };
        Some(at.base_lr * (self.factor + passed))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.number("factor", &mut self.factor);
        v.int("total_iters", &mut self.total_iters);
    }
}

/// The factor of the rate goes from one number to another in `total_iters` epochs.
pub type LinearLr = ByEpoch<Linear>;

/// The formula of [`LinearLr`].
#[derive(Clone, Debug)]
pub struct Linear {
    start_factor: f64,
    end_factor: f64,
    total_iters: i64,
}

constructors! { "LinearLR" Linear:
    /// From `start_factor` (PyTorch's default: 1 / 3) to `end_factor` (1) in `total_iters` (5) epochs.
    fn new / try_new(start, start_factor: f64, end_factor: f64, total_iters: usize) {
        if !(start_factor > 0.0 && start_factor <= 1.0) {
            return Err(Error::argument(format!("LinearLR: start_factor must be in (0, 1], got {start_factor}")));
        }
        Range::UNIT.check("LinearLR", "end_factor", end_factor)?;
        ByEpoch::begin(start, Linear { start_factor, end_factor, total_iters: total_iters as i64 })
    }
}

impl Formula for Linear {
    const NAME: &'static str = "LinearLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        if at.epoch == 0 {
            return Ok(at.lr * self.start_factor);
        }
        if at.is_initial || at.epoch > self.total_iters {
            return Ok(at.lr);
        }
        let way = self.end_factor - self.start_factor;
        let before = self.total_iters as f64 * self.start_factor + (at.epoch - 1) as f64 * way;
        Ok(at.lr * (1.0 + way / before))
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        let passed = at.epoch.min(self.total_iters) as f64;
        let way = self.end_factor - self.start_factor;
        Some(at.base_lr * (self.start_factor + way * passed / self.total_iters as f64))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.number("start_factor", &mut self.start_factor);
        v.number("end_factor", &mut self.end_factor);
        v.int("total_iters", &mut self.total_iters);
    }
}

/// The rate is multiplied by `gamma` in every epoch.
pub type ExponentialLr = ByEpoch<Exponential>;

/// The formula of [`ExponentialLr`].
#[derive(Clone, Debug)]
pub struct Exponential {
    gamma: f64,
}

constructors! { "ExponentialLR" Exponential:
    /// Multiplied by `gamma` in every epoch.
    fn new / try_new(start, gamma: f64) {
        finite("ExponentialLR", "gamma", gamma)?;
        ByEpoch::begin(start, Exponential { gamma })
    }
}

impl Formula for Exponential {
    const NAME: &'static str = "ExponentialLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        Ok(if at.is_initial { at.lr } else { at.lr * self.gamma })
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        Some(at.base_lr * self.gamma.powf(at.epoch as f64))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.number("gamma", &mut self.gamma);
    }
}

/// The rate falls to 0 by a power of the epochs that are left.
pub type PolynomialLr = ByEpoch<Polynomial>;

/// The formula of [`PolynomialLr`].
#[derive(Clone, Debug)]
pub struct Polynomial {
    total_iters: i64,
    power: f64,
}

constructors! { "PolynomialLR" Polynomial:
    /// base · (1 - epoch / `total_iters`)^`power`; PyTorch's defaults are 5 and 1.
    fn new / try_new(start, total_iters: usize, power: f64) {
        if total_iters == 0 {
            return Err(Error::argument("PolynomialLR: total_iters must be at least 1, got 0"));
        }
        finite("PolynomialLR", "power", power)?;
        ByEpoch::begin(start, Polynomial { total_iters: total_iters as i64, power })
    }
}

impl Formula for Polynomial {
    const NAME: &'static str = "PolynomialLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        if at.is_initial || at.epoch > self.total_iters {
            return Ok(at.lr);
        }
        let total = self.total_iters as f64;
        let left = (1.0 - at.epoch as f64 / total) / (1.0 - (at.epoch - 1) as f64 / total);
        Ok(at.lr * left.powf(self.power))
    }

    fn closed_form(&self, at: &At<'_>) -> Option<f64> {
        let passed = at.epoch.min(self.total_iters) as f64;
        Some(at.base_lr * (1.0 - passed / self.total_iters as f64).powf(self.power))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.int("total_iters", &mut self.total_iters);
        v.number("power", &mut self.power);
    }
}

//! Resilient backpropagation.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, ways};
use super::rule::{Given, Rule, Slot, Update};
use crate::error::{Error, Result};
use crate::ops::where_;
use crate::tensor::Tensor;

/// What [`Rprop`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct RpropOptions {
    /// By what a step size shrinks where the gradient changed its sign, and grows where it kept it: one below, one above 1.
    pub etas: (f64, f64),
    /// The smallest and the largest step size.
    pub step_sizes: (f64, f64),
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for RpropOptions {
    fn default() -> RpropOptions {
        RpropOptions { etas: (0.5, 1.2), step_sizes: (1e-6, 50.0), maximize: false }
    }
}

impl Options for RpropOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        f.pair("etas", &mut self.etas, [("the first eta", Range::INSIDE_UNIT), ("the second eta", Range::ABOVE_ONE)])?;
        f.pair(
            "step_sizes",
            &mut self.step_sizes,
            [("the smallest step size", Range::NOT_NEGATIVE), ("the largest step size", Range::NOT_NEGATIVE)],
        )?;
        ways(f, &["foreach"])?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["differentiable", "capturable"])?;
        if self.step_sizes.0 > self.step_sizes.1 {
            return Err(Error::argument(format!(
                "Rprop: the smallest step size {} is above the largest {}",
                self.step_sizes.0, self.step_sizes.1
            )));
        }
        Ok(())
    }
}

/// Rprop (Riedmiller and Braun, 1993): only the signs of gradients count; each element has a step size of its own.
///
/// ```
/// use allotrope::{optim::Rprop, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Rprop::new(model.parameters(), Rprop::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Rprop = ByRule<RpropRule>;

/// The rule of [`Rprop`].
pub struct RpropRule;

/// What the parameters share.
pub struct RpropFactors {
    is_first: Tensor,
    lr: Tensor,
}

impl Rule for RpropRule {
    type Options = RpropOptions;
    type Factors = RpropFactors;
    const NAME: &'static str = "Rprop";
    const DEFAULT_LR: f64 = 0.01;

    fn slots(_: &RpropOptions, _: bool) -> Vec<Slot> {
        vec![Slot::zeros("prev"), Slot::zeros("step_size")]
    }

    fn factors(given: &Given<'_, RpropOptions>) -> RpropFactors {
        RpropFactors { is_first: given.steps().eq(1.0), lr: given.cast(given.lr) }
    }

    fn update(u: &Update<'_, RpropRule>) {
        let RpropOptions { etas: (less, more), step_sizes: (least, most), maximize } = *u.options;
        let (prev, size) = (&u.state[0], &u.state[1]);
        let g = u.penalised(maximize, 0.0);
        let turned = u.round(&g * &u.wide(prev));
        let is_less = turned.lt(0.0);
        let factor = where_(&turned.gt(0.0), more, &where_(&is_less, less, &g.ones_like()));
        // The first size of a step is the learning rate that is set then.
        let before = where_(&u.factors.is_first, &u.round(u.factors.lr.clone()), &u.wide(size));
        let size = u.store(size, u.round(&before * &u.round(factor)).clamp(least, most));
        let g = where_(&is_less, 0.0, &g);
        u.store(u.parameter, &u.wide(u.parameter) - &(&g.sign() * &size));
        u.store(prev, g);
    }
}

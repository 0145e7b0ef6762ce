//! RMSprop.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, ways};
use super::rule::{Coefficient, Given, Rule, Slot, Update};
use crate::error::Result;
use crate::tensor::Tensor;

/// What [`RmsProp`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct RmsPropOptions {
    /// Decay of the average of squares.
    pub alpha: f64,
    /// Added to the root of the average.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Share of the last change that is kept.
    pub momentum: f64,
    /// Divides by the deviation: the average of gradients is subtracted.
    pub centered: bool,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for RmsPropOptions {
    fn default() -> RmsPropOptions {
        RmsPropOptions { alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false, maximize: false }
    }
}

impl Options for RmsPropOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        f.number("momentum", &mut self.momentum, Range::NOT_NEGATIVE)?;
        f.number("alpha", &mut self.alpha, Range::NOT_NEGATIVE)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.flag("centered", &mut self.centered)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        ways(f, &["capturable", "foreach"])?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["differentiable"])
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("momentum", &mut self.momentum))
    }
}

/// RMSprop (Hinton's lecture 6e; centered as Graves, 2013, has it): s ← α s + (1 - α) g², p ← p - lr · g / (√s + eps).
///
/// ```
/// use allotrope::{optim::{RmsProp, RmsPropOptions}, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = RmsProp::with_options(model.parameters(), 0.01, RmsPropOptions { centered: true, ..Default::default() });
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type RmsProp = ByRule<RmsPropRule>;

/// The rule of [`RmsProp`].
pub struct RmsPropRule;

/// What the parameters share.
pub struct RmsPropFactors {
    lr: Tensor,
    momentum: Coefficient,
}

impl Rule for RmsPropRule {
    type Options = RmsPropOptions;
    type Factors = RmsPropFactors;
    const NAME: &'static str = "RMSprop";
    const DEFAULT_LR: f64 = 0.01;

    fn slots(options: &RmsPropOptions, cycled: bool) -> Vec<Slot> {
        let mut all = vec![Slot::zeros("square_avg")];
        if cycled || options.momentum > 0.0 {
            all.push(Slot::zeros("momentum_buffer"));
        }
        if options.centered {
            all.push(Slot::zeros("grad_avg"));
        }
        all
    }

    fn factors(given: &Given<'_, RmsPropOptions>) -> RmsPropFactors {
        RmsPropFactors { lr: given.cast(given.lr), momentum: given.momentum.cast(given.dtype) }
    }

    fn update(u: &Update<'_, RmsPropRule>) {
        let RmsPropFactors { lr, momentum } = u.factors;
        let options = u.options;
        let g = u.penalised(options.maximize, options.weight_decay);
        let squares = u.store(&u.state[0], u.squares(&u.wide(&u.state[0]), &g, options.alpha));
        let average = match options.centered {
            true => {
                let place = &u.state[u.state.len() - 1];
                let mean = u.store(place, u.lerp(&u.wide(place), &g, &Coefficient::Number(1.0 - options.alpha)));
                u.round(&squares - &(&mean * &mean))
            }
            false => squares,
        };
        let average = u.round(u.round(average.sqrt()) + options.eps);
        let p = u.wide(u.parameter);
        let change = match momentum.is(0.0) {
            true => &g * lr / average,
            false => {
                let v = &u.state[1];
                u.store(v, &u.round(u.wide(v).mul(momentum.arg())) + &(&g / &average)) * lr
            }
        };
        u.store(u.parameter, &p - &change);
    }
}

//! Stochastic gradient descent.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, ways};
use super::rule::{Coefficient, Given, Rule, Slot, Update};
use crate::error::{Error, Result};
use crate::ops::where_;
use crate::tensor::Tensor;

/// What [`Sgd`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq, Default)]
pub struct SgdOptions {
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// Share of the gradient that does not enter the velocity, but for the first one.
    pub dampening: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Looks ahead along the velocity (Nesterov); needs a momentum, and no dampening.
    pub nesterov: bool,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Options for SgdOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        f.number("momentum", &mut self.momentum, Range::NOT_NEGATIVE)?;
        f.number("dampening", &mut self.dampening, Range::ANY)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        f.flag("nesterov", &mut self.nesterov)?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["foreach", "differentiable", "fused"])?;
        if self.nesterov && (self.momentum <= 0.0 || self.dampening != 0.0) {
            return Err(Error::argument(format!(
                "SGD: nesterov needs a momentum above 0 and no dampening, got momentum {} and dampening {}",
                self.momentum, self.dampening
            )));
        }
        Ok(())
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("momentum", &mut self.momentum))
    }
}

/// p ← p - lr · g, with PyTorch's momentum: v ← momentum · v + (1 - dampening) · g, where the first v is g, and p ← p - lr · v.
///
/// ```
/// use allotrope::{optim::{Sgd, SgdOptions}, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Sgd::with_options(model.parameters(), 0.1, SgdOptions { momentum: 0.9, ..Default::default() });
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Sgd = ByRule<SgdRule>;

/// The rule of [`Sgd`].
pub struct SgdRule;

/// What the parameters share.
pub struct SgdFactors {
    lr: Tensor,
    momentum: Coefficient,
    /// Share of the gradient that enters the velocity, where it is not all of it.
    share: Option<Tensor>,
}

impl SgdRule {
    fn uses_velocity(options: &SgdOptions, cycled: bool) -> bool {
        cycled || options.momentum != 0.0
    }
}

impl Rule for SgdRule {
    type Options = SgdOptions;
    type Factors = SgdFactors;
    const NAME: &'static str = "SGD";
    const DEFAULT_LR: f64 = 1e-3;
    const SAVES_STEPS: bool = false;

    fn slots(options: &SgdOptions, cycled: bool) -> Vec<Slot> {
        if SgdRule::uses_velocity(options, cycled) { vec![Slot::zeros("momentum_buffer")] } else { Vec::new() }
    }

    fn counts_steps(options: &SgdOptions, cycled: bool) -> bool {
        SgdRule::uses_velocity(options, cycled)
    }

    fn factors(given: &Given<'_, SgdOptions>) -> SgdFactors {
        // The first velocity is the gradient itself, which zeros before the first step give too, where all of it enters.
        let share = (given.options.dampening != 0.0 && !given.momentum.is(0.0)).then(|| {
            given.cast(&where_(&given.steps().eq(1.0), &Tensor::scalar(1.0f64), 1.0 - given.options.dampening))
        });
        SgdFactors { lr: given.cast(given.lr), momentum: given.momentum.cast(given.dtype), share }
    }

    fn update(u: &Update<'_, SgdRule>) {
        let SgdFactors { lr, momentum, share } = u.factors;
        let mut g = u.penalised(u.options.maximize, u.options.weight_decay);
        if let Some(v) = u.state.first() {
            let kept = u.round(u.wide(v).mul(momentum.arg()));
            let new = u.store(v, &kept + &share.as_ref().map_or(g.clone(), |share| &g * share));
            g = match u.options.nesterov {
                true => u.round(&g + &new.mul(momentum.arg())),
                false => new,
            };
        }
        u.store(u.parameter, &u.wide(u.parameter) - &(&g * lr));
    }
}

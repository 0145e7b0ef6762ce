//! RAdam.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, betas, ways};
use super::rule::{Coefficient, Given, Rule, Slot, Update};
use crate::error::Result;
use crate::ops::where_;
use crate::tensor::Tensor;

/// What [`RAdam`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct RAdamOptions {
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 penalty, added to the gradient; with `decoupled_weight_decay` the share that parameters lose.
    pub weight_decay: f64,
    /// Parameters decay by themselves, as in AdamW.
    pub decoupled_weight_decay: bool,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for RAdamOptions {
    fn default() -> RAdamOptions {
        RAdamOptions {
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled_weight_decay: false,
            maximize: false,
        }
    }
}

impl Options for RAdamOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        betas(f, &mut self.betas)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["foreach", "capturable"])?;
        f.flag("decoupled_weight_decay", &mut self.decoupled_weight_decay)?;
        ways(f, &["differentiable"])
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("betas", &mut self.betas.0))
    }
}

/// RAdam (Liu et al., 2020): Adam that steps by the first moment alone until enough squares were seen to divide by their root.
///
/// ```
/// use allotrope::{optim::RAdam, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = RAdam::new(model.parameters(), RAdam::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type RAdam = ByRule<RAdamRule>;

/// The rule of [`RAdam`].
pub struct RAdamRule;

/// What the parameters share.
pub struct RAdamFactors {
    lr: Tensor,
    correction: Tensor,
    /// The root of the correction of the second moment.
    root: Tensor,
    /// Whether the squares of enough steps were seen, and the factor that then corrects their variance.
    is_rectified: Tensor,
    rectified: Tensor,
    new: Coefficient,
    left: Option<Tensor>,
}

impl Rule for RAdamRule {
    type Options = RAdamOptions;
    type Factors = RAdamFactors;
    const NAME: &'static str = "RAdam";
    const DEFAULT_LR: f64 = 1e-3;

    fn slots(_: &RAdamOptions, _: bool) -> Vec<Slot> {
        vec![Slot::zeros("exp_avg"), Slot::zeros("exp_avg_sq")]
    }

    fn factors(given: &Given<'_, RAdamOptions>) -> RAdamFactors {
        let options = given.options;
        let beta = options.betas.1;
        let correction = given.correction(&Coefficient::Number(beta));
        let most = 2.0 / (1.0 - beta) - 1.0;
        let decayed = Tensor::scalar(beta).pow(given.steps());
        let rho = most - given.steps() * 2.0 * decayed / &correction;
        let rectified = (&rho - 4.0) * (&rho - 2.0) * most / (&rho * ((most - 4.0) * (most - 2.0)));
        let decays = options.decoupled_weight_decay && options.weight_decay != 0.0;
        RAdamFactors {
            lr: given.cast(given.lr),
            correction: given.cast(&given.correction(given.momentum)),
            root: given.cast(&correction.sqrt()),
            is_rectified: rho.gt(5.0),
            // Before there are enough it is not used, and its root may not be a number.
            rectified: given.cast(&rectified.clamp_min(0.0).sqrt()),
            new: given.momentum.one_minus().cast(given.dtype),
            left: decays.then(|| given.cast(&(1.0 - given.lr * options.weight_decay))),
        }
    }

    fn update(u: &Update<'_, RAdamRule>) {
        let RAdamFactors { lr, correction, root, is_rectified, rectified, new, left } = u.factors;
        let options = u.options;
        let penalty = if options.decoupled_weight_decay { 0.0 } else { options.weight_decay };
        let g = u.penalised(options.maximize, penalty);
        let (m, v) = (&u.state[0], &u.state[1]);
        let first = u.store(m, u.lerp(&u.wide(m), &g, new));
        let second = u.store(v, u.squares(&u.wide(v), &g, options.betas.1));
        let plain = u.round(&u.round(first / correction) * lr);
        let adaptive = u.round(root / u.round(u.round(second.sqrt()) + options.eps));
        let change = u.round(&u.round(&plain * &adaptive) * rectified);
        let p = u.wide(u.parameter);
        let p = left.as_ref().map_or(p.clone(), |left| u.round(&p * left));
        u.store(u.parameter, &p - &where_(is_rectified, &change, &plain));
    }
}

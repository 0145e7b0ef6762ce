//! Adamax.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, betas, ways};
use super::rule::{Coefficient, Given, Rule, Slot, Update};
use crate::error::Result;
use crate::tensor::Tensor;

/// What [`Adamax`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdamaxOptions {
    /// Decay of the first moment and of the largest gradient, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the size of a gradient.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for AdamaxOptions {
    fn default() -> AdamaxOptions {
        AdamaxOptions { betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, maximize: false }
    }
}

impl Options for AdamaxOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        betas(f, &mut self.betas)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        ways(f, &["foreach"])?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["differentiable", "capturable"])
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("betas", &mut self.betas.0))
    }
}

/// Adamax (Kingma and Ba, 2015, algorithm 2): Adam that divides by the largest gradient, which decays, instead of by a root.
///
/// ```
/// use allotrope::{optim::Adamax, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Adamax::new(model.parameters(), Adamax::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Adamax = ByRule<AdamaxRule>;

/// The rule of [`Adamax`].
pub struct AdamaxRule;

/// What the parameters share.
pub struct AdamaxFactors {
    step_size: Tensor,
    new: Coefficient,
}

impl Rule for AdamaxRule {
    type Options = AdamaxOptions;
    type Factors = AdamaxFactors;
    const NAME: &'static str = "Adamax";
    const DEFAULT_LR: f64 = 2e-3;

    fn slots(_: &AdamaxOptions, _: bool) -> Vec<Slot> {
        vec![Slot::zeros("exp_avg"), Slot::zeros("exp_inf")]
    }

    fn factors(given: &Given<'_, AdamaxOptions>) -> AdamaxFactors {
        AdamaxFactors {
            step_size: given.cast(&(given.lr / given.correction(given.momentum))),
            new: given.momentum.one_minus().cast(given.dtype),
        }
    }

    fn update(u: &Update<'_, AdamaxRule>) {
        let AdamaxOptions { betas, eps, weight_decay, maximize } = *u.options;
        let g = u.penalised(maximize, weight_decay);
        let (m, most) = (&u.state[0], &u.state[1]);
        let first = u.store(m, u.lerp(&u.wide(m), &g, &u.factors.new));
        let decayed = u.round(u.wide(most) * betas.1);
        let most = u.store(most, decayed.maximum(&u.round(g.abs() + eps)));
        u.store(u.parameter, &u.wide(u.parameter) - &(&first * &u.factors.step_size / most));
    }
}

//! Adadelta.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, ways};
use super::rule::{Given, Rule, Slot, Update};
use crate::error::Result;
use crate::tensor::Tensor;

/// What [`Adadelta`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdadeltaOptions {
    /// Decay of both averages of squares, in [0, 1].
    pub rho: f64,
    /// Added below each root.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for AdadeltaOptions {
    fn default() -> AdadeltaOptions {
        AdadeltaOptions { rho: 0.9, eps: 1e-6, weight_decay: 0.0, maximize: false }
    }
}

impl Options for AdadeltaOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        f.number("rho", &mut self.rho, Range::UNIT)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["capturable", "foreach", "differentiable"])
    }
}

/// Adadelta (Zeiler, 2012): a change is the gradient times the ratio of the roots of both averages, of the squares of changes and of
/// gradients.
///
/// ```
/// use allotrope::{optim::Adadelta, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Adadelta::new(model.parameters(), Adadelta::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Adadelta = ByRule<AdadeltaRule>;

/// The rule of [`Adadelta`].
pub struct AdadeltaRule;

impl Rule for AdadeltaRule {
    type Options = AdadeltaOptions;
    /// The learning rate.
    type Factors = Tensor;
    const NAME: &'static str = "Adadelta";
    const DEFAULT_LR: f64 = 1.0;

    fn slots(_: &AdadeltaOptions, _: bool) -> Vec<Slot> {
        vec![Slot::zeros("square_avg"), Slot::zeros("acc_delta")]
    }

    fn factors(given: &Given<'_, AdadeltaOptions>) -> Tensor {
        given.cast(given.lr)
    }

    fn update(u: &Update<'_, AdadeltaRule>) {
        let AdadeltaOptions { rho, eps, weight_decay, maximize } = *u.options;
        let g = u.penalised(maximize, weight_decay);
        let squares = u.store(&u.state[0], u.squares(&u.wide(&u.state[0]), &g, rho));
        let changes = u.wide(&u.state[1]);
        let root = |x: &Tensor| u.round(u.round(x + eps).sqrt());
        let change = u.round(&u.round(root(&changes) / root(&squares)) * &g);
        u.store(&u.state[1], u.squares(&changes, &change, rho));
        u.store(u.parameter, &u.wide(u.parameter) - &(&change * u.factors));
    }
}

//! Adagrad.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, ways};
use super::rule::{Given, Rule, Slot, SlotKind, Update};
use crate::error::Result;
use crate::tensor::Tensor;

/// What [`Adagrad`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdagradOptions {
    /// Makes the learning rate smaller with the steps: lr / (1 + (t - 1) · lr_decay).
    pub lr_decay: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// What the sum of squares begins with.
    pub initial_accumulator_value: f64,
    /// Added to the root of the sum.
    pub eps: f64,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for AdagradOptions {
    fn default() -> AdagradOptions {
        AdagradOptions { lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10, maximize: false }
    }
}

impl Options for AdagradOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        f.number("lr_decay", &mut self.lr_decay, Range::NOT_NEGATIVE)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        f.number("initial_accumulator_value", &mut self.initial_accumulator_value, Range::NOT_NEGATIVE)?;
        ways(f, &["foreach"])?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["differentiable", "fused"])
    }
}

/// Adagrad (Duchi et al., 2011): s ← s + g², p ← p - lr · g / (√s + eps).
///
/// ```
/// use allotrope::{optim::Adagrad, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Adagrad::new(model.parameters(), Adagrad::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Adagrad = ByRule<AdagradRule>;

/// The rule of [`Adagrad`].
pub struct AdagradRule;

impl Rule for AdagradRule {
    type Options = AdagradOptions;
    /// The learning rate of this step.
    type Factors = Tensor;
    const NAME: &'static str = "Adagrad";
    const DEFAULT_LR: f64 = 0.01;

    fn slots(options: &AdagradOptions, _: bool) -> Vec<Slot> {
        vec![Slot { name: "sum", kind: SlotKind::Like(options.initial_accumulator_value) }]
    }

    fn factors(given: &Given<'_, AdagradOptions>) -> Tensor {
        given.cast(&(given.lr / (1.0 + (given.steps() - 1.0) * given.options.lr_decay)))
    }

    fn update(u: &Update<'_, AdagradRule>) {
        let g = u.penalised(u.options.maximize, u.options.weight_decay);
        let sum = u.store(&u.state[0], &u.wide(&u.state[0]) + &(&g * &g));
        let root = u.round(u.round(sum.sqrt()) + u.options.eps);
        u.store(u.parameter, &u.wide(u.parameter) - &(&g * u.factors / root));
    }
}

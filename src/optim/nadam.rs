//! NAdam.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, betas, ways};
use super::rule::{Coefficient, Given, Rule, Slot, SlotKind, Update};
use crate::error::Result;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// What [`NAdam`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct NAdamOptions {
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 penalty, added to the gradient; with `decoupled_weight_decay` the share that parameters lose.
    pub weight_decay: f64,
    /// How fast the momentum approaches the first beta.
    pub momentum_decay: f64,
    /// Parameters decay by themselves, as in AdamW.
    pub decoupled_weight_decay: bool,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for NAdamOptions {
    fn default() -> NAdamOptions {
        NAdamOptions {
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            momentum_decay: 4e-3,
            decoupled_weight_decay: false,
            maximize: false,
        }
    }
}

impl Options for NAdamOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        betas(f, &mut self.betas)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        f.number("momentum_decay", &mut self.momentum_decay, Range::NOT_NEGATIVE)?;
        f.flag("decoupled_weight_decay", &mut self.decoupled_weight_decay)?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["foreach", "capturable", "differentiable"])
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("betas", &mut self.betas.0))
    }
}

/// NAdam (Dozat, 2016): Adam with Nesterov's momentum, which grows by a schedule of its own.
///
/// ```
/// use allotrope::{optim::NAdam, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = NAdam::new(model.parameters(), NAdam::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type NAdam = ByRule<NAdamRule>;

/// The rule of [`NAdam`].
pub struct NAdamRule;

/// What the parameters share.
pub struct NAdamFactors {
    /// The momentum of this step and of the next, in f64.
    mu: Tensor,
    mu_next: Tensor,
    correction: Tensor,
    new: Coefficient,
    left: Option<Tensor>,
}

impl Rule for NAdamRule {
    type Options = NAdamOptions;
    type Factors = NAdamFactors;
    const NAME: &'static str = "NAdam";
    const DEFAULT_LR: f64 = 2e-3;

    fn slots(_: &NAdamOptions, _: bool) -> Vec<Slot> {
        let product = Slot { name: "mu_product", kind: SlotKind::Scalar(1.0) };
        vec![product, Slot::zeros("exp_avg"), Slot::zeros("exp_avg_sq")]
    }

    fn factors(given: &Given<'_, NAdamOptions>) -> NAdamFactors {
        let options = given.options;
        let mu = |t: &Tensor| {
            let grown = Tensor::scalar(0.96).pow(&(t * options.momentum_decay));
            (1.0 - grown * 0.5).mul(given.momentum.arg())
        };
        let decays = options.decoupled_weight_decay && options.weight_decay != 0.0;
        NAdamFactors {
            mu: mu(given.steps()),
            mu_next: mu(&(given.steps() + 1.0)),
            correction: given.cast(&given.correction(&Coefficient::Number(options.betas.1))),
            new: given.momentum.one_minus().cast(given.dtype),
            left: decays.then(|| given.cast(&(1.0 - given.lr * options.weight_decay))),
        }
    }

    fn update(u: &Update<'_, NAdamRule>) {
        let NAdamFactors { mu, mu_next, correction, new, left } = u.factors;
        let options = u.options;
        let penalty = if options.decoupled_weight_decay { 0.0 } else { options.weight_decay };
        let g = u.penalised(options.maximize, penalty);
        let [product, m, v] = [0, 1, 2].map(|i| &u.state[i]);
        product.copy_(&(product * &mu.to(DType::F32)));
        let product = product.to(DType::F64);
        let first = u.store(m, u.lerp(&u.wide(m), &g, new));
        let second = u.store(v, u.squares(&u.wide(v), &g, options.betas.1));
        let denominator = u.round(u.round(u.round(second / correction).sqrt()) + options.eps);
        let by_gradient = (u.lr * (1.0 - mu) / (1.0 - &product)).to(u.dtype());
        let by_moment = (u.lr * mu_next / (1.0 - &product * mu_next)).to(u.dtype());
        let p = u.wide(u.parameter);
        let p = left.as_ref().map_or(p.clone(), |left| u.round(&p * left));
        let p = u.round(&p - &(&g * &by_gradient / &denominator));
        u.store(u.parameter, &p - &(&first * &by_moment / &denominator));
    }
}

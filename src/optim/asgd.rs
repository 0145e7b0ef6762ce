//! Averaged stochastic gradient descent.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, ways};
use super::rule::{Given, Rule, Slot, SlotKind, Update};
use crate::error::Result;
use crate::ops::where_;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// What [`Asgd`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AsgdOptions {
    /// Decay of the parameters, and of the learning rate with the steps.
    pub lambd: f64,
    /// Power by which the learning rate decays.
    pub alpha: f64,
    /// The step after which averaging begins.
    pub t0: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for AsgdOptions {
    fn default() -> AsgdOptions {
        AsgdOptions { lambd: 1e-4, alpha: 0.75, t0: 1e6, weight_decay: 0.0, maximize: false }
    }
}

impl Options for AsgdOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        f.number("lambd", &mut self.lambd, Range::NOT_NEGATIVE)?;
        f.number("alpha", &mut self.alpha, Range::NOT_NEGATIVE)?;
        f.number("t0", &mut self.t0, Range::ANY)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        ways(f, &["foreach"])?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["differentiable", "capturable"])
    }
}

/// Averaged SGD (Polyak and Juditsky, 1992): the average of the parameters is the state `ax`.
///
/// ```
/// use allotrope::{optim::Asgd, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Asgd::new(model.parameters(), Asgd::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Asgd = ByRule<AsgdRule>;

/// The rule of [`Asgd`].
pub struct AsgdRule;

/// What the parameters share: rate and share of the average after this step, f32 as PyTorch keeps them.
pub struct AsgdFactors {
    is_first: Tensor,
    eta: Tensor,
    mu: Tensor,
}

impl Rule for AsgdRule {
    type Options = AsgdOptions;
    type Factors = AsgdFactors;
    const NAME: &'static str = "ASGD";
    const DEFAULT_LR: f64 = 0.01;

    fn slots(_: &AsgdOptions, _: bool) -> Vec<Slot> {
        let scalar = |name| Slot { name, kind: SlotKind::Scalar(1.0) };
        vec![scalar("eta"), scalar("mu"), Slot::zeros("ax")]
    }

    fn factors(given: &Given<'_, AsgdOptions>) -> AsgdFactors {
        let AsgdOptions { lambd, alpha, t0, .. } = *given.options;
        let t = given.steps();
        let decay = 1.0 + given.lr * lambd * t;
        AsgdFactors {
            is_first: t.eq(1.0),
            eta: (given.lr / decay.pow(alpha)).to(DType::F32),
            mu: (1.0 / (t - t0).clamp_min(1.0)).to(DType::F32),
        }
    }

    fn update(u: &Update<'_, AsgdRule>) {
        let AsgdFactors { is_first, eta: next_eta, mu: next_mu } = u.factors;
        let [eta, mu, average] = [0, 1, 2].map(|i| &u.state[i]);
        let g = u.penalised(u.options.maximize, u.options.weight_decay);
        // The first step is one of the learning rate that is set then.
        let now = where_(is_first, &u.lr.to(DType::F32), eta);
        let left = (1.0 - now.to(DType::F64) * u.options.lambd).to(u.dtype());
        let p = u.round(&u.wide(u.parameter) * &left);
        let p = u.store(u.parameter, &p - &(&g * &now.to(u.dtype())));
        let old = u.wide(average);
        let moved = &old + &u.round(&u.round(&p - &old) * &mu.to(u.dtype()));
        u.store(average, where_(&mu.eq(1.0), &p, &moved));
        eta.copy_(next_eta);
        mu.copy_(next_mu);
    }
}

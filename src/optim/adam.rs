//! Adam and AdamW.

use super::by_rule::ByRule;
use super::options::{Fields, Options, Range, betas, ways};
use super::rule::{Coefficient, Given, Rule, Slot, Update};
use crate::error::Result;
use crate::tensor::Tensor;

/// What [`Adam`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdamOptions {
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 penalty, added to the gradient; with `decoupled_weight_decay` the share that parameters lose.
    pub weight_decay: f64,
    /// Divides by the largest second moment so far.
    pub amsgrad: bool,
    /// Climbs instead of descending.
    pub maximize: bool,
    /// Parameters decay by themselves, as in [`AdamW`].
    pub decoupled_weight_decay: bool,
}

impl Default for AdamOptions {
    fn default() -> AdamOptions {
        AdamOptions {
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
            maximize: false,
            decoupled_weight_decay: false,
        }
    }
}

impl Options for AdamOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        betas(f, &mut self.betas)?;
        f.number("eps", &mut self.eps, Range::NOT_NEGATIVE)?;
        f.number("weight_decay", &mut self.weight_decay, Range::NOT_NEGATIVE)?;
        f.flag("amsgrad", &mut self.amsgrad)?;
        f.flag("maximize", &mut self.maximize)?;
        ways(f, &["foreach", "capturable", "differentiable", "fused"])?;
        f.flag("decoupled_weight_decay", &mut self.decoupled_weight_decay)
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("betas", &mut self.betas.0))
    }
}

/// What [`AdamW`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdamWOptions {
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// The share, times the learning rate, that parameters lose in each step.
    pub weight_decay: f64,
    /// Divides by the largest second moment so far.
    pub amsgrad: bool,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for AdamWOptions {
    fn default() -> AdamWOptions {
        AdamWOptions { betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.01, amsgrad: false, maximize: false }
    }
}

impl AdamWOptions {
    fn of_adam(&self) -> AdamOptions {
        let AdamWOptions { betas, eps, weight_decay, amsgrad, maximize } = *self;
        AdamOptions { betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay: true }
    }
}

impl Options for AdamWOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        let mut all = self.of_adam();
        all.fields(f)?;
        let AdamOptions { betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay: _ } = all;
        *self = AdamWOptions { betas, eps, weight_decay, amsgrad, maximize };
        Ok(())
    }

    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        Some(("betas", &mut self.betas.0))
    }
}

/// Adam (Kingma and Ba, 2015, algorithm 1; with `amsgrad` Reddi et al., 2018), computed in the order in which PyTorch computes it:
/// the corrections of both moments in f64, everything else in the dtype of the parameter.
///
/// ```
/// use allotrope::{optim::{Adam, AdamOptions}, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = Adam::with_options(model.parameters(), 1e-3, AdamOptions { amsgrad: true, ..Default::default() });
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type Adam = ByRule<AdamRule>;

/// AdamW (Loshchilov and Hutter, 2019): Adam whose parameters decay by themselves, p ← p · (1 - lr · weight_decay), instead of by
/// their gradients.
///
/// ```
/// use allotrope::{optim::AdamW, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let opt = AdamW::new(model.parameters(), AdamW::DEFAULT_LR);
/// model.forward(&randn(&[5, 3])).square().mean().backward();
/// opt.step();
/// ```
pub type AdamW = ByRule<AdamWRule>;

/// The rule of [`Adam`].
pub struct AdamRule;

/// The rule of [`AdamW`].
pub struct AdamWRule;

/// What the parameters share.
pub struct AdamFactors {
    step_size: Tensor,
    /// The root of the correction of the second moment.
    root: Tensor,
    /// 1 - β₁.
    new: Coefficient,
    /// What decoupled weight decay leaves.
    left: Option<Tensor>,
}

fn slots(options: &AdamOptions) -> Vec<Slot> {
    let mut all = vec![Slot::zeros("exp_avg"), Slot::zeros("exp_avg_sq")];
    if options.amsgrad {
        all.push(Slot::zeros("max_exp_avg_sq"));
    }
    all
}

fn factors<O>(given: &Given<'_, O>, options: &AdamOptions) -> AdamFactors {
    let step_size = given.cast(&(given.lr / given.correction(given.momentum)));
    let root = given.cast(&given.correction(&Coefficient::Number(options.betas.1)).sqrt());
    AdamFactors { step_size, root, new: given.momentum.one_minus().cast(given.dtype), left: left(given, options) }
}

fn left<O>(given: &Given<'_, O>, options: &AdamOptions) -> Option<Tensor> {
    let decays = options.decoupled_weight_decay && options.weight_decay != 0.0;
    decays.then(|| given.cast(&(1.0 - given.lr * options.weight_decay)))
}

fn update<R: Rule<Factors = AdamFactors>>(u: &Update<'_, R>, options: &AdamOptions) {
    let AdamFactors { step_size, root, new, left } = u.factors;
    let penalty = if options.decoupled_weight_decay { 0.0 } else { options.weight_decay };
    let g = u.penalised(options.maximize, penalty);
    let (m, v) = (&u.state[0], &u.state[1]);
    let first = u.store(m, u.lerp(&u.wide(m), &g, new));
    let mut second = u.store(v, u.squares(&u.wide(v), &g, options.betas.1));
    if options.amsgrad {
        let most = &u.state[2];
        second = u.store(most, u.wide(most).maximum(&second));
    }
    let denominator = u.round(u.round(u.round(second.sqrt()) / root) + options.eps);
    let p = u.wide(u.parameter);
    let p = left.as_ref().map_or(p.clone(), |left| u.round(&p * left));
    u.store(u.parameter, &p - &(&first * step_size / denominator));
}

impl Rule for AdamRule {
    type Options = AdamOptions;
    type Factors = AdamFactors;
    const NAME: &'static str = "Adam";
    const DEFAULT_LR: f64 = 1e-3;

    fn slots(options: &AdamOptions, _: bool) -> Vec<Slot> {
        slots(options)
    }

    fn factors(given: &Given<'_, AdamOptions>) -> AdamFactors {
        factors(given, given.options)
    }

    fn update(u: &Update<'_, AdamRule>) {
        update(u, u.options);
    }
}

impl Rule for AdamWRule {
    type Options = AdamWOptions;
    type Factors = AdamFactors;
    const NAME: &'static str = "AdamW";
    const DEFAULT_LR: f64 = 1e-3;

    fn slots(options: &AdamWOptions, _: bool) -> Vec<Slot> {
        slots(&options.of_adam())
    }

    fn factors(given: &Given<'_, AdamWOptions>) -> AdamFactors {
        factors(given, &given.options.of_adam())
    }

    fn update(u: &Update<'_, AdamWRule>) {
        update(u, &u.options.of_adam());
    }
}

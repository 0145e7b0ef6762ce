//! Adam.

use super::sgd::fresh_zeros;
use super::{Optimizer, beside, checked};
use crate::autograd::no_grad;
use crate::error::{Error, raise};
use crate::tensor::{Flag, Tensor};
use allotrope_ir::DType;

/// What [`Adam::with_options`] takes; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AdamOptions {
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

impl Default for AdamOptions {
    fn default() -> AdamOptions {
        AdamOptions { betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0 }
    }
}

/// Adam (Kingma and Ba, 2015, algorithm 1), computed in the order in which PyTorch computes it: the corrections of both
/// moments in f64, everything else in the dtype of the parameter.
pub struct Adam {
    parameters: Vec<Tensor>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    /// Steps taken so far, f32 without axes as in PyTorch.
    steps: Tensor,
    /// For each parameter, how many of them passed without a gradient for it: those do not count for it.
    missed: Vec<Tensor>,
    /// Whether any did, so that parameters that always stepped together share their corrections.
    has_missed: Vec<Flag>,
    lr: Tensor,
    options: AdamOptions,
}

impl Adam {
    /// Adam with the default moments.
    ///
    /// # Panics
    /// When there is no parameter, one is not a floating-point leaf, or the learning rate is negative or not finite.
    #[track_caller]
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Adam {
        Adam::with_options(parameters, lr, AdamOptions::default())
    }

    /// Adam with other options.
    ///
    /// # Panics
    /// As [`Adam::new`], and when a beta is not in [0, 1) or another option is negative or not finite.
    #[track_caller]
    pub fn with_options(parameters: Vec<Tensor>, lr: f64, options: AdamOptions) -> Adam {
        let parameters = checked("Adam", parameters, lr);
        for (name, beta) in [("the first beta", options.betas.0), ("the second beta", options.betas.1)] {
            if !(0.0..1.0).contains(&beta) {
                raise(Error::argument(format!("Adam: {name} must be in [0, 1), got {beta}")));
            }
        }
        for (name, x) in [("eps", options.eps), ("weight_decay", options.weight_decay)] {
            if !(x >= 0.0 && x.is_finite()) {
                raise(Error::argument(format!("Adam: {name} must be a finite number of at least 0, got {x}")));
            }
        }
        let _entered = beside(&parameters);
        let zeros = || parameters.iter().map(fresh_zeros).collect::<Vec<Tensor>>();
        Adam {
            first: zeros(),
            second: zeros(),
            steps: Tensor::scalar(0.0f32),
            missed: parameters.iter().map(|_| Tensor::scalar(0.0f32)).collect(),
            has_missed: parameters.iter().map(|_| Flag::new(false)).collect(),
            lr: Tensor::scalar(lr),
            options,
            parameters,
        }
    }

    /// The moments and the number of steps, by name: what must be saved to go on later.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |name: &str, t: &[Tensor]| -> Vec<(String, Tensor)> {
            t.iter().enumerate().map(|(i, t)| (format!("{i}.{name}"), t.clone())).collect()
        };
        let mut all = named("exp_avg", &self.first);
        all.extend(named("exp_avg_sq", &self.second));
        all.push(("step".to_string(), self.steps.clone()));
        all
    }
}

impl Optimizer for Adam {
    fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    fn lr(&self) -> &Tensor {
        &self.lr
    }

    #[track_caller]
    fn step(&self) {
        let AdamOptions { betas: (beta1, beta2), eps, weight_decay } = self.options;
        let _entered = beside(&self.parameters);
        no_grad(|| {
            self.steps.add_(1.0);
            // 1 - βᵗ, in f64 as PyTorch's host arithmetic.
            let correction = |beta: f64, t: &Tensor| 1.0 - Tensor::scalar(beta).pow(t);
            let corrections = |t: &Tensor, dtype: DType| {
                let t = t.to(DType::F64);
                ((&self.lr / correction(beta1, &t)).to(dtype), correction(beta2, &t).sqrt().to(dtype))
            };
            let dtype = self.parameters[0].dtype();
            let shared = corrections(&self.steps, dtype);
            for (i, p) in self.parameters.iter().enumerate() {
                let Some(mut g) = p.grad() else {
                    self.missed[i].add_(1.0);
                    self.has_missed[i].set(true);
                    continue;
                };
                let own;
                let (step_size, root) = match (self.has_missed[i].get(), p.dtype() == dtype) {
                    (false, true) => &shared,
                    (missed, _) => {
                        let steps = if missed { &self.steps - &self.missed[i] } else { self.steps.clone() };
                        own = corrections(&steps, p.dtype());
                        &own
                    }
                };
                if weight_decay != 0.0 {
                    g = &g + p * weight_decay;
                }
                let (m, v) = (&self.first[i], &self.second[i]);
                m.copy_(&(m + (&g - m) * (1.0 - beta1)));
                v.copy_(&(v * beta2 + &g * (1.0 - beta2) * &g));
                let denominator = v.sqrt() / root + eps;
                p.copy_(&(p - m / denominator * step_size));
            }
        });
    }
}

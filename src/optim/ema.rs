//! Averages of weights over the steps, kept beside a model. They read the model and never change it, but in `apply` and `swap`.

use super::rule::working;
use crate::autograd::no_grad;
use crate::error::{Error, Result, must};
use crate::tensor::Tensor;

/// How an average takes new weights in.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Kind {
    /// a ← decay · a + (1 - decay) · w
    Exponential(f64),
    /// The mean of all: a ← a + (w - a) / (n + 1)
    Equal,
}

/// An average of weights, `torch.optim.swa_utils.AveragedModel` with its `get_ema_multi_avg_fn` ([`Ema::new`]) or its default, the
/// plain mean ([`Ema::swa`]). The first update copies the weights. Everything is in tensors, so a traced step may contain the update.
///
/// ```
/// use allotrope::{optim::Ema, prelude::*};
/// let model = nn::Linear::new(3, 1);
/// let ema = Ema::new(model.parameters(), 0.99);
/// ema.update();
/// ema.swap(); // the model has the averages: evaluate it
/// ema.swap(); // and its own weights again
/// ```
pub struct Ema {
    parameters: Vec<Tensor>,
    averages: Vec<Tensor>,
    /// How many updates there were, f32 without axes.
    count: Tensor,
    kind: Kind,
}

impl Ema {
    /// The exponential average of tensors, usually a model's parameters. Integers and bools are copied.
    ///
    /// # Panics
    /// Where [`Ema::try_new`] fails.
    #[track_caller]
    pub fn new(parameters: Vec<Tensor>, decay: f64) -> Ema {
        must(Ema::try_new(parameters, decay))
    }

    /// As [`Ema::new`].
    ///
    /// # Errors
    /// When there is no tensor, or the decay is not in [0, 1].
    pub fn try_new(parameters: Vec<Tensor>, decay: f64) -> Result<Ema> {
        if !(0.0..=1.0).contains(&decay) {
            return Err(Error::argument(format!("Ema: the decay must be in [0, 1], got {decay}")));
        }
        Ema::of(parameters, Kind::Exponential(decay))
    }

    /// The mean of the weights at all updates: stochastic weight averaging (Izmailov et al., 2018).
    ///
    /// # Panics
    /// When there is no tensor.
    #[track_caller]
    pub fn swa(parameters: Vec<Tensor>) -> Ema {
        must(Ema::of(parameters, Kind::Equal))
    }

    fn of(parameters: Vec<Tensor>, kind: Kind) -> Result<Ema> {
        super::group::outside_of_a_trace("Ema")?;
        let Some(first) = parameters.first() else {
            return Err(Error::argument("Ema: got no parameters"));
        };
        let count = crate::device::with_device(first.device(), || Tensor::scalar(0.0f32));
        let averages = parameters.iter().map(|p| p.detach().copy()).collect();
        Ok(Ema { parameters, averages, count, kind })
    }

    /// Takes the weights of now in.
    #[track_caller]
    pub fn update(&self) {
        no_grad(|| {
            let is_first = self.count.eq(0.0);
            for (p, a) in self.parameters.iter().zip(&self.averages) {
                let p = p.detach();
                if !p.dtype().is_float() {
                    a.copy_(&p);
                    continue;
                }
                let dtype = working(p.dtype());
                let (now, old) = (p.to(dtype), a.to(dtype));
                let way = &now - &old;
                let new = match self.kind {
                    Kind::Exponential(decay) if 1.0 - decay < 0.5 => &old + &way * (1.0 - decay),
                    Kind::Exponential(decay) => &now - &way * decay,
                    Kind::Equal => &old + &way / (&self.count + 1.0).to(dtype),
                };
                a.copy_(&crate::ops::where_(&is_first, &now, &new).to(p.dtype()));
            }
            self.count.add_(1.0);
        });
    }

    /// The averages, in the order of the parameters.
    pub fn averages(&self) -> &[Tensor] {
        &self.averages
    }

    /// The tensors whose averages these are.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// How many updates there were, f32 without axes.
    pub fn n_averaged(&self) -> &Tensor {
        &self.count
    }

    /// Exchanges the weights and the averages, in place: once to evaluate with the averages, once more to go on.
    #[track_caller]
    pub fn swap(&self) {
        no_grad(|| {
            for (p, a) in self.parameters.iter().zip(&self.averages) {
                let held = p.detach().copy();
                p.copy_(a);
                a.copy_(&held);
            }
        });
    }

    /// Copies the averages into the weights.
    #[track_caller]
    pub fn apply(&self) {
        no_grad(|| self.parameters.iter().zip(&self.averages).for_each(|(p, a)| _ = p.copy_(a)));
    }

    /// The count and the averages by name, to save them: `n_averaged`, `0`, `1`, ...
    pub fn state_dict(&self) -> crate::state::StateDict {
        let averages = self.averages.iter().enumerate().map(|(i, a)| (i.to_string(), a.clone()));
        std::iter::once(("n_averaged".to_string(), self.count.clone())).chain(averages).collect()
    }

    /// Goes on from what [`Ema::state_dict`] gave; copied in place, so that compiled traces go on.
    ///
    /// # Errors
    /// When a name is missing or too many, or a shape differs. Nothing is changed then.
    pub fn load_state_dict(&self, state: &crate::state::StateDict) -> Result<()> {
        super::group::outside_of_a_trace("load_state_dict")?;
        let own = self.state_dict();
        if let Some(name) = state.names().find(|name| !own.contains(name)) {
            return Err(Error::argument(format!(
                "Ema: the state has {name}, which is not one of its {} names",
                own.len()
            )));
        }
        let mut new = Vec::new();
        for (name, t) in own.iter() {
            let found = state.get(name).ok_or_else(|| Error::argument(format!("Ema: the state has no {name}")))?;
            if found.shape_hint() != t.shape_hint() {
                return Err(Error::argument(format!(
                    "Ema: {name} has shape {:?} in the state, wanted {:?}",
                    found.shape_hint(),
                    t.shape_hint()
                )));
            }
            new.push(found.detach().try_to((t.dtype(), t.device()))?);
        }
        no_grad(|| own.iter().zip(&new).try_for_each(|((_, t), new)| t.try_copy_(new).map(drop)))
    }
}

//! A parameter group as everybody sees it, whatever the optimizer's rule: its parameters, its learning rate and the momentum
//! that a scheduler may change. What an update does with them is not here.

use crate::error::{Error, Result, must};
use crate::mode::is_recording;
use crate::state::Value;
use crate::tensor::Tensor;
use parking_lot::Mutex;
use std::sync::Arc;

/// Parameters with a learning rate and hyperparameters of their own; what is not given is the optimizer's default.
///
/// ```
/// use allotrope::{optim::{Adam, AdamOptions, ParamGroup}, prelude::*};
/// let (body, head) = (nn::Linear::new(4, 8), nn::Linear::new(8, 2));
/// let groups = vec![
///     ParamGroup::new(body.parameters()).lr(1e-4),
///     ParamGroup::new(head.parameters()).options(AdamOptions { weight_decay: 0.1, ..Default::default() }),
/// ];
/// let opt = Adam::with_groups(groups, 1e-3, AdamOptions::default());
/// assert_eq!(opt.groups()[0].lr().item::<f64>(), 1e-4);
/// ```
#[derive(Clone)]
pub struct ParamGroup<O> {
    pub(super) params: Vec<Tensor>,
    pub(super) lr: Option<f64>,
    pub(super) options: Option<O>,
}

impl<O> ParamGroup<O> {
    /// A group with the optimizer's defaults.
    pub fn new(params: Vec<Tensor>) -> ParamGroup<O> {
        ParamGroup { params, lr: None, options: None }
    }

    /// The group with this learning rate.
    pub fn lr(self, lr: f64) -> ParamGroup<O> {
        ParamGroup { lr: Some(lr), ..self }
    }

    /// The group with these hyperparameters.
    pub fn options(self, options: O) -> ParamGroup<O> {
        ParamGroup { options: Some(options), ..self }
    }
}

/// What a group can be asked by who does not know the rule.
pub(super) trait Cycled: Send + Sync {
    /// The parameters.
    fn params(&self) -> &[Tensor];
    /// `momentum` or `betas`, where the rule has one of them.
    fn momentum_name(&self) -> Option<&'static str>;
    /// The value in use.
    fn momentum(&self) -> Result<Option<f64>>;
    /// Sets it, as a tensor from now on.
    fn set_momentum(&self, value: f64) -> Result<()>;
}

/// One parameter group of an optimizer. Clones are handles to the same group.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    lr: Tensor,
    /// What schedulers keep in a group, under PyTorch's names: `initial_lr`, `max_lr`, ...
    extras: Mutex<Vec<(String, Value)>>,
    rule: Arc<dyn Cycled>,
}

impl Group {
    pub(super) fn new(lr: f64, rule: Arc<dyn Cycled>) -> Group {
        Group(Arc::new(Inner { lr: Tensor::scalar(lr), extras: Mutex::new(Vec::new()), rule }))
    }

    /// The parameters of the group.
    pub fn params(&self) -> &[Tensor] {
        self.0.rule.params()
    }

    /// The learning rate, a tensor without axes (f64).
    pub fn lr(&self) -> &Tensor {
        &self.0.lr
    }

    /// Sets the learning rate of this group; traced steps use it from their next call on, without another compilation.
    ///
    /// # Panics
    /// When it is negative or not finite.
    #[track_caller]
    pub fn set_lr(&self, lr: f64) {
        must(check_lr("set_lr", lr));
        self.fill_lr(lr);
    }

    /// The learning rate as a number.
    ///
    /// # Errors
    /// Inside a trace, where it is not known yet.
    pub fn try_lr(&self) -> Result<f64> {
        self.0.lr.try_item()
    }

    /// Whatever a scheduler computes: rounding may leave the last rate below 0.
    pub(super) fn fill_lr(&self, lr: f64) {
        self.0.lr.fill_(lr);
    }

    /// The momentum, or the first of the betas; none where the optimizer has neither.
    ///
    /// # Panics
    /// Inside a trace, once a scheduler or [`Group::set_momentum`] has made it a tensor.
    #[track_caller]
    pub fn momentum(&self) -> Option<f64> {
        must(self.0.rule.momentum())
    }

    pub(super) fn try_momentum(&self) -> Result<Option<f64>> {
        self.0.rule.momentum()
    }

    /// `momentum` or `betas`, where the optimizer has one of them.
    pub(super) fn momentum_name(&self) -> Option<&'static str> {
        self.0.rule.momentum_name()
    }

    /// Sets the momentum, or the first of the betas. With the first call it becomes a tensor, so traced steps that were compiled
    /// before are compiled once more, and then follow every change.
    ///
    /// # Panics
    /// Where [`Group::try_set_momentum`] fails.
    #[track_caller]
    pub fn set_momentum(&self, momentum: f64) {
        must(self.try_set_momentum(momentum));
    }

    /// As [`Group::set_momentum`].
    ///
    /// # Errors
    /// When the optimizer has none, or it is out of range, and inside a trace.
    pub fn try_set_momentum(&self, momentum: f64) -> Result<()> {
        outside_of_a_trace("set_momentum")?;
        self.0.rule.set_momentum(momentum)
    }

    /// What a scheduler keeps here under a name.
    pub(super) fn extra(&self, name: &str) -> Option<Value> {
        self.0.extras.lock().iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    pub(super) fn extra_number(&self, name: &str) -> Option<f64> {
        self.extra(name).as_ref().and_then(super::options::number)
    }

    pub(super) fn set_extra(&self, name: &str, value: f64) {
        let mut extras = self.0.extras.lock();
        let value = Value::Float(value);
        match extras.iter_mut().find(|(n, _)| n == name) {
            Some((_, place)) => *place = value,
            None => extras.push((name.to_string(), value)),
        }
    }

    pub(super) fn extras(&self) -> Vec<(String, Value)> {
        self.0.extras.lock().clone()
    }

    pub(super) fn set_extras(&self, extras: Vec<(String, Value)>) {
        *self.0.extras.lock() = extras;
    }

    /// Whether both are handles to one group.
    pub(super) fn is_same(&self, other: &Group) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Refuses a learning rate that is none.
pub(super) fn check_lr(name: &str, lr: f64) -> Result<()> {
    super::options::Range::NOT_NEGATIVE.check(name, "the learning rate", lr)
}

/// Refuses to do inside a trace what reads numbers or makes tensors that outlast it.
pub(super) fn outside_of_a_trace(what: &str) -> Result<()> {
    match is_recording() {
        false => Ok(()),
        true => Err(Error::trace(format!(
            "{what} reads or makes numbers of the host, which a compiled call could not do again; call it between the calls"
        ))),
    }
}

/// Parameters of an optimizer must be leaves that want gradients, each once.
pub(super) fn check_params(name: &str, params: &[Tensor], before: &[Tensor]) -> Result<()> {
    if params.is_empty() {
        return Err(Error::argument(format!("{name}: got no parameters")));
    }
    if let Some(i) = params.iter().position(|p| !p.is_leaf() || !p.dtype().is_float()) {
        return Err(Error::argument(format!(
            "{name}: parameter {i} is not a floating-point leaf; only tensors made by the user can be optimized"
        )));
    }
    let mut seen = std::collections::HashMap::new();
    for (j, p) in before.iter().enumerate() {
        seen.insert(p.id(), j);
    }
    for (i, p) in params.iter().enumerate() {
        match seen.insert(p.id(), before.len() + i) {
            None => {}
            Some(j) if j < before.len() => {
                return Err(Error::argument(format!(
                    "{name}: parameter {i} of the new group is parameter {j} of the optimizer already; a tensor is in one group, once"
                )));
            }
            Some(j) => {
                return Err(Error::argument(format!(
                    "{name}: parameters {} and {i} of a group are one tensor; give each once",
                    j - before.len()
                )));
            }
        }
    }
    Ok(())
}

//! What a scheduler is made for: the groups of an optimizer, and the epoch it begins after.

use crate::optim::group::Group;
use crate::optim::optimizer::Optimizer;

/// What a scheduler begins with. `&optimizer` becomes one that begins at the beginning.
#[derive(Clone)]
pub struct Start<'a> {
    pub(super) groups: &'a [Group],
    pub(super) last_epoch: i64,
}

impl<'a> Start<'a> {
    /// Goes on after an epoch, PyTorch's `last_epoch=`: the groups must have their `initial_lr`, from an earlier scheduler or a state
    /// dict of the optimizer.
    ///
    /// ```
    /// use allotrope::{optim::{Scheduler, Sgd, scheduler::{ExponentialLr, Start}}, prelude::*};
    /// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 1.0);
    /// ExponentialLr::new(&opt, 0.5).step();
    /// let mut later = ExponentialLr::new(Start::after(&opt, 1), 0.5);
    /// later.step();
    /// assert_eq!(later.get_last_lr(), [0.25]);
    /// ```
    pub fn after<O: Optimizer + ?Sized>(optimizer: &'a O, last_epoch: i64) -> Start<'a> {
        Start { groups: optimizer.groups(), last_epoch }
    }
}

impl<'a, O: Optimizer + ?Sized> From<&'a O> for Start<'a> {
    fn from(optimizer: &'a O) -> Start<'a> {
        Start { groups: optimizer.groups(), last_epoch: -1 }
    }
}

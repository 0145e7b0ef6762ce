//! Rates by a function of the user's own.

use super::by_epoch::{At, ByEpoch, Formula, constructors};
use super::visit::Visit;
use crate::error::{Error, Result};
use crate::state::Value;
use std::sync::Arc;

/// A function of the epoch.
pub type Factor = Arc<dyn Fn(i64) -> f64 + Send + Sync>;

/// The rate is the first one times a function of the epoch.
pub type LambdaLr = ByEpoch<Lambda>;

/// The formula of [`LambdaLr`].
#[derive(Clone)]
pub struct Lambda(Vec<Factor>);

/// One function for each group.
fn checked(of: &str, factors: Vec<Factor>, groups: usize) -> Result<Vec<Factor>> {
    match factors.len() {
        n if n == groups => Ok(factors),
        n => Err(Error::argument(format!("{of}: got {n} functions for {groups} parameter groups"))),
    }
}

constructors! { "LambdaLR" Lambda:
    /// `lr_lambda` gives the factor for all groups.
    ///
    /// ```
    /// use allotrope::{optim::{Scheduler, Sgd, scheduler::LambdaLr}, prelude::*};
    /// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 0.5);
    /// let mut scheduler = LambdaLr::new(&opt, |epoch| 1.0 / (1 + epoch) as f64);
    /// scheduler.step();
    /// assert_eq!(scheduler.get_last_lr(), [0.25]);
    /// ```
    fn new / try_new(start, lr_lambda: impl Fn(i64) -> f64 + Send + Sync + 'static) {
        let factor: Factor = Arc::new(lr_lambda);
        let each = vec![factor; start.groups.len()];
        ByEpoch::begin(start, Lambda(each))
    }

    /// Each group has a function of its own.
    fn with_each / try_with_each(start, lr_lambdas: Vec<Factor>) {
        let each = checked("LambdaLR", lr_lambdas, start.groups.len())?;
        ByEpoch::begin(start, Lambda(each))
    }
}

/// Functions are not saved.
fn none(n: usize) -> Value {
    Value::List(vec![Value::None; n])
}

impl Formula for Lambda {
    const NAME: &'static str = "LambdaLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        Ok(at.base_lr * self.0[at.index](at.epoch))
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.fixed("lr_lambdas", none(self.0.len()));
    }
}

/// The rate is multiplied by a function of the epoch.
pub type MultiplicativeLr = ByEpoch<Multiplicative>;

/// The formula of [`MultiplicativeLr`].
#[derive(Clone)]
pub struct Multiplicative(Vec<Factor>);

constructors! { "MultiplicativeLR" Multiplicative:
    /// `lr_lambda` gives the factor for all groups.
    fn new / try_new(start, lr_lambda: impl Fn(i64) -> f64 + Send + Sync + 'static) {
        let factor: Factor = Arc::new(lr_lambda);
        let each = vec![factor; start.groups.len()];
        ByEpoch::begin(start, Multiplicative(each))
    }

    /// Each group has a function of its own.
    fn with_each / try_with_each(start, lr_lambdas: Vec<Factor>) {
        let each = checked("MultiplicativeLR", lr_lambdas, start.groups.len())?;
        ByEpoch::begin(start, Multiplicative(each))
    }
}

impl Formula for Multiplicative {
    const NAME: &'static str = "MultiplicativeLR";

    fn lr(&self, at: &At<'_>) -> Result<f64> {
        Ok(if at.is_initial { at.lr } else { at.lr * self.0[at.index](at.epoch) })
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        v.fixed("lr_lambdas", none(self.0.len()));
    }
}

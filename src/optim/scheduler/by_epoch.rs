//! The part that all schedulers with a formula share: epochs, base rates, state, the first step.

use super::start::Start;
use super::visit::Visit;
use crate::error::{Error, Result, must};
use crate::optim::group::{Group, outside_of_a_trace};
use crate::state::Value;

/// What every scheduler does that needs no metric.
pub trait Scheduler {
    /// Sets the learning rates of the next epoch: call it after the optimizer's step, between calls of traced functions.
    ///
    /// # Panics
    /// Where [`Scheduler::try_step`] fails.
    #[track_caller]
    fn step(&mut self) {
        must(self.try_step());
    }

    /// As [`Scheduler::step`].
    ///
    /// # Errors
    /// Inside a trace, and after the last step of a schedule that has one. Nothing is changed then.
    fn try_step(&mut self) -> Result<()>;

    /// The learning rate of each group that was set last.
    fn get_last_lr(&self) -> Vec<f64>;

    /// The epoch that the rates are for.
    fn last_epoch(&self) -> i64;

    /// What must be saved to go on later, under PyTorch's names. The learning rates themselves are in the optimizer's.
    fn state_dict(&self) -> Value;

    /// Goes on from what [`Scheduler::state_dict`], or PyTorch's scheduler of the same class, gave.
    ///
    /// # Errors
    /// When a value is missing or of another kind. Nothing is changed then.
    fn load_state_dict(&mut self, state: &Value) -> Result<()>;

    /// The groups whose rates it sets.
    fn groups(&self) -> &[Group];

    /// Takes the first step back, for a scheduler that is made of others.
    #[doc(hidden)]
    fn undo(&mut self);

    /// The first step.
    #[doc(hidden)]
    fn initial_step(&mut self) -> Result<()>;

    /// Begins again: sets the rates of its first epoch.
    #[doc(hidden)]
    fn restart(&mut self) -> Result<()>;
}

/// A boxed scheduler is that scheduler.
impl<S: Scheduler + ?Sized> Scheduler for Box<S> {
    fn try_step(&mut self) -> Result<()> {
        (**self).try_step()
    }
    fn get_last_lr(&self) -> Vec<f64> {
        (**self).get_last_lr()
    }
    fn last_epoch(&self) -> i64 {
        (**self).last_epoch()
    }
    fn state_dict(&self) -> Value {
        (**self).state_dict()
    }
    fn load_state_dict(&mut self, state: &Value) -> Result<()> {
        (**self).load_state_dict(state)
    }
    fn groups(&self) -> &[Group] {
        (**self).groups()
    }
    fn undo(&mut self) {
        (**self).undo();
    }
    fn initial_step(&mut self) -> Result<()> {
        (**self).initial_step()
    }
    fn restart(&mut self) -> Result<()> {
        (**self).restart()
    }
}

/// What a formula computes a learning rate from.
pub struct At<'a> {
    /// The epoch that the rate is for.
    pub epoch: i64,
    /// Whether this is the step that a constructor makes.
    pub is_initial: bool,
    /// How many steps were made, with this one.
    pub step_count: i64,
    /// The group, and its number.
    pub group: &'a Group,
    pub index: usize,
    /// Its learning rate now.
    pub lr: f64,
    /// Its learning rate before any scheduler.
    pub base_lr: f64,
}

/// How the learning rate follows from the epoch, and from the rate before. A scheduler of one's own is a type that has this, in
/// [`ByEpoch`].
///
/// ```
/// use allotrope::{optim::{Scheduler, Sgd, scheduler::{At, ByEpoch, Formula, Visit}}, prelude::*};
/// #[derive(Clone)]
/// struct InverseRoot;
/// impl Formula for InverseRoot {
///     const NAME: &'static str = "InverseRoot";
///     fn lr(&self, at: &At<'_>) -> allotrope::Result<f64> { Ok(at.base_lr / ((at.epoch + 1) as f64).sqrt()) }
///     fn visit(&mut self, _: &mut Visit<'_>) {}
/// }
/// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 1.0);
/// let mut scheduler = ByEpoch::begin(&opt, InverseRoot)?;
/// (0..3).for_each(|_| scheduler.step());
/// assert_eq!(scheduler.get_last_lr(), [0.5]);
/// # Ok::<(), allotrope::Error>(())
/// ```
pub trait Formula: Clone {
    /// PyTorch's name of the class.
    const NAME: &'static str;

    /// The learning rate.
    ///
    /// # Errors
    /// When the schedule has ended.
    fn lr(&self, at: &At<'_>) -> Result<f64>;

    /// The learning rate from the epoch alone, where there is such a formula.
    fn closed_form(&self, _at: &At<'_>) -> Option<f64> {
        None
    }

    /// The momentum, where it changes too.
    fn momentum(&self, _at: &At<'_>) -> Option<f64> {
        None
    }

    /// Another epoch begins; `epoch` is the one before.
    fn advance(&mut self, _epoch: i64) {}

    /// Shows the state beside the epochs.
    fn visit(&mut self, visit: &mut Visit<'_>);
}

/// A scheduler that has a [`Formula`].
#[derive(Clone)]
pub struct ByEpoch<F> {
    groups: Vec<Group>,
    pub(super) formula: F,
    pub(super) base_lrs: Vec<f64>,
    pub(super) last_epoch: i64,
    step_count: i64,
    last_lr: Vec<f64>,
}

/// The learning rates of groups.
pub(super) fn rates(groups: &[Group]) -> Result<Vec<f64>> {
    groups.iter().map(Group::try_lr).collect()
}

impl<F: Formula> ByEpoch<F> {
    /// A scheduler that begins now: the rates of its first epoch are set.
    ///
    /// # Errors
    /// When it begins after an epoch and a group has no `initial_lr`, and inside a trace.
    pub fn begin<'a>(start: impl Into<Start<'a>>, formula: F) -> Result<ByEpoch<F>> {
        let Start { groups, last_epoch } = start.into();
        outside_of_a_trace(F::NAME)?;
        if last_epoch < -1 {
            return Err(Error::argument(format!("{}: last_epoch must be at least -1, got {last_epoch}", F::NAME)));
        }
        let mut base_lrs = Vec::new();
        for (i, (group, lr)) in groups.iter().zip(rates(groups)?).enumerate() {
            base_lrs.push(match group.extra_number("initial_lr") {
                Some(initial) => initial,
                None if last_epoch == -1 => lr,
                None => {
                    return Err(Error::argument(format!(
                        "{}: group {i} has no initial_lr to go on from after epoch {last_epoch}; load the optimizer's state dict first",
                        F::NAME
                    )));
                }
            });
        }
        let last_lr = rates(groups)?;
        let mut all = ByEpoch { groups: groups.to_vec(), formula, base_lrs, last_epoch, step_count: 0, last_lr };
        // What fails, fails before anything was changed.
        all.initial_step()?;
        for (group, base) in all.groups.iter().zip(&all.base_lrs) {
            if last_epoch == -1 {
                group.set_extra("initial_lr", *base);
            }
        }
        Ok(all)
    }

    /// The rates of an epoch; none is the next one.
    pub(super) fn update(&mut self, to: Option<i64>, is_initial: bool) -> Result<()> {
        outside_of_a_trace("a scheduler's step")?;
        let mut formula = self.formula.clone();
        let step_count = self.step_count + to.is_none() as i64;
        let epoch = to.unwrap_or(self.last_epoch + 1);
        if to.is_none() {
            formula.advance(self.last_epoch);
        }
        let mut new = Vec::new();
        for (index, ((group, lr), base_lr)) in
            self.groups.iter().zip(rates(&self.groups)?).zip(&self.base_lrs).enumerate()
        {
            let at = At { epoch, is_initial, step_count, group, index, lr, base_lr: *base_lr };
            let closed = if to.is_some() { formula.closed_form(&at) } else { None };
            let lr = closed.map_or_else(|| formula.lr(&at), Ok)?;
            if !lr.is_finite() {
                return Err(Error::argument(format!(
                    "{}: the learning rate of group {index} would be {lr} in epoch {epoch}",
                    F::NAME
                )));
            }
            new.push((lr, formula.momentum(&at)));
        }
        for (group, (lr, momentum)) in self.groups.iter().zip(new) {
            if let Some(momentum) = momentum {
                group.try_set_momentum(momentum)?;
            }
            group.fill_lr(lr);
        }
        (self.formula, self.last_epoch, self.step_count) = (formula, epoch, step_count);
        self.last_lr = rates(&self.groups)?;
        Ok(())
    }

    /// Sets the rates of an epoch, PyTorch's `step(epoch)`: by the formula from the epoch alone, where there is one.
    ///
    /// # Panics
    /// Where [`ByEpoch::try_step_to`] fails.
    #[track_caller]
    pub fn step_to(&mut self, epoch: i64) {
        must(self.try_step_to(epoch));
    }

    /// As [`ByEpoch::step_to`].
    ///
    /// # Errors
    /// When the epoch is negative, or as [`Scheduler::try_step`] fails.
    pub fn try_step_to(&mut self, epoch: i64) -> Result<()> {
        if epoch < 0 {
            return Err(Error::argument(format!("{}: the epoch must be at least 0, got {epoch}", F::NAME)));
        }
        self.update(Some(epoch), false)?;
        self.step_count += 1;
        Ok(())
    }

    fn visit(&mut self, v: &mut Visit<'_>) {
        self.formula.visit(v);
        v.numbers("base_lrs", &mut self.base_lrs);
        v.int("last_epoch", &mut self.last_epoch);
        v.int("_step_count", &mut self.step_count);
        v.fixed("_is_initial", Value::Bool(false));
        v.fixed("_get_lr_called_within_step", Value::Bool(false));
        v.numbers("_last_lr", &mut self.last_lr);
    }
}

impl<F: Formula> Scheduler for ByEpoch<F> {
    fn try_step(&mut self) -> Result<()> {
        self.update(None, false)
    }

    fn get_last_lr(&self) -> Vec<f64> {
        self.last_lr.clone()
    }

    fn last_epoch(&self) -> i64 {
        self.last_epoch
    }

    fn state_dict(&self) -> Value {
        let mut visit = Visit::saving(F::NAME);
        self.clone().visit(&mut visit);
        visit.saved()
    }

    fn load_state_dict(&mut self, state: &Value) -> Result<()> {
        let mut visit = Visit::loading(F::NAME, state)?;
        let mut loaded = self.clone();
        loaded.visit(&mut visit);
        visit.finish()?;
        *self = loaded;
        Ok(())
    }

    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn undo(&mut self) {
        self.last_epoch -= 1;
    }

    fn initial_step(&mut self) -> Result<()> {
        self.step_count = 0;
        self.update(None, true)
    }

    fn restart(&mut self) -> Result<()> {
        self.update(Some(0), false)
    }
}

/// The two constructors of a scheduler: one panics, its twin returns the error.
macro_rules! constructors {
    ($name:literal $formula:ty: $($(#[$doc:meta])* fn $new:ident / $try_new:ident ($start:ident $(, $arg:ident: $ty:ty)*) $body:block)*) => {
        impl super::by_epoch::ByEpoch<$formula> {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where `", stringify!($try_new), "` fails.")]
            #[track_caller]
            pub fn $new<'a>(start: impl Into<super::start::Start<'a>> $(, $arg: $ty)*) -> Self {
                crate::error::must(Self::$try_new(start $(, $arg)*))
            }

            #[doc = concat!("As `", stringify!($new), "`.")]
            ///
            /// # Errors
            /// When an argument is out of its range, and inside a trace. The optimizer stays as it was.
            pub fn $try_new<'a>(start: impl Into<super::start::Start<'a>> $(, $arg: $ty)*) -> crate::error::Result<Self> {
                let $start: super::start::Start<'a> = start.into();
                $body
            }
        )*}
    };
}
pub(super) use constructors;

//! Schedulers made of schedulers: one after the other, or all at once.

use super::by_epoch::{Scheduler, rates};
use super::start::Start;
use crate::error::{Error, Result, must};
use crate::optim::group::{Group, outside_of_a_trace};
use crate::state::Value;

/// Refuses schedulers of different optimizers.
fn check(of: &str, groups: &[Group], schedulers: &[Box<dyn Scheduler>]) -> Result<()> {
    if schedulers.is_empty() {
        return Err(Error::argument(format!("{of}: got no schedulers")));
    }
    let fits = |s: &dyn Scheduler| {
        s.groups().len() == groups.len() && s.groups().iter().zip(groups).all(|(a, b)| a.is_same(b))
    };
    match schedulers.iter().position(|s| !fits(s)) {
        None => Ok(()),
        Some(i) => Err(Error::argument(format!("{of}: scheduler {i} is of another optimizer"))),
    }
}

fn save(schedulers: &[Box<dyn Scheduler>]) -> Value {
    Value::List(schedulers.iter().map(|s| s.state_dict()).collect())
}

/// Loads all or none: where one refuses, those before it get back what they had.
fn load(of: &str, schedulers: &mut [Box<dyn Scheduler>], state: &Value) -> Result<()> {
    let saved = state.get("_schedulers").and_then(Value::as_list).filter(|list| list.len() == schedulers.len());
    let Some(saved) = saved else {
        return Err(Error::argument(format!(
            "{of}: the state has no list _schedulers of {}; nothing was changed",
            schedulers.len()
        )));
    };
    let before: Vec<Value> = schedulers.iter().map(|s| s.state_dict()).collect();
    for i in 0..schedulers.len() {
        if let Err(error) = schedulers[i].load_state_dict(&saved[i]) {
            for (s, before) in schedulers.iter_mut().zip(&before).take(i) {
                s.load_state_dict(before)?;
            }
            return Err(error);
        }
    }
    Ok(())
}

fn numbers(all: &[f64]) -> Value {
    Value::List(all.iter().copied().map(Value::Float).collect())
}

/// The state beside that of the parts.
fn last(of: &str, state: &Value, groups: usize) -> Result<Vec<f64>> {
    let list = state.get("_last_lr").and_then(Value::as_list);
    let all = list.and_then(|list| list.iter().map(Value::as_float).collect::<Option<Vec<f64>>>());
    all.filter(|all| all.len() == groups).ok_or_else(|| {
        Error::argument(format!("{of}: the state has no _last_lr for {groups} groups; nothing was changed"))
    })
}

/// Schedulers one after the other: each takes over at a milestone, and begins there at its first epoch.
pub struct SequentialLr {
    groups: Vec<Group>,
    schedulers: Vec<Box<dyn Scheduler>>,
    milestones: Vec<i64>,
    last_epoch: i64,
    last_lr: Vec<f64>,
}

impl SequentialLr {
    /// `milestones` has one epoch less than there are schedulers, which were made for the same optimizer.
    ///
    /// ```
    /// use allotrope::{optim::{Scheduler, Sgd, scheduler::{ConstantLr, ExponentialLr, SequentialLr}}, prelude::*};
    /// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 1.0);
    /// let parts: Vec<Box<dyn Scheduler>> =
    ///     vec![Box::new(ConstantLr::new(&opt, 0.1, 2)), Box::new(ExponentialLr::new(&opt, 0.5))];
    /// let mut scheduler = SequentialLr::new(&opt, parts, &[2]);
    /// (0..3).for_each(|_| scheduler.step());
    /// assert_eq!(scheduler.get_last_lr(), [0.5]);
    /// ```
    ///
    /// # Panics
    /// Where [`SequentialLr::try_new`] fails.
    #[track_caller]
    pub fn new<'a>(
        start: impl Into<Start<'a>>,
        schedulers: Vec<Box<dyn Scheduler>>,
        milestones: &[usize],
    ) -> SequentialLr {
        must(SequentialLr::try_new(start, schedulers, milestones))
    }

    /// As [`SequentialLr::new`].
    ///
    /// # Errors
    /// When there is no scheduler, one is of another optimizer, or the milestones are not one less, and inside a trace.
    pub fn try_new<'a>(
        start: impl Into<Start<'a>>,
        schedulers: Vec<Box<dyn Scheduler>>,
        milestones: &[usize],
    ) -> Result<SequentialLr> {
        const NAME: &str = "SequentialLR";
        outside_of_a_trace(NAME)?;
        let Start { groups, last_epoch } = start.into();
        check(NAME, groups, &schedulers)?;
        if milestones.len() != schedulers.len() - 1 {
            return Err(Error::argument(format!(
                "{NAME}: {} schedulers need {} milestones, got {}",
                schedulers.len(),
                schedulers.len() - 1,
                milestones.len()
            )));
        }
        let milestones = milestones.iter().map(|&m| m as i64).collect();
        let mut all = SequentialLr {
            groups: groups.to_vec(),
            schedulers,
            milestones,
            last_epoch: last_epoch + 1,
            last_lr: Vec::new(),
        };
        for group in groups {
            if let Some(initial) = group.extra_number("initial_lr") {
                group.fill_lr(initial);
            }
        }
        all.schedulers.iter_mut().for_each(|s| s.undo());
        let place = all.place(0);
        all.schedulers[place].initial_step()?;
        all.last_lr = all.schedulers[place].get_last_lr();
        Ok(all)
    }

    /// Which scheduler an epoch belongs to.
    fn place(&self, epoch: i64) -> usize {
        self.milestones.iter().take_while(|m| **m <= epoch).count()
    }
}

impl Scheduler for SequentialLr {
    fn try_step(&mut self) -> Result<()> {
        let epoch = self.last_epoch + 1;
        let place = self.place(epoch);
        let scheduler = &mut self.schedulers[place];
        match place > 0 && self.milestones[place - 1] == epoch {
            true => scheduler.restart()?,
            false => scheduler.try_step()?,
        }
        self.last_epoch = epoch;
        self.last_lr = self.schedulers[place].get_last_lr();
        Ok(())
    }

    fn get_last_lr(&self) -> Vec<f64> {
        self.last_lr.clone()
    }

    fn last_epoch(&self) -> i64 {
        self.last_epoch
    }

    fn state_dict(&self) -> Value {
        Value::dict([
            ("_milestones", Value::List(self.milestones.iter().copied().map(Value::Int).collect())),
            ("last_epoch", Value::Int(self.last_epoch)),
            ("_last_lr", numbers(&self.last_lr)),
            ("_schedulers", save(&self.schedulers)),
        ])
    }

    fn load_state_dict(&mut self, state: &Value) -> Result<()> {
        let whole = |v: &Value| v.as_list()?.iter().map(Value::as_int).collect::<Option<Vec<i64>>>();
        let milestones = state.get("_milestones").and_then(whole).filter(|m| m.len() == self.milestones.len());
        let epoch = state.get("last_epoch").and_then(Value::as_int);
        let (Some(milestones), Some(epoch)) = (milestones, epoch) else {
            return Err(Error::argument(
                "SequentialLR: the state has no fitting _milestones or no last_epoch; nothing was changed",
            ));
        };
        let last_lr = last("SequentialLR", state, self.groups.len())?;
        load("SequentialLR", &mut self.schedulers, state)?;
        (self.milestones, self.last_epoch, self.last_lr) = (milestones, epoch, last_lr);
        Ok(())
    }

    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn undo(&mut self) {
        self.schedulers.iter_mut().for_each(|s| s.undo());
    }

    fn initial_step(&mut self) -> Result<()> {
        self.try_step()
    }

    fn restart(&mut self) -> Result<()> {
        Err(Error::argument("SequentialLR: it can only be the first part of another SequentialLR"))
    }
}

/// Several schedulers at once: each changes the rate that the one before has left.
pub struct ChainedScheduler {
    groups: Vec<Group>,
    schedulers: Vec<Box<dyn Scheduler>>,
    last_lr: Vec<f64>,
}

impl ChainedScheduler {
    /// The schedulers must be of one optimizer.
    ///
    /// ```
    /// use allotrope::{optim::{Scheduler, Sgd, scheduler::{ChainedScheduler, ConstantLr, ExponentialLr}}, prelude::*};
    /// let opt = Sgd::new(vec![Tensor::zeros(&[1], DType::F32).requires_grad()], 1.0);
    /// let parts: Vec<Box<dyn Scheduler>> =
    ///     vec![Box::new(ConstantLr::new(&opt, 0.5, 4)), Box::new(ExponentialLr::new(&opt, 0.5))];
    /// let mut scheduler = ChainedScheduler::new(parts);
    /// scheduler.step();
    /// assert_eq!(scheduler.get_last_lr(), [0.25]);
    /// ```
    ///
    /// # Panics
    /// Where [`ChainedScheduler::try_new`] fails.
    #[track_caller]
    pub fn new(schedulers: Vec<Box<dyn Scheduler>>) -> ChainedScheduler {
        must(ChainedScheduler::try_new(schedulers))
    }

    /// As [`ChainedScheduler::new`].
    ///
    /// # Errors
    /// When there is no scheduler, or they are of different optimizers, and inside a trace.
    pub fn try_new(schedulers: Vec<Box<dyn Scheduler>>) -> Result<ChainedScheduler> {
        outside_of_a_trace("ChainedScheduler")?;
        let groups = schedulers.first().map_or(Vec::new(), |s| s.groups().to_vec());
        check("ChainedScheduler", &groups, &schedulers)?;
        let last_lr = rates(&groups)?;
        Ok(ChainedScheduler { groups, schedulers, last_lr })
    }
}

impl Scheduler for ChainedScheduler {
    fn try_step(&mut self) -> Result<()> {
        outside_of_a_trace("a scheduler's step")?;
        self.schedulers.iter_mut().try_for_each(|s| s.try_step())?;
        self.last_lr = rates(&self.groups)?;
        Ok(())
    }

    fn get_last_lr(&self) -> Vec<f64> {
        self.last_lr.clone()
    }

    fn last_epoch(&self) -> i64 {
        self.schedulers[0].last_epoch()
    }

    fn state_dict(&self) -> Value {
        Value::dict([("_last_lr", numbers(&self.last_lr)), ("_schedulers", save(&self.schedulers))])
    }

    fn load_state_dict(&mut self, state: &Value) -> Result<()> {
        let last_lr = last("ChainedScheduler", state, self.groups.len())?;
        load("ChainedScheduler", &mut self.schedulers, state)?;
        self.last_lr = last_lr;
        Ok(())
    }

    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn undo(&mut self) {
        self.schedulers.iter_mut().for_each(|s| s.undo());
    }

    fn initial_step(&mut self) -> Result<()> {
        self.try_step()
    }

    fn restart(&mut self) -> Result<()> {
        Err(Error::argument("ChainedScheduler: it can only be the first part of a SequentialLR"))
    }
}

//! The part that all optimizers with a rule share: groups, counting of steps, state of each parameter. It does no arithmetic on
//! parameters.

use super::group::{Cycled, Group, ParamGroup, check_lr, check_params, outside_of_a_trace};
use super::optimizer::Optimizer;
use super::options::{self, Options};
use super::rule::{Coefficient, Given, Rule, Update, working};
use super::saved;
use crate::autograd::no_grad;
use crate::device;
use crate::error::{Error, Result, must};
use crate::mode::is_recording;
use crate::state::Value;
use crate::tensor::{Flag, Tensor};
use allotrope_ir::DType;
use parking_lot::RwLock;
use std::sync::Arc;

/// An optimizer that changes each parameter by a [`Rule`]. All state is in tensors, so a traced step contains it like any other code.
pub struct ByRule<R: Rule> {
    parameters: Vec<Tensor>,
    groups: Vec<Group>,
    rules: Vec<Arc<RuleGroup<R>>>,
    /// What a later group has where nothing else is given.
    defaults: (f64, R::Options),
}

/// A group with its state.
pub(super) struct RuleGroup<R: Rule> {
    pub(super) params: Vec<Tensor>,
    /// Steps taken so far, f32 without axes as in PyTorch.
    pub(super) steps: Tensor,
    /// For each parameter, how many of them passed without a gradient for it: those do not count for it.
    pub(super) missed: Vec<Tensor>,
    /// Whether any did, so that parameters that always stepped together share their factors.
    pub(super) has_missed: Vec<Flag>,
    config: RwLock<Arc<Config<R::Options>>>,
}

/// Hyperparameters with the state that they ask for.
pub(super) struct Config<O> {
    pub(super) options: O,
    /// The momentum, once a scheduler changes it (f64, without axes); the options' is not read any more.
    pub(super) momentum: Option<Tensor>,
    /// The names of the state.
    pub(super) names: Vec<&'static str>,
    /// The state, by parameter, then as the names.
    pub(super) state: Vec<Vec<Tensor>>,
    /// Whether this is what the group uses. A trace that has read it runs no more when other hyperparameters take its place. None for
    /// an optimizer that is made inside of a trace, and ends with the call.
    current: Option<Flag>,
}

impl<R: Rule> RuleGroup<R> {
    fn new(params: Vec<Tensor>, options: R::Options) -> Arc<RuleGroup<R>> {
        let _entered = device::enter(params[0].device());
        let config = RwLock::new(Arc::new(config::<R>(&params, options, None, None)));
        Arc::new(RuleGroup {
            steps: Tensor::scalar(0.0f32),
            missed: params.iter().map(|_| Tensor::scalar(0.0f32)).collect(),
            has_missed: params.iter().map(|_| Flag::new(false)).collect(),
            config,
            params,
        })
    }

    /// What is in use; a running trace holds for this only.
    #[track_caller]
    fn config(&self) -> Arc<Config<R::Options>> {
        let config = self.peek();
        if let Some(current) = &config.current {
            current.get();
        }
        config
    }

    /// What is in use.
    pub(super) fn peek(&self) -> Arc<Config<R::Options>> {
        Arc::clone(&self.config.read())
    }

    /// Puts other hyperparameters in the place of those in use; state of the same name goes on.
    pub(super) fn replace(&self, options: R::Options, momentum: Option<Tensor>) {
        let _entered = device::enter(self.params[0].device());
        let old = self.peek();
        let new = config::<R>(&self.params, options, momentum, Some(&old));
        *self.config.write() = Arc::new(new);
        if let Some(current) = &old.current {
            current.set(false);
        }
    }

    #[track_caller]
    fn step(&self, lr: &Tensor) {
        let config = self.config();
        let cycled = config.momentum.is_some();
        let _entered = device::enter(self.params[0].device());
        let momentum = match &config.momentum {
            Some(t) => Coefficient::Tensor(t.clone()),
            None => Coefficient::Number(config.options.clone().momentum().map_or(0.0, |(_, x)| *x)),
        };
        let counts = R::counts_steps(&config.options, cycled);
        if counts {
            self.steps.add_(1.0);
        }
        let factors = |steps: Option<&Tensor>, dtype: DType| {
            let steps = steps.map(|t| t.to(DType::F64));
            R::factors(&Given { options: &config.options, lr, momentum: &momentum, steps, dtype: working(dtype) })
        };
        let dtype = self.params[0].dtype();
        let shared = factors(counts.then_some(&self.steps), dtype);
        for (i, p) in self.params.iter().enumerate() {
            let Some(gradient) = p.grad() else {
                if counts {
                    self.missed[i].add_(1.0);
                    self.has_missed[i].set(true);
                }
                continue;
            };
            let missed = counts && self.has_missed[i].get();
            let steps = if missed { &self.steps - &self.missed[i] } else { self.steps.clone() };
            let steps = counts.then_some(&steps);
            let own;
            let factors = match !missed && p.dtype() == dtype {
                true => &shared,
                false => {
                    own = factors(steps, p.dtype());
                    &own
                }
            };
            R::update(&Update {
                options: &config.options,
                factors,
                lr,
                parameter: p,
                gradient: gradient.to(working(p.dtype())),
                state: &config.state[i],
                steps,
                momentum: &momentum,
            });
        }
    }
}

/// Hyperparameters with their state: that of `before` where it has the name, else new.
fn config<R: Rule>(
    params: &[Tensor],
    options: R::Options,
    momentum: Option<Tensor>,
    before: Option<&Config<R::Options>>,
) -> Config<R::Options> {
    let slots = R::slots(&options, momentum.is_some());
    let kept = |i: usize, name: &str| {
        let before = before?;
        let place = before.names.iter().position(|n| *n == name)?;
        Some(before.state[i][place].clone())
    };
    let of = |(i, p): (usize, &Tensor)| {
        slots.iter().map(|slot| kept(i, slot.name).unwrap_or_else(|| slot.initial(p))).collect()
    };
    let state = params.iter().enumerate().map(of).collect();
    Config {
        options,
        momentum,
        names: slots.iter().map(|s| s.name).collect(),
        state,
        current: (!is_recording()).then(|| Flag::new(true)),
    }
}

impl<R: Rule> Cycled for RuleGroup<R> {
    fn params(&self) -> &[Tensor] {
        &self.params
    }

    fn momentum_name(&self) -> Option<&'static str> {
        R::Options::default().momentum().map(|(name, _)| name)
    }

    fn momentum(&self) -> Result<Option<f64>> {
        let config = self.peek();
        match &config.momentum {
            Some(t) => t.try_item().map(Some),
            None => Ok(config.options.clone().momentum().map(|(_, x)| *x)),
        }
    }

    fn set_momentum(&self, value: f64) -> Result<()> {
        let config = self.peek();
        let mut options = config.options.clone();
        let Some((_, place)) = options.momentum() else {
            return Err(Error::argument(format!("{}: it has neither a momentum nor betas that could be set", R::NAME)));
        };
        *place = value;
        options::check(R::NAME, &options)?;
        match &config.momentum {
            Some(t) => _ = t.fill_(value),
            None => {
                let momentum = device::with_device(self.params[0].device(), || Tensor::scalar(value));
                self.replace(options, Some(momentum));
            }
        }
        Ok(())
    }
}

impl<R: Rule> ByRule<R> {
    /// The learning rate that PyTorch's class has where none is given.
    pub const DEFAULT_LR: f64 = R::DEFAULT_LR;

    /// With PyTorch's default hyperparameters.
    ///
    /// # Panics
    /// Where [`ByRule::try_with_options`] fails.
    #[track_caller]
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> ByRule<R> {
        ByRule::with_options(parameters, lr, R::Options::default())
    }

    /// With other hyperparameters.
    ///
    /// # Panics
    /// Where [`ByRule::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(parameters: Vec<Tensor>, lr: f64, options: R::Options) -> ByRule<R> {
        must(ByRule::try_with_options(parameters, lr, options))
    }

    /// As [`ByRule::with_options`].
    ///
    /// # Errors
    /// When there is no parameter, one is not a floating-point leaf or is given twice, the learning rate is negative or not finite,
    /// or a hyperparameter is out of its range.
    pub fn try_with_options(parameters: Vec<Tensor>, lr: f64, options: R::Options) -> Result<ByRule<R>> {
        ByRule::try_with_groups(vec![ParamGroup::new(parameters)], lr, options)
    }

    /// With parameter groups; `lr` and `options` are those of the groups that say nothing else.
    ///
    /// # Panics
    /// Where [`ByRule::try_with_groups`] fails.
    #[track_caller]
    pub fn with_groups(groups: Vec<ParamGroup<R::Options>>, lr: f64, options: R::Options) -> ByRule<R> {
        must(ByRule::try_with_groups(groups, lr, options))
    }

    /// As [`ByRule::with_groups`].
    ///
    /// # Errors
    /// As [`ByRule::try_with_options`], for each group; a parameter may be in one group only.
    pub fn try_with_groups(groups: Vec<ParamGroup<R::Options>>, lr: f64, options: R::Options) -> Result<ByRule<R>> {
        check_lr(R::NAME, lr)?;
        options::check(R::NAME, &options)?;
        if groups.is_empty() {
            return Err(Error::argument(format!("{}: got no parameters", R::NAME)));
        }
        let mut all = ByRule { parameters: Vec::new(), groups: Vec::new(), rules: Vec::new(), defaults: (lr, options) };
        groups.into_iter().try_for_each(|group| all.try_add_param_group(group))?;
        Ok(all)
    }

    /// Adds a parameter group.
    ///
    /// # Panics
    /// Where [`ByRule::try_add_param_group`] fails.
    #[track_caller]
    pub fn add_param_group(&mut self, group: ParamGroup<R::Options>) {
        must(self.try_add_param_group(group));
    }

    /// As [`ByRule::add_param_group`].
    ///
    /// # Errors
    /// As [`ByRule::try_with_groups`]; the optimizer stays as it was.
    pub fn try_add_param_group(&mut self, group: ParamGroup<R::Options>) -> Result<()> {
        check_params(R::NAME, &group.params, &self.parameters)?;
        let lr = group.lr.unwrap_or(self.defaults.0);
        let options = group.options.unwrap_or_else(|| self.defaults.1.clone());
        check_lr(R::NAME, lr)?;
        options::check(R::NAME, &options)?;
        self.parameters.extend(group.params.iter().cloned());
        let _entered = device::enter(group.params[0].device());
        let rule = RuleGroup::<R>::new(group.params, options);
        self.groups.push(Group::new(lr, Arc::<RuleGroup<R>>::clone(&rule)));
        self.rules.push(rule);
        Ok(())
    }

    /// The hyperparameters of a group.
    pub fn options(&self, group: usize) -> R::Options {
        self.rules[group].peek().options.clone()
    }

    /// Sets the hyperparameters of a group. They are constants of a traced step, which is compiled once more.
    ///
    /// # Panics
    /// Where [`ByRule::try_set_options`] fails.
    #[track_caller]
    pub fn set_options(&self, group: usize, options: R::Options) {
        must(self.try_set_options(group, options));
    }

    /// As [`ByRule::set_options`].
    ///
    /// # Errors
    /// When there is no such group, or a hyperparameter is out of its range, and inside a trace.
    pub fn try_set_options(&self, group: usize, options: R::Options) -> Result<()> {
        outside_of_a_trace("set_options")?;
        options::check(R::NAME, &options)?;
        let Some(rule) = self.rules.get(group) else {
            return Err(Error::argument(format!("{}: there is no group {group} among {}", R::NAME, self.rules.len())));
        };
        rule.replace(options, None);
        Ok(())
    }

    /// The state by name, with the number of the parameter before the name: what a traced step reads and writes beside the
    /// parameters. [`Optimizer::state_dict`] is what to save.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let configs: Vec<_> = self.rules.iter().map(|r| r.peek()).collect();
        let mut names: Vec<&str> = Vec::new();
        for name in configs.iter().flat_map(|c| &c.names) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let mut all = Vec::new();
        for name in names {
            let mut number = 0;
            for config in &configs {
                let place = config.names.iter().position(|n| *n == name);
                for state in &config.state {
                    all.extend(place.map(|place| (format!("{number}.{name}"), state[place].clone())));
                    number += 1;
                }
            }
        }
        for (i, (rule, config)) in self.rules.iter().zip(&configs).enumerate() {
            if R::counts_steps(&config.options, config.momentum.is_some()) {
                let name = if i == 0 { "step".to_string() } else { format!("group{i}.step") };
                all.push((name, rule.steps.clone()));
            }
        }
        all
    }
}

impl<R: Rule> Optimizer for ByRule<R> {
    fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    fn groups(&self) -> &[Group] {
        &self.groups
    }

    #[track_caller]
    fn step(&self) {
        no_grad(|| self.rules.iter().zip(&self.groups).for_each(|(rule, group)| rule.step(group.lr())));
    }

    fn try_state_dict(&self) -> Result<Value> {
        outside_of_a_trace("state_dict")?;
        saved::save(&self.rules, &self.groups)
    }

    fn load_state_dict(&self, state: &Value) -> Result<()> {
        outside_of_a_trace("load_state_dict")?;
        saved::load(&self.rules, &self.groups, state)
    }
}

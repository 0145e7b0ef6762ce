//! The state of an optimizer as a value in PyTorch's layout, and back: everything is looked at before anything is changed.

use super::by_rule::RuleGroup;
use super::group::Group;
use super::options::{self, Options};
use super::rule::{Rule, SlotKind};
use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::state::Value;
use crate::tensor::Tensor;
use allotrope_ir::DType;
use std::sync::Arc;

/// The state in PyTorch's layout.
pub(super) fn save<R: Rule>(rules: &[Arc<RuleGroup<R>>], groups: &[Group]) -> Result<Value> {
    let (mut state, mut saved, mut number) = (Vec::new(), Vec::new(), 0i64);
    for (rule, group) in rules.iter().zip(groups) {
        let config = rule.peek();
        let counts = R::counts_steps(&config.options, config.momentum.is_some());
        let mut params = Vec::new();
        for (i, tensors) in config.state.iter().enumerate() {
            let steps = if rule.has_missed[i].peek() { &rule.steps - &rule.missed[i] } else { rule.steps.clone() };
            // A parameter that never had a gradient has no state in PyTorch.
            if counts && steps.try_item::<f32>()? > 0.0 {
                let steps = R::SAVES_STEPS.then_some(("step", Value::Tensor(steps)));
                let rest = config.names.iter().copied().zip(tensors.iter().cloned().map(Value::Tensor));
                state.push((Value::Int(number), Value::dict(steps.into_iter().chain(rest))));
            }
            params.push(Value::Int(number));
            number += 1;
        }
        let mut options = config.options.clone();
        if let (Some(now), Some((_, place))) = (group.try_momentum()?, options.momentum()) {
            *place = now;
        }
        let mut entries = vec![("lr".to_string(), Value::Float(group.try_lr()?))];
        entries.extend(options::save(&options)?.into_iter().map(|(name, value)| (name.to_string(), value)));
        entries.extend(group.extras());
        entries.push(("params".to_string(), Value::List(params)));
        saved.push(Value::dict(entries));
    }
    Ok(Value::dict([("state", Value::Dict(state)), ("param_groups", Value::List(saved))]))
}

/// What one group becomes.
struct Loaded<O> {
    lr: f64,
    options: O,
    momentum: Option<f64>,
    extras: Vec<(String, Value)>,
    /// By parameter: its steps, and its state by name.
    state: Vec<(f64, Vec<(&'static str, Tensor)>)>,
}

/// Takes the saved state over, all of it or nothing.
pub(super) fn load<R: Rule>(rules: &[Arc<RuleGroup<R>>], groups: &[Group], value: &Value) -> Result<()> {
    let refuse = |message: String| Error::argument(format!("{}: {message}; nothing was changed", R::NAME));
    let saved = value.get("param_groups").and_then(Value::as_list);
    let saved = saved.ok_or_else(|| refuse("the state dict has no list param_groups".into()))?;
    let state = value.get("state").filter(|s| s.as_dict().is_some());
    let state = state.ok_or_else(|| refuse("the state dict has no dictionary state".into()))?;
    if saved.len() != groups.len() {
        return Err(refuse(format!(
            "the state dict has {} parameter groups, and the optimizer {}",
            saved.len(),
            groups.len()
        )));
    }
    let mut all = Vec::new();
    for (i, (rule, group)) in rules.iter().zip(saved).enumerate() {
        all.push(loaded(rule, group, state).map_err(|e| refuse(format!("group {i}: {}", text(&e))))?);
    }
    // Nothing fails from here on but for want of memory.
    no_grad(|| {
        for ((rule, group), loaded) in rules.iter().zip(groups).zip(all) {
            take(rule, group, loaded)?;
        }
        Ok(())
    })
}

fn text(error: &Error) -> String {
    let text = error.to_string();
    let prefix = "state dict: ";
    text.strip_prefix(prefix).unwrap_or(&text).to_string()
}

fn loaded<R: Rule>(rule: &RuleGroup<R>, group: &Value, state: &Value) -> Result<Loaded<R::Options>> {
    let refuse = |message: String| Error::argument(format!("state dict: {message}"));
    let config = rule.peek();
    let ids = group.get("params").and_then(Value::as_list);
    let ids = ids.ok_or_else(|| refuse("it has no list params".into()))?;
    if ids.len() != rule.params.len() {
        return Err(refuse(format!(
            "the state dict has {} parameters, and the optimizer {}",
            ids.len(),
            rule.params.len()
        )));
    }
    let lr = group.get("lr").and_then(options::number).filter(|lr| lr.is_finite());
    let lr = lr.ok_or_else(|| refuse("it has no learning rate lr".into()))?;
    let mut known = vec!["lr", "params"];
    let mut options = options::load(R::NAME, &config.options, group, &mut known)?;
    options::check(R::NAME, &options)?;
    let momentum = options.momentum().map(|(_, x)| *x);
    if config.momentum.is_some()
        && let (Some((_, place)), Some((_, before))) = (options.momentum(), config.options.clone().momentum())
    {
        *place = *before;
    }
    let extras = group.as_dict().unwrap_or_default().iter();
    let extras = extras.filter_map(|(name, v)| {
        let name = name.as_str()?;
        (!known.contains(&name)).then(|| (name.to_string(), v.copy()))
    });
    let slots = R::slots(&options, config.momentum.is_some());
    let mut by_parameter = Vec::new();
    for (i, (p, id)) in rule.params.iter().zip(ids).enumerate() {
        let entry = match id {
            Value::Int(n) => state.at(*n),
            Value::Str(name) => state.get(name),
            _ => return Err(refuse(format!("params[{i}] is neither a number nor a name"))),
        };
        let Some(entry) = entry else {
            by_parameter.push((0.0, slots.iter().map(|slot| (slot.name, initial(*slot, p))).collect()));
            continue;
        };
        let steps = match R::SAVES_STEPS {
            true => entry.get("step").and_then(options::number),
            false => Some(1.0),
        };
        let steps = steps.filter(|t| *t >= 0.0 && t.is_finite());
        let steps = steps.ok_or_else(|| refuse(format!("parameter {i} has no number of steps (step)")))?;
        let mut tensors = Vec::new();
        for slot in &slots {
            let found = match entry.get(slot.name) {
                Some(Value::Tensor(t)) => t.detach(),
                Some(other) if options::number(other).is_some() => {
                    Tensor::scalar(options::number(other).unwrap_or_default())
                }
                // PyTorch has none before the first step with momentum.
                Some(Value::None) | None if !R::SAVES_STEPS => initial(*slot, p),
                _ => return Err(refuse(format!("parameter {i} has no tensor {}", slot.name))),
            };
            let wanted = match slot.kind {
                SlotKind::Like(_) => p.shape_hint(),
                SlotKind::Scalar(_) => &[],
            };
            if found.shape_hint() != wanted {
                return Err(refuse(format!(
                    "{} of parameter {i} has shape {:?}, wanted {wanted:?}",
                    slot.name,
                    found.shape_hint()
                )));
            }
            let dtype = if matches!(slot.kind, SlotKind::Like(_)) { p.dtype() } else { DType::F32 };
            tensors.push((slot.name, found.try_to((dtype, p.device()))?));
        }
        by_parameter.push((steps, tensors));
    }
    Ok(Loaded { lr, options, momentum, extras: extras.collect(), state: by_parameter })
}

fn initial(slot: super::rule::Slot, p: &Tensor) -> Tensor {
    crate::device::with_device(p.device(), || slot.initial(p))
}

fn take<R: Rule>(rule: &RuleGroup<R>, group: &Group, loaded: Loaded<R::Options>) -> Result<()> {
    let config = rule.peek();
    if config.options != loaded.options {
        rule.replace(loaded.options, config.momentum.clone());
    }
    if let (Some(t), Some(now)) = (&config.momentum, loaded.momentum) {
        t.try_fill_(now)?;
    }
    group.fill_lr(loaded.lr);
    group.set_extras(loaded.extras);
    let config = rule.peek();
    let most = loaded.state.iter().map(|(steps, _)| *steps).fold(0.0, f64::max);
    rule.steps.try_fill_(most)?;
    for (i, (steps, tensors)) in loaded.state.iter().enumerate() {
        rule.missed[i].try_fill_(most - steps)?;
        rule.has_missed[i].set(most != *steps);
        for (name, t) in tensors {
            if let Some(place) = config.names.iter().position(|n| n == name) {
                config.state[i][place].try_copy_(t)?;
            }
        }
    }
    Ok(())
}

//! What optimizers and schedulers refuse, with messages that say what was given; nothing is changed.

use crate::common::{assert_all_same, copy, draw, panic_text};
use crate::rules;
use allotrope::optim::scheduler::*;
use allotrope::optim::*;
use allotrope::prelude::*;
use allotrope::state::Value;

fn p() -> Vec<Tensor> {
    vec![draw(1, &[2]).requires_grad()]
}

fn says(text: &str, needles: &[&str]) {
    needles.iter().for_each(|n| assert!(text.contains(n), "{n:?} is not in {text:?}"));
}

fn refused<R: Rule>(options: R::Options, needles: &[&str]) {
    let error = ByRule::<R>::try_with_options(p(), 0.1, options).err().expect("it is refused").to_string();
    says(&error, needles);
    says(&error, &[R::NAME]);
}

#[test]
fn hyperparameters_out_of_their_ranges() {
    refused::<SgdRule>(SgdOptions { momentum: -0.5, ..Default::default() }, &["momentum", "at least 0", "-0.5"]);
    refused::<SgdRule>(SgdOptions { weight_decay: f64::NAN, ..Default::default() }, &["weight_decay", "NaN"]);
    refused::<SgdRule>(SgdOptions { nesterov: true, ..Default::default() }, &["nesterov", "momentum 0"]);
    let both = SgdOptions { nesterov: true, momentum: 0.9, dampening: 0.1, ..Default::default() };
    refused::<SgdRule>(both, &["nesterov", "dampening 0.1"]);
    refused::<AdagradRule>(AdagradOptions { lr_decay: -1.0, ..Default::default() }, &["lr_decay", "-1"]);
    refused::<AdagradRule>(
        AdagradOptions { initial_accumulator_value: -1.0, ..Default::default() },
        &["initial_accumulator_value"],
    );
    refused::<RmsPropRule>(RmsPropOptions { alpha: -0.1, ..Default::default() }, &["alpha"]);
    refused::<RmsPropRule>(RmsPropOptions { eps: -0.1, ..Default::default() }, &["eps"]);
    refused::<AdamRule>(AdamOptions { betas: (1.0, 0.9), ..Default::default() }, &["first beta", "[0, 1)", "got 1"]);
    refused::<AdamWRule>(AdamWOptions { betas: (0.9, -0.1), ..Default::default() }, &["second beta", "-0.1"]);
    refused::<AdadeltaRule>(AdadeltaOptions { rho: 1.5, ..Default::default() }, &["rho", "[0, 1]"]);
    refused::<NAdamRule>(NAdamOptions { momentum_decay: -1.0, ..Default::default() }, &["momentum_decay"]);
    refused::<RAdamRule>(RAdamOptions { betas: (0.9, 1.0), ..Default::default() }, &["second beta"]);
    refused::<AdamaxRule>(AdamaxOptions { weight_decay: -1.0, ..Default::default() }, &["weight_decay"]);
    refused::<AsgdRule>(AsgdOptions { lambd: -1.0, ..Default::default() }, &["lambd"]);
    refused::<RpropRule>(RpropOptions { etas: (1.2, 0.5), ..Default::default() }, &["first eta", "1.2"]);
    refused::<RpropRule>(RpropOptions { step_sizes: (2.0, 1.0), ..Default::default() }, &["smallest", "largest 1"]);
    let bad = LbfgsOptions { tolerance_grad: -1.0, ..Default::default() };
    says(&Lbfgs::try_with_options(p(), 1.0, bad).err().unwrap().to_string(), &["LBFGS", "tolerance_grad"]);
}

#[test]
fn parameters_that_cannot_be_optimized() {
    for (name, make) in rules::all() {
        says(&panic_text(|| drop(make(Vec::new()))), &[name.split(' ').next().unwrap(), "no parameters"]);
        let w = p().remove(0);
        says(
            &panic_text(|| drop(make(vec![w.clone(), draw(2, &[1]), w.clone()]))),
            &["parameters 0 and 2", "one tensor"],
        );
        says(
            &panic_text(|| drop(make(vec![Tensor::zeros(&[1], DType::I64)]))),
            &["parameter 0", "floating-point leaf"],
        );
    }
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        says(&Lbfgs::try_with_options(p(), bad, Default::default()).err().unwrap().to_string(), &["learning rate"]);
    }
    let w = p().remove(0);
    let mut opt = Adam::new(vec![w.clone()], 0.1);
    says(
        &opt.try_add_param_group(ParamGroup::new(vec![w.clone()])).unwrap_err().to_string(),
        &["already", "parameter 0"],
    );
    says(&opt.try_add_param_group(ParamGroup::new(Vec::new())).unwrap_err().to_string(), &["no parameters"]);
    says(&opt.try_add_param_group(ParamGroup::new(p()).lr(-1.0)).unwrap_err().to_string(), &["learning rate", "-1"]);
    assert_eq!((opt.groups().len(), opt.parameters().len()), (1, 1));
    let twice = vec![ParamGroup::new(vec![w.clone()]), ParamGroup::new(vec![w.clone()])];
    says(&Sgd::try_with_groups(twice, 0.1, Default::default()).err().unwrap().to_string(), &["SGD", "in one group"]);
    says(&Sgd::try_with_groups(Vec::new(), 0.1, Default::default()).err().unwrap().to_string(), &["no parameters"]);
    says(&opt.try_set_options(1, AdamOptions::default()).unwrap_err().to_string(), &["no group 1"]);
    says(&opt.groups()[0].try_set_momentum(1.0).unwrap_err().to_string(), &["first beta"]);
    let plain = Adagrad::new(p(), 0.1);
    says(
        &plain.groups()[0].try_set_momentum(0.5).unwrap_err().to_string(),
        &["Adagrad", "neither a momentum nor betas"],
    );
}

/// The value with another one in its place.
fn with(value: &Value, path: &[&str], new: &Value) -> Value {
    let Some((key, rest)) = path.split_first() else { return new.clone() };
    match value {
        Value::Dict(entries) => Value::Dict(
            entries
                .iter()
                .map(|(k, v)| {
                    let is = match k {
                        Value::Str(s) => s == key,
                        Value::Int(n) => n.to_string() == *key,
                        _ => false,
                    };
                    (k.clone(), if is { with(v, rest, new) } else { v.clone() })
                })
                .collect(),
        ),
        Value::List(list) => Value::List(
            list.iter()
                .enumerate()
                .map(|(i, v)| if i.to_string() == *key { with(v, rest, new) } else { v.clone() })
                .collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn state_dicts_that_do_not_fit_change_nothing() {
    let w = vec![draw(1, &[2, 3]).requires_grad(), draw(2, &[4]).requires_grad()];
    let opt = Adam::new(w.clone(), 0.1);
    let gradients = || w.iter().for_each(|w| w.set_grad(Some(w.detach().copy())));
    gradients();
    opt.step();
    let good = opt.state_dict().copy();
    gradients();
    opt.step();
    let everything = || {
        let mut all: Vec<Tensor> = opt.state().iter().map(|(_, t)| copy(t)).collect();
        all.extend(w.iter().map(copy));
        all.push(copy(opt.lr()));
        all
    };
    let before = everything();
    let one = Sgd::new(p(), 0.1).state_dict();
    let tensor = |shape: &[usize]| Value::Tensor(draw(3, shape));
    let bad: Vec<(Value, &[&str])> = vec![
        (Value::None, &["param_groups"]),
        (Value::dict([("state", Value::Dict(Vec::new()))]), &["param_groups"]),
        (with(&good, &["state"], &Value::None), &["dictionary state"]),
        (with(&good, &["param_groups"], &Value::List(Vec::new())), &["0 parameter groups", "1"]),
        (one, &["1 parameters", "2"]),
        (with(&good, &["param_groups", "0", "lr"], &Value::from("fast")), &["learning rate"]),
        (with(&good, &["param_groups", "0", "eps"], &Value::Float(-1.0)), &["eps", "-1"]),
        (
            with(&good, &["param_groups", "0", "betas"], &Value::List(vec![Value::Float(0.9)])),
            &["betas", "two numbers"],
        ),
        (with(&good, &["param_groups", "0", "betas"], &Value::Tuple(vec![1.0.into(), 0.5.into()])), &["first beta"]),
        (with(&good, &["param_groups", "0", "amsgrad"], &Value::Bool(true)), &["max_exp_avg_sq"]),
        (with(&good, &["state", "1", "exp_avg"], &tensor(&[5])), &["exp_avg", "parameter 1", "[5]", "[4]"]),
        (with(&good, &["state", "1", "exp_avg_sq"], &Value::None), &["exp_avg_sq", "parameter 1"]),
        (with(&good, &["state", "0", "step"], &Value::from("one")), &["step"]),
        (with(&good, &["state", "0", "step"], &Value::Float(-1.0)), &["step"]),
    ];
    for (value, needles) in bad {
        let error = opt.load_state_dict(&value).unwrap_err().to_string();
        says(&error, needles);
        says(&error, &["Adam", "nothing was changed"]);
        assert_all_same(&error, &before, &everything());
    }
    opt.load_state_dict(&good).unwrap();
    let lbfgs = Lbfgs::new(w.clone(), 1.0);
    says(&lbfgs.load_state_dict(&Value::None).unwrap_err().to_string(), &["LBFGS", "nothing was changed"]);
}

#[test]
fn schedules_that_are_none() {
    let opt = Sgd::with_options(p(), 0.1, SgdOptions { momentum: 0.9, ..Default::default() });
    let plain = Adagrad::new(p(), 0.1);
    let text = |result: Option<allotrope::Error>| result.expect("it is refused").to_string();
    says(&text(StepLr::try_new(&opt, 0, 0.1).err()), &["StepLR", "step_size", "0"]);
    says(&text(StepLr::try_new(&opt, 1, f64::NAN).err()), &["StepLR", "gamma", "NaN"]);
    says(&text(MultiStepLr::try_new(&opt, &[1], f64::INFINITY).err()), &["MultiStepLR", "gamma"]);
    says(&text(ConstantLr::try_new(&opt, 1.5, 3).err()), &["ConstantLR", "factor", "1.5"]);
    says(&text(LinearLr::try_new(&opt, 0.0, 1.0, 3).err()), &["LinearLR", "start_factor", "0"]);
    says(&text(LinearLr::try_new(&opt, 0.5, 1.5, 3).err()), &["LinearLR", "end_factor", "1.5"]);
    says(&text(ExponentialLr::try_new(&opt, f64::NAN).err()), &["ExponentialLR", "gamma"]);
    says(&text(PolynomialLr::try_new(&opt, 0, 1.0).err()), &["PolynomialLR", "total_iters"]);
    says(&text(CosineAnnealingLr::try_new(&opt, 0, 0.0).err()), &["CosineAnnealingLR", "t_max"]);
    says(&text(CosineAnnealingWarmRestarts::try_new(&opt, 3, 0, 0.0).err()), &["WarmRestarts", "t_mult"]);
    says(&text(OneCycleLr::try_new(&opt, 0.1, 0).err()), &["OneCycleLR", "total_steps"]);
    says(&text(OneCycleLr::try_new(&opt, vec![0.1, 0.2], 9).err()), &["max_lr", "2 values", "1 parameter groups"]);
    says(&text(OneCycleLr::try_new(&plain, 0.1, 9).err()), &["neither a momentum nor betas", "cycle_momentum"]);
    let options = OneCycleOptions { pct_start: 1.5, ..Default::default() };
    says(&text(OneCycleLr::try_with_options(&opt, 0.1, 9, options).err()), &["pct_start", "1.5"]);
    says(&text(CyclicLr::try_new(&plain, 0.1, 0.2).err()), &["CyclicLR", "neither"]);
    let options = CyclicOptions { step_size_up: 0, ..Default::default() };
    says(&text(CyclicLr::try_with_options(&opt, 0.1, 0.2, options).err()), &["step sizes", "0 up"]);
    let options = PlateauOptions { factor: 1.0, ..Default::default() };
    says(&text(ReduceLrOnPlateau::try_new(&opt, options).err()), &["factor", "below 1"]);
    let options = PlateauOptions { min_lr: vec![0.1, 0.2].into(), ..Default::default() };
    says(&text(ReduceLrOnPlateau::try_new(&opt, options).err()), &["min_lr", "2 values"]);
    let none: Vec<Factor> = Vec::new();
    says(&text(LambdaLr::try_with_each(&opt, none).err()), &["LambdaLR", "0 functions", "1 parameter groups"]);
    says(&text(ExponentialLr::try_new(Start::after(&opt, 3), 0.5).err()), &["initial_lr", "epoch 3"]);
    says(&text(SequentialLr::try_new(&opt, Vec::new(), &[]).err()), &["no schedulers"]);
    says(&text(ChainedScheduler::try_new(Vec::new()).err()), &["no schedulers"]);
    // Nothing of this left a trace in the groups.
    assert_eq!((opt.lr().item::<f64>(), opt.groups()[0].momentum()), (0.1, Some(0.9)));
    assert_eq!(plain.lr().item::<f64>(), 0.1);
    let part = || -> Box<dyn Scheduler> { Box::new(ExponentialLr::new(&opt, 0.5)) };
    says(&text(SequentialLr::try_new(&opt, vec![part()], &[3]).err()), &["1 schedulers", "0 milestones", "got 1"]);
    says(&text(SequentialLr::try_new(&plain, vec![part()], &[]).err()), &["another optimizer"]);
    let mut s = StepLr::new(&opt, 2, 0.5);
    says(&s.load_state_dict(&Value::None).unwrap_err().to_string(), &["StepLR", "dictionary"]);
    let other = ExponentialLr::new(&opt, 0.5).state_dict();
    says(&s.load_state_dict(&other).unwrap_err().to_string(), &["step_size", "nothing was changed"]);
    assert!(s.try_step_to(-1).is_err());
    let ends = ConstantLr::new(&opt, 0.0, 1).try_step().unwrap_err().to_string();
    says(&ends, &["ConstantLR", "epoch 1"]);
}

//! Runs the cases of the learning rate schedulers: rates and momentum before and after each step, beside a traced step that
//! follows them.

use crate::Outcome;
use allotrope::optim::scheduler::*;
use allotrope::optim::{Adam, Optimizer, Sgd, SgdOptions};
use allotrope::prelude::*;
use serde_json::Value;
use std::path::Path;

/// All cases, a class at a time.
pub fn run(folder: &Path) -> Vec<Outcome> {
    let text = std::fs::read_to_string(folder.join("schedulers.json")).expect("the corpus is there");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("cases");
    let mut all: Vec<Outcome> = Vec::new();
    for case in &cases {
        let class = format!("schedulers.{}", case["scheduler"].as_str().expect("a name"));
        let i = all.iter().position(|o| o.class == class).unwrap_or_else(|| {
            all.push(Outcome { class, passed: 0, failed: Vec::new() });
            all.len() - 1
        });
        match one(case) {
            Ok(()) => all[i].passed += 1,
            Err(why) => all[i].failed.push(format!("{}: {why}", case["id"])),
        }
    }
    all
}

/// A scheduler, with or without a metric.
enum Any {
    Plain(Box<dyn Scheduler>),
    Plateau(ReduceLrOnPlateau),
}

/// The keyword arguments of a scheduler.
struct Arguments<'a>(&'a Value);

impl Arguments<'_> {
    fn number(&self, name: &str, default: f64) -> f64 {
        let v = &self.0[name];
        v.as_f64().or_else(|| v["float"].as_f64()).or_else(|| v["int"].as_f64()).unwrap_or(default)
    }
    fn size(&self, name: &str, default: usize) -> usize {
        self.number(name, default as f64) as usize
    }
    fn flag(&self, name: &str, default: bool) -> bool {
        self.0[name].as_bool().or_else(|| self.0[name]["bool"].as_bool()).unwrap_or(default)
    }
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().or_else(|| self.0[name]["str"].as_str()).unwrap_or("")
    }
    fn per_group(&self, name: &str, default: f64) -> PerGroup {
        match self.0[name].as_array() {
            Some(all) => PerGroup::Each(all.iter().filter_map(Value::as_f64).collect()),
            None => PerGroup::All(self.number(name, default)),
        }
    }
    fn sizes(&self, name: &str) -> Vec<usize> {
        self.0[name].as_array().expect("a list").iter().map(|v| v.as_u64().expect("a size") as usize).collect()
    }
}

/// The schedulers that another one is made of.
fn parts(a: &Arguments<'_>, opt: &dyn Optimizer) -> Vec<Box<dyn Scheduler>> {
    let all = a.0["schedulers"].as_array().expect("schedulers").iter();
    let build =
        |part: &Value| match build(part["scheduler"].as_str().expect("a name"), &Arguments(&part["kwargs"]), opt) {
            Any::Plain(s) => s,
            Any::Plateau(_) => panic!("it needs a metric"),
        };
    all.map(build).collect()
}

fn build(name: &str, a: &Arguments<'_>, opt: &dyn Optimizer) -> Any {
    Any::Plain(match name {
        "LambdaLR" => {
            let base = a.number("base", 1.0);
            Box::new(LambdaLr::new(opt, move |epoch| base.powf(epoch as f64)))
        }
        "MultiplicativeLR" => {
            let base = a.number("base", 1.0);
            Box::new(MultiplicativeLr::new(opt, move |_| base))
        }
        "SequentialLR" => Box::new(SequentialLr::new(opt, parts(a, opt), &a.sizes("milestones"))),
        "ChainedScheduler" => Box::new(ChainedScheduler::new(parts(a, opt))),
        "StepLR" => Box::new(StepLr::new(opt, a.size("step_size", 0), a.number("gamma", 0.1))),
        "MultiStepLR" => Box::new(MultiStepLr::new(opt, &a.sizes("milestones"), a.number("gamma", 0.1))),
        "ConstantLR" => Box::new(ConstantLr::new(opt, a.number("factor", 1.0 / 3.0), a.size("total_iters", 5))),
        "LinearLR" => {
            let (from, to) = (a.number("start_factor", 1.0 / 3.0), a.number("end_factor", 1.0));
            Box::new(LinearLr::new(opt, from, to, a.size("total_iters", 5)))
        }
        "ExponentialLR" => Box::new(ExponentialLr::new(opt, a.number("gamma", 0.1))),
        "PolynomialLR" => Box::new(PolynomialLr::new(opt, a.size("total_iters", 5), a.number("power", 1.0))),
        "CosineAnnealingLR" => Box::new(CosineAnnealingLr::new(opt, a.size("T_max", 0), a.number("eta_min", 0.0))),
        "CosineAnnealingWarmRestarts" => {
            let (first, by) = (a.size("T_0", 0), a.size("T_mult", 1));
            Box::new(CosineAnnealingWarmRestarts::new(opt, first, by, a.number("eta_min", 0.0)))
        }
        "OneCycleLR" => {
            let total = a.size("epochs", 0) * a.size("steps_per_epoch", 0);
            let options = OneCycleOptions {
                pct_start: a.number("pct_start", 0.3),
                anneal_strategy: if a.text("anneal_strategy") == "linear" { Anneal::Linear } else { Anneal::Cos },
                cycle_momentum: a.flag("cycle_momentum", true),
                base_momentum: a.per_group("base_momentum", 0.85),
                max_momentum: a.per_group("max_momentum", 0.95),
                div_factor: a.number("div_factor", 25.0),
                final_div_factor: a.number("final_div_factor", 1e4),
                three_phase: a.flag("three_phase", false),
            };
            Box::new(OneCycleLr::with_options(opt, a.per_group("max_lr", 0.0), a.size("total_steps", total), options))
        }
        "CyclicLR" => {
            let up = a.size("step_size_up", 2000);
            let options = CyclicOptions {
                step_size_up: up,
                step_size_down: Some(a.size("step_size_down", up)),
                mode: match a.text("mode") {
                    "triangular2" => CyclicMode::Triangular2,
                    "exp_range" => CyclicMode::ExpRange,
                    _ => CyclicMode::Triangular,
                },
                gamma: a.number("gamma", 1.0),
                cycle_momentum: a.flag("cycle_momentum", true),
                base_momentum: a.per_group("base_momentum", 0.8),
                max_momentum: a.per_group("max_momentum", 0.9),
                ..Default::default()
            };
            Box::new(CyclicLr::with_options(opt, a.per_group("base_lr", 0.0), a.per_group("max_lr", 0.0), options))
        }
        "ReduceLROnPlateau" => {
            let options = PlateauOptions {
                mode: if a.text("mode") == "max" { PlateauMode::Max } else { PlateauMode::Min },
                factor: a.number("factor", 0.1),
                patience: a.size("patience", 10),
                threshold: a.number("threshold", 1e-4),
                threshold_mode: if a.text("threshold_mode") == "abs" { ThresholdMode::Abs } else { ThresholdMode::Rel },
                cooldown: a.size("cooldown", 0),
                min_lr: a.per_group("min_lr", 0.0),
                eps: a.number("eps", 1e-8),
            };
            return Any::Plateau(ReduceLrOnPlateau::new(opt, options));
        }
        other => panic!("nobody builds the scheduler {other}"),
    })
}

fn one(case: &Value) -> Result<(), String> {
    let w = Tensor::zeros(&[1], DType::F32).requires_grad();
    let options = SgdOptions { momentum: 0.9, ..Default::default() };
    let is_sgd = case["optimizer"].as_str().is_none_or(|name| name == "SGD");
    let opt: Box<dyn Optimizer> = match is_sgd {
        true => Box::new(Sgd::with_options(vec![w.clone()], 0.1, options)),
        false => Box::new(Adam::new(vec![w.clone()], 0.1)),
    };
    let mut scheduler = build(case["scheduler"].as_str().expect("a name"), &Arguments(&case["kwargs"]), &*opt);
    w.set_grad(Some(Tensor::ones(&[1], DType::F32)));
    let step = trace(|| opt.step());
    let list = |name: &str| case[name].as_array().expect("a list").clone();
    let (rates, momenta) = (list("lr"), list("momentum"));
    // The same steps of SGD by hand, with what the case says.
    let (mut p, mut v) = (0f32, 0f32);
    for (i, (lr, momentum)) in rates.iter().zip(&momenta).enumerate() {
        let (lr, momentum) = (lr.as_f64().expect("a rate"), momentum.as_f64().expect("a momentum"));
        let now = opt.groups()[0].lr().item::<f64>();
        if (now - lr).abs() > 1e-12 * lr.abs().max(1.0) {
            return Err(format!("before step {i} the rate is {now:e}, wanted {lr:e}"));
        }
        let now = opt.groups()[0].momentum().expect("both have one");
        if (now - momentum).abs() > 1e-12 {
            return Err(format!("before step {i} the momentum is {now}, wanted {momentum}"));
        }
        if i + 1 == rates.len() {
            break;
        }
        step.call(()).map_err(|e| e.to_string())?;
        v = v * momentum as f32 + 1.0;
        p -= v * lr as f32;
        let traced = w.detach().item::<f32>();
        if is_sgd && (traced - p).abs() > 1e-5 * p.abs() {
            return Err(format!("after step {i} the traced step has {traced}, wanted {p}"));
        }
        match &mut scheduler {
            Any::Plain(s) => s.try_step().map_err(|e| e.to_string())?,
            Any::Plateau(s) => s.step(case["metric"][i].as_f64().ok_or("no metric")?),
        }
    }
    match step.compilations() {
        1 => Ok(()),
        n => Err(format!("the step was compiled {n} times")),
    }
}

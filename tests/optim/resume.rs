//! A run that is interrupted and goes on from a state dict leaves the bits of one that is not, in both modes.

use crate::common::{assert_all_same, copy, draw};
use crate::rules;
use allotrope::optim::*;
use allotrope::prelude::*;
use allotrope::state::Value;

/// Two parameters, of which the second has no gradient in some steps.
fn fresh(dtype: DType) -> Vec<Tensor> {
    [draw(1, &[3, 2]), draw(2, &[4])].map(|t| t.to(dtype).requires_grad()).to_vec()
}

fn gradients(p: &[Tensor], step: usize) {
    p[0].set_grad(Some(draw(100 + step as u64, &[3, 2]).to(p[0].dtype())));
    p[1].set_grad((step % 4 != 1).then(|| draw(200 + step as u64, &[4]).to(p[1].dtype())));
}

/// Parameters and state.
fn left(p: &[Tensor], opt: &dyn Optimizer) -> Vec<Tensor> {
    let mut all: Vec<Tensor> = p.iter().map(copy).collect();
    collect(&opt.state_dict(), &mut all);
    all
}

fn collect(value: &Value, all: &mut Vec<Tensor>) {
    match value {
        Value::Tensor(t) => all.push(copy(t)),
        Value::List(list) | Value::Tuple(list) => list.iter().for_each(|v| collect(v, all)),
        Value::Dict(entries) => entries.iter().for_each(|(_, v)| collect(v, all)),
        Value::Float(x) => all.push(Tensor::scalar(*x)),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Str(_) => {}
    }
}

fn run(opt: &dyn Optimizer, p: &[Tensor], steps: std::ops::Range<usize>, traced: bool) {
    let step = trace(|| opt.step());
    for i in steps {
        gradients(p, i);
        match traced {
            true => step.call(()).unwrap(),
            false => opt.step(),
        }
    }
}

#[test]
fn every_optimizer_goes_on_to_the_same_bits_in_both_modes() {
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
        for (name, make) in rules::all() {
            let p = fresh(dtype);
            let opt = make(p.clone());
            run(&*opt, &p, 0..9, false);
            let whole = left(&p, &*opt);
            for traced in [false, true] {
                let p = fresh(dtype);
                let opt = make(p.clone());
                run(&*opt, &p, 0..5, traced);
                let saved = opt.state_dict().copy();
                // Another optimizer, which has taken steps of its own and is compiled already, goes on.
                let q: Vec<Tensor> = p.iter().map(|p| copy(p).requires_grad()).collect();
                let other = make(q.clone());
                run(&*other, &q, 20..23, traced);
                no_grad(|| q.iter().zip(&p).for_each(|(q, p)| _ = q.copy_(p)));
                other.load_state_dict(&saved).unwrap();
                run(&*other, &q, 5..9, traced);
                assert_all_same(&format!("{name} {dtype} traced {traced}"), &left(&q, &*other), &whole);
            }
        }
    }
}

#[test]
fn compiled_steps_go_on_with_what_was_loaded() {
    for (name, make) in rules::all() {
        let (p, q) = (fresh(DType::F32), fresh(DType::F32));
        let (opt, twin) = (make(p.clone()), make(q.clone()));
        let step = trace(|| opt.step());
        for i in [0, 2] {
            gradients(&p, i);
            step.call(()).unwrap();
        }
        let (saved, weights) = (opt.state_dict().copy(), p.iter().map(copy).collect::<Vec<Tensor>>());
        gradients(&p, 3);
        step.call(()).unwrap();
        opt.load_state_dict(&saved).unwrap();
        twin.load_state_dict(&saved).unwrap();
        no_grad(|| p.iter().chain(&q).zip(weights.iter().chain(&weights)).for_each(|(p, w)| _ = p.copy_(w)));
        gradients(&p, 4);
        gradients(&q, 4);
        step.call(()).unwrap();
        twin.step();
        assert_all_same(name, &left(&p, &*opt), &left(&q, &*twin));
        assert_eq!(step.compilations(), 1, "{name}");
    }
}

#[test]
fn lbfgs_goes_on() {
    let (a, b) = (draw(1, &[8, 3]), draw(2, &[8]));
    let search = LbfgsOptions { line_search_fn: Some(LineSearch::StrongWolfe), max_iter: 3, ..Default::default() };
    for options in [LbfgsOptions { max_iter: 3, ..Default::default() }, search] {
        let step = |w: &Tensor, opt: &Lbfgs| {
            opt.step_with(&mut || {
                opt.zero_grad();
                let loss = (a.matmul(w) - &b).square().mean() + w.abs().sum() * 0.01;
                loss.backward();
                loss
            })
        };
        let w = Tensor::zeros(&[3], DType::F32).requires_grad();
        let opt = Lbfgs::with_options(vec![w.clone()], 0.5, options);
        step(&w, &opt);
        let v = copy(&w).requires_grad();
        let other = Lbfgs::new(vec![v.clone()], 1.0);
        other.load_state_dict(&opt.state_dict().copy()).unwrap();
        assert_eq!(other.options(), options);
        for _ in 0..2 {
            assert_all_same("loss", &[step(&w, &opt)], &[step(&v, &other)]);
            assert_all_same("weights", &[w.detach()], &[v.detach()]);
        }
    }
}

/// What is not saved for a parameter that never had a gradient begins anew.
#[test]
fn parameters_without_a_gradient_have_no_state() {
    let p = fresh(DType::F32);
    let opt = Adam::new(p.clone(), 0.1);
    p[0].set_grad(Some(draw(1, &[3, 2])));
    opt.step();
    let saved = opt.state_dict().copy();
    let state = saved.get("state").unwrap();
    assert!(state.at(0).is_some() && state.at(1).is_none());
    gradients(&p, 2);
    opt.step();
    opt.load_state_dict(&saved).unwrap();
    assert!(opt.state_dict().get("state").unwrap().at(1).is_none());
    assert!(opt.state().iter().any(|(name, t)| name == "1.exp_avg" && t.to_vec::<f32>() == [0.0; 4]));
}

#[test]
fn schedulers_go_on() {
    use scheduler::*;
    type Make = fn(&Sgd) -> Box<dyn Scheduler>;
    let makes: [Make; 7] = [
        |o| Box::new(StepLr::new(o, 3, 0.5)),
        |o| Box::new(MultiStepLr::new(o, &[2, 9], 0.5)),
        |o| Box::new(CosineAnnealingWarmRestarts::new(o, 3, 2, 0.0)),
        |o| Box::new(OneCycleLr::new(o, 0.5, 20)),
        |o| Box::new(CyclicLr::with_options(o, 0.1, 0.5, CyclicOptions { step_size_up: 3, ..Default::default() })),
        |o| {
            let parts: Vec<Box<dyn Scheduler>> =
                vec![Box::new(LinearLr::new(o, 0.1, 1.0, 4)), Box::new(ExponentialLr::new(o, 0.9))];
            Box::new(SequentialLr::new(o, parts, &[6]))
        },
        |o| {
            let parts: Vec<Box<dyn Scheduler>> =
                vec![Box::new(ConstantLr::new(o, 0.1, 4)), Box::new(PolynomialLr::new(o, 12, 2.0))];
            Box::new(ChainedScheduler::new(parts))
        },
    ];
    for (i, make) in makes.into_iter().enumerate() {
        let new = || Sgd::with_options(fresh(DType::F32), 0.1, SgdOptions { momentum: 0.9, ..Default::default() });
        let opt = new();
        let mut scheduler = make(&opt);
        (0..7).for_each(|_| scheduler.step());
        let saved = (opt.state_dict().copy(), scheduler.state_dict());
        let other = new();
        let mut twin = make(&other);
        other.load_state_dict(&saved.0).unwrap();
        twin.load_state_dict(&saved.1).unwrap();
        for _ in 0..6 {
            assert_eq!(opt.groups()[0].lr().item::<f64>(), other.groups()[0].lr().item::<f64>(), "scheduler {i}");
            assert_eq!(opt.groups()[0].momentum(), other.groups()[0].momentum(), "scheduler {i}");
            scheduler.step();
            twin.step();
            assert_eq!(scheduler.get_last_lr(), twin.get_last_lr(), "scheduler {i}");
        }
    }
}

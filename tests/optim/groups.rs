//! Parameter groups: each has its own learning rate and hyperparameters, as separate optimizers would have.

use crate::common::{assert_all_same, copy, draw};
use allotrope::optim::*;
use allotrope::prelude::*;

fn fresh() -> Vec<Tensor> {
    (0..3).map(|i| draw(i, &[3]).requires_grad()).collect()
}

fn gradients(p: &[Tensor], step: u64) {
    p.iter().enumerate().for_each(|(i, p)| p.set_grad(Some(draw(10 * step + i as u64, &[3]))));
}

const DECAY: AdamOptions = AdamOptions {
    betas: (0.8, 0.9),
    eps: 1e-8,
    weight_decay: 0.1,
    amsgrad: true,
    maximize: false,
    decoupled_weight_decay: false,
};

#[test]
fn groups_are_as_optimizers_of_their_own() {
    for traced in [false, true] {
        let (p, q) = (fresh(), fresh());
        let groups = vec![ParamGroup::new(p[..1].to_vec()).lr(0.5), ParamGroup::new(p[1..2].to_vec()).options(DECAY)];
        let mut opt = Adam::with_groups(groups, 0.01, AdamOptions::default());
        opt.add_param_group(ParamGroup::new(p[2..].to_vec()));
        let alone = [
            Adam::new(q[..1].to_vec(), 0.5),
            Adam::with_options(q[1..2].to_vec(), 0.01, DECAY),
            Adam::new(q[2..].to_vec(), 0.01),
        ];
        assert_eq!(opt.parameters().len(), 3);
        assert_eq!(opt.options(1), DECAY);
        let step = trace(|| opt.step());
        for i in 0..6 {
            if i == 3 {
                opt.groups()[1].set_lr(0.2);
                alone[1].set_lr(0.2);
            }
            gradients(&p, i);
            gradients(&q, i);
            match traced {
                true => step.call(()).unwrap(),
                false => opt.step(),
            }
            alone.iter().for_each(|o| o.step());
            let now = |all: &[Tensor]| all.iter().map(copy).collect::<Vec<Tensor>>();
            assert_all_same(&format!("step {i}, traced {traced}"), &now(&p), &now(&q));
        }
        assert_eq!(step.compilations(), traced as usize);
    }
}

#[test]
fn set_lr_sets_all_groups() {
    let p = fresh();
    let groups = vec![ParamGroup::new(p[..1].to_vec()).lr(0.5), ParamGroup::new(p[1..].to_vec())];
    let opt = Sgd::with_groups(groups, 0.1, SgdOptions::default());
    assert_eq!([0, 1].map(|i| opt.groups()[i].lr().item::<f64>()), [0.5, 0.1]);
    opt.set_lr(0.25);
    assert_eq!([0, 1].map(|i| opt.groups()[i].lr().item::<f64>()), [0.25, 0.25]);
}

/// Hyperparameters are constants of a compiled step, so other ones compile once more, and the first ones do not come back wrongly.
#[test]
fn other_hyperparameters_reach_a_compiled_step() {
    let (p, q) = (fresh(), fresh());
    let (opt, twin) = (Adam::new(p.clone(), 0.1), Adam::new(q.clone(), 0.1));
    let step = trace(|| opt.step());
    for i in 0..6 {
        let options = if i % 4 < 2 { AdamOptions::default() } else { DECAY };
        if i % 2 == 0 && i > 0 {
            opt.set_options(0, options);
            twin.set_options(0, options);
        }
        gradients(&p, i);
        gradients(&q, i);
        step.call(()).unwrap();
        twin.step();
        assert_all_same(
            &format!("step {i}"),
            &p.iter().map(copy).collect::<Vec<_>>(),
            &q.iter().map(copy).collect::<Vec<_>>(),
        );
    }
    assert_eq!(step.compilations(), 3);
}

#[test]
fn the_state_dict_has_the_groups() {
    let p = fresh();
    let groups = vec![ParamGroup::new(p[..1].to_vec()).lr(0.5), ParamGroup::new(p[1..].to_vec()).options(DECAY)];
    let opt = Adam::with_groups(groups, 0.01, AdamOptions::default());
    gradients(&p, 0);
    opt.step();
    let state = opt.state_dict();
    let saved = state.get("param_groups").unwrap().as_list().unwrap();
    let floats = |name: &str| saved.iter().map(|g| g.get(name).unwrap().as_float().unwrap()).collect::<Vec<f64>>();
    assert_eq!((floats("lr"), floats("weight_decay")), (vec![0.5, 0.01], vec![0.0, 0.1]));
    let numbers =
        |i: usize| saved[i].get("params").unwrap().as_list().unwrap().iter().filter_map(|v| v.as_int()).collect();
    let (first, second): (Vec<i64>, Vec<i64>) = (numbers(0), numbers(1));
    assert_eq!((first, second), (vec![0], vec![1, 2]));
    let names = saved[1].as_dict().unwrap().iter().filter_map(|(k, _)| k.as_str()).collect::<Vec<&str>>();
    let pytorch = "lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay params";
    assert_eq!(names.join(" "), pytorch);
    let of =
        |i: i64| state.get("state").unwrap().at(i).unwrap().as_dict().unwrap().iter().filter_map(|(k, _)| k.as_str());
    assert_eq!(of(0).collect::<Vec<_>>(), ["step", "exp_avg", "exp_avg_sq"]);
    assert_eq!(of(2).collect::<Vec<_>>(), ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]);
}

//! What ported programs write: steps and bodies of loops that return nothing, operators on tensors by value.

use allotrope::ops::{scan, while_loop};
use allotrope::prelude::{Optimizer, manual_seed, mse_loss, nn, no_grad, optim, trace, trace_dynamic};
use allotrope::{DType, Tensor};
use nn::Module;

/// A training step that returns nothing, run by `call`; the parameters afterwards.
fn trained(run: impl Fn(&dyn Fn(&Tensor, &Tensor), &Tensor, &Tensor)) -> Vec<Vec<f32>> {
    manual_seed(3);
    let model = nn::Linear::new(3, 2);
    let opt = optim::Adam::new(model.parameters(), 0.05);
    let step = |x: &Tensor, y: &Tensor| {
        opt.zero_grad();
        mse_loss(&nn::Forward::forward(&model, x), y).backward();
        opt.step();
    };
    let x = Tensor::from_vec((0..12).map(|i| i as f32 / 7.0 - 0.6).collect(), &[4, 3]);
    let y = Tensor::from_vec((0..8).map(|i| 1.0 - i as f32 / 3.0).collect(), &[4, 2]);
    run(&step, &x, &y);
    model.parameters().iter().map(|p| p.detach().to_vec()).collect()
}

#[test]
fn a_step_may_return_nothing() {
    let eager = trained(|step, x, y| (0..3).for_each(|_| step(x, y)));
    let traced = trained(|step, x, y| {
        let step = trace(|x: &Tensor, y: &Tensor| step(x, y));
        for _ in 0..3 {
            let nothing: () = step.call((x, y)).expect("a step without a result");
            assert_eq!(nothing, ());
        }
    });
    let dynamic = trained(|step, x, y| {
        let step = trace_dynamic(|x: &Tensor, y: &Tensor| step(x, y));
        (0..3).for_each(|_| step.call((x, y)).expect("a step without a result"));
    });
    assert_eq!(eager, traced);
    assert_eq!(eager, dynamic);
}

#[test]
fn a_step_without_arguments_or_results_changes_what_it_captures() {
    let x = Tensor::zeros(&[3], DType::F32);
    let step = trace(|| {
        x.add_(1.0);
    });
    (0..4).for_each(|_| step.call(()).expect("a step"));
    assert_eq!(x.to_vec::<f32>(), [4.0; 3]);
}

#[test]
fn bodies_of_loops_may_return_nothing() {
    let program = |x: &Tensor| {
        let (sum, ()) = scan(Tensor::scalar(0.0f32), x.clone(), |sum: Tensor, x: Tensor| (sum + x, ()));
        let sum = while_loop(|s: Tensor| s.lt(20.0), |s: Tensor| s * 2.0, sum);
        no_grad(|| sum * 1.0)
    };
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
    let eager = program(&x).item::<f32>();
    assert_eq!(eager, 24.0);
    assert_eq!(trace(program).call(&x).expect("a loop").item::<f32>(), eager);
}

#[test]
fn operators_take_tensors_by_value_and_by_reference() {
    let t = || Tensor::from_vec(vec![6.0f32, 7.0], &[2]);
    let (x, y) = (t(), &t());
    let all = [
        x.clone() + t(),
        &x + t(),
        x.clone() + y,
        &x + y,
        x.clone() - y,
        &x - t(),
        x.clone() * 2.0,
        &x * 2.0,
        2.0 * x.clone(),
        2.0 * &x,
        2 * &x,
        x.clone() / y,
        &x / 2,
        1.0 / x.clone(),
        x.clone() % 4,
        &x % y,
        7.0 - x.clone(),
        -x.clone(),
        -&x,
        (x.clone() + y) * (y - 1.0) / 2.0,
    ];
    let first: Vec<f32> = all.iter().map(|t| t.to_vec::<f32>()[0]).collect();
    let wanted = [
        12.0,
        12.0,
        12.0,
        12.0,
        0.0,
        0.0,
        12.0,
        12.0,
        12.0,
        12.0,
        12.0,
        1.0,
        3.0,
        1.0 / 6.0,
        2.0,
        0.0,
        1.0,
        -6.0,
        -6.0,
        30.0,
    ];
    assert_eq!(first, wanted);
    let mut z = t();
    z += y;
    z -= 1.0;
    z *= t();
    z /= 2;
    z %= 30;
    assert_eq!(z.to_vec::<f32>(), [3.0, 15.5]);
    let mut bits = Tensor::from_vec(vec![5i64, 6], &[2]);
    bits ^= 3;
    bits ^= bits.copy();
    bits |= 4;
    assert_eq!(bits.to_vec::<i64>(), [4, 4]);
}

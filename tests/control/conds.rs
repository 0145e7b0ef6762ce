//! `cond` alone.

use crate::common::{bits, copy, draw, numbers};
use crate::{Both, leaf, repeat, scalar, vector, with_gradients};
use allotrope::prelude::*;

fn flag(on: bool) -> Tensor {
    Tensor::scalar(on)
}

#[test]
fn one_branch_is_taken() {
    let mut choose = Both::new(|a: &[Tensor]| {
        let (y, n) = cond(
            &a[0],
            |x: Tensor| (&x * 2.0, Tensor::scalar(1i64)),
            |x: Tensor| (x.sin(), x.gt(0.0).to(DType::I64).sum()),
            a[1].clone(),
        );
        vec![y, n]
    });
    let x = vector(&[0.5, -1.0, 2.0]);
    for _ in 0..2 {
        let out = choose.run(&[flag(true), x.clone()]);
        assert_eq!((out[0].to_vec::<f32>(), out[1].item::<i64>()), (vec![1.0, -2.0, 4.0], 1));
        let out = choose.run(&[flag(false), x.clone()]);
        assert_eq!((out[0].to_vec::<f32>(), out[1].item::<i64>()), (x.sin().to_vec::<f32>(), 2));
    }
    choose.run(&[Tensor::from_vec(vec![true], &[1, 1]).reshape(&[]), vector(&[1.0; 7])]);
    assert_eq!(choose.compilations(), 1);
}

#[test]
fn gradients_are_those_of_the_branch_taken_and_zeros_otherwise() {
    let mut choose = Both::new(|a: &[Tensor]| {
        let [pred, x, v, w] = a else { unreachable!() };
        // v is used in the first branch, w in the second, x in both.
        let y = cond(pred, |x: Tensor| &x * v, |x: Tensor| (&x * w).exp(), x.clone());
        with_gradients(&(&y * 2.0), &[x, v, w])
    });
    let args = |on| [flag(on), leaf(vector(&[1.0, 2.0])), leaf(vector(&[3.0, 4.0])), leaf(vector(&[0.5, -0.5]))];
    let nothing = [u64::from((-0.0f32).to_bits()); 2];
    let out = choose.run(&args(true));
    assert_eq!(out[1].to_vec::<f32>(), [6.0, 8.0]);
    assert_eq!(out[2].to_vec::<f32>(), [2.0, 4.0]);
    assert_eq!(bits(&out[3]), nothing);
    let out = choose.run(&args(false));
    assert_eq!(bits(&out[2]), nothing);
    let want = [2.0 * 0.5f64.exp(), 4.0 * (-1.0f64).exp()];
    for (got, want) in numbers(&out[3]).into_iter().zip(want) {
        assert!((got - want).abs() < 1e-6, "{got} against {want}");
    }
    assert_eq!(choose.compilations(), 1);
}

/// A branch that would give NaN, infinities, an index out of range, or that would never end.
#[test]
fn nothing_is_seen_of_the_branch_not_taken() {
    let mut safe = Both::new(|a: &[Tensor]| {
        let [x, table, i] = a else { unreachable!() };
        let y = cond(&x.gt(0.0).all(), |x: Tensor| x.log().sqrt() / (&x - 1.0), |x: Tensor| &x * 3.0, x.clone());
        let z = cond(&i.lt(3), |i: Tensor| table.take(&i), |_| Tensor::scalar(-1.0f32), i.clone());
        let w = cond(&i.lt(3), |x: Tensor| &x + 1.0, |x: Tensor| while_loop(|x| x.eq(&x).any(), |x| x, x), x.clone());
        with_gradients(&(y.sum() + z + w.sum()), &[x, table])
    });
    let table = || leaf(vector(&[10.0, 20.0, 30.0]));
    let nan = |x: &Tensor| numbers(x).iter().any(|x| x.is_nan());
    let out = safe.run(&[leaf(vector(&[-1.0, 2.0])), table(), Tensor::scalar(1i64)]);
    assert!(out.iter().all(|t| !nan(t)), "{out:?}");
    assert_eq!(out[1].to_vec::<f32>(), [4.0, 4.0]);
    assert_eq!(out[2].to_vec::<f32>(), [0.0, 1.0, 0.0]);
    let out = safe.run(&[leaf(vector(&[4.0, 2.0])), table(), Tensor::scalar(2i64)]);
    assert!(out.iter().all(|t| !nan(t)));
    assert_eq!(safe.compilations(), 1);
}

#[test]
fn parameters_of_one_branch_train_alike_in_both_modes() {
    let train = |traced: bool| {
        let (a, b) = (leaf(draw(1, &[3, 3])), leaf(draw(2, &[3, 3])));
        let opt = optim::Adam::new(vec![a.clone(), b.clone()], 0.05);
        let step = {
            let (a, b) = (a.clone(), b.clone());
            move |x: &Tensor, y: &Tensor| {
                let out = cond(&x.sum().gt(0.0), |x: Tensor| x.matmul(&a), |x: Tensor| x.matmul(&b).tanh(), x.clone());
                let loss = mse_loss(&out, y);
                opt.zero_grad();
                loss.backward();
                opt.step();
                loss.detach()
            }
        };
        let data = |i: u64| (draw(100 + i, &[1 + i as usize % 4, 3]), draw(200 + i, &[1 + i as usize % 4, 3]));
        let losses: Vec<Tensor> = if traced {
            let step = trace(step);
            let losses = (0..24).map(|i| step.call((&data(i).0, &data(i).1)).unwrap()).collect();
            assert_eq!(step.compilations(), 1);
            losses
        } else {
            (0..24).map(|i| step(&data(i).0, &data(i).1)).collect()
        };
        [losses, vec![a.detach(), b.detach()]].concat()
    };
    crate::assert_all_same("training", &train(false), &train(true));
}

#[test]
fn branches_give_operands_views_and_what_is_outside() {
    let outside = vector(&[7.0, 8.0, 9.0, 10.0]);
    let mut give = Both::new({
        let outside = outside.clone();
        move |a: &[Tensor]| {
            let [pred, x] = a else { unreachable!() };
            let (p, q, r) = cond(
                pred,
                |x: Tensor| (x.clone(), x.t().reshape(&[4]), outside.clone()),
                |x: Tensor| (x.t(), outside.flip(&[0]), x.reshape(&[4])),
                x.clone(),
            );
            // What a branch gives is a tensor of its own.
            p.mul_(2.0);
            q.add_(1.0);
            r.zero_();
            vec![p, q, r, x + 0.0, &outside + 0.0]
        }
    });
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    for on in [true, false] {
        let out = give.run(&[flag(on), copy(&x)]);
        assert_eq!(out[3].to_vec::<f32>(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(out[4].to_vec::<f32>(), [7.0, 8.0, 9.0, 10.0]);
        let (p, q) = if on {
            ([2.0, 4.0, 6.0, 8.0], [2.0, 4.0, 3.0, 5.0])
        } else {
            ([2.0, 6.0, 4.0, 8.0], [11.0, 10.0, 9.0, 8.0])
        };
        assert_eq!((out[0].to_vec::<f32>(), out[1].to_vec::<f32>()), (p.to_vec(), q.to_vec()));
    }
}

#[test]
fn eager_branches_may_draw_and_read_where_no_gradient_is_wanted() {
    let x = vector(&[1.0, 2.0]);
    let y = no_grad(|| {
        cond(&flag(true), |x: Tensor| &x * f64::from(x.sum().item::<f32>()), |_| unreachable!("not taken"), x.clone())
    });
    assert_eq!(y.to_vec::<f32>(), [3.0, 6.0]);
    // With gradients the branch that is not taken may draw: nothing is drawn for it.
    let _drawing = crate::common::seeded(3);
    let first = rand(&[2]);
    manual_seed(3);
    let y = cond(&flag(false), |x: Tensor| &x * rand(&[2]), |x: Tensor| &x * 1.0, x);
    assert_eq!(y.to_vec::<f32>(), [1.0, 2.0]);
    assert_eq!(rand(&[2]).to_vec::<f32>(), first.to_vec::<f32>());
}

/// Only one of them runs: a branch of ten thousand steps costs nothing where it is not taken.
#[test]
fn the_branch_not_taken_is_not_computed() {
    let slow = trace(|pred: &Tensor, x: &Tensor| {
        cond(
            pred,
            |x: Tensor| repeat(&Tensor::scalar(2_000i64), x, |x| x.matmul(&x).tanh()),
            |x: Tensor| &x + 1.0,
            x.clone(),
        )
    });
    let x = draw(1, &[64, 64]);
    let time = |on: bool| {
        let start = std::time::Instant::now();
        slow.call((&flag(on), &x)).unwrap();
        start.elapsed()
    };
    time(false);
    let (long, short) = (time(true), time(false));
    assert!(short * 10 < long, "{short:?} against {long:?}");
}

#[test]
fn scalars_and_conditions_from_outside() {
    let training = flag(true);
    let mut f = Both::new({
        let training = training.clone();
        move |a: &[Tensor]| vec![cond(&training, |x: Tensor| x.mean(), |x: Tensor| x.max(), a[0].clone())]
    });
    assert_eq!(f.run(&[vector(&[1.0, 3.0])])[0].item::<f32>(), 2.0);
    training.copy_(&flag(false));
    assert_eq!(f.run(&[vector(&[1.0, 3.0])])[0].item::<f32>(), 3.0);
    assert_eq!(f.compilations(), 1);
    assert_eq!(cond(&scalar(1.0).gt(0.0), |()| (), |()| (), ()), ());
}

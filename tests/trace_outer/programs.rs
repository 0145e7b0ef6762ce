//! Models whose forward pass is traced and whose backward pass begins outside.

use crate::both::{both, both_with, grads};
use crate::common::{SinToCos, assert_all_same, copy, draw, seeded};
use allotrope::functional::BatchNormOptions;
use allotrope::prelude::*;

#[test]
fn a_product() {
    let params = [draw(1, &[3]).requires_grad()];
    both(
        "product",
        &params,
        |x, p| vec![&x[0] * &p[0]],
        |f, p| {
            let x = draw(2, &[3]).requires_grad();
            let y = f(std::slice::from_ref(&x)).remove(0);
            y.sum().backward();
            vec![y, x.grad().unwrap(), p[0].grad().unwrap()]
        },
    );
}

#[test]
fn a_perceptron() {
    let params = [
        draw(1, &[5, 8]).requires_grad(),
        draw(2, &[8]).requires_grad(),
        draw(3, &[8, 3]).requires_grad(),
        draw(4, &[3]).requires_grad(),
    ];
    both(
        "perceptron",
        &params,
        |x, p| vec![(x[0].matmul(&p[0]) + &p[1]).tanh().matmul(&p[2]) + &p[3]],
        |f, p| {
            let mut out = Vec::new();
            for n in [4usize, 7, 1] {
                let y = f(&[draw(n as u64, &[n, 5])]).remove(0);
                let loss = mse_loss(&y, &draw(9, &[n, 3]));
                loss.backward();
                out.push(loss);
                out.extend(grads(p));
            }
            out
        },
    );
}

#[test]
fn a_recurrent_network_with_its_optimizer() {
    let run = |traced: bool| -> (Vec<Tensor>, usize) {
        let model = SinToCos::new(3, 6);
        let opt = optim::Adam::new(model.parameters(), 0.02);
        let f = trace(|x: &Tensor, h: &Tensor| model.forward(x, h));
        let mut h = Tensor::zeros(&[1, 1, 6], DType::F32);
        let mut out = Vec::new();
        for (i, n) in [5usize, 9, 5, 12].into_iter().enumerate() {
            let (x, y) = (draw(i as u64, &[1, n, 1]), draw(50 + i as u64, &[1, n, 1]));
            let (prediction, next) = if traced { f.call((&x, &h)).unwrap() } else { model.forward(&x, &h) };
            let loss = mse_loss(&prediction, &y);
            opt.zero_grad();
            loss.backward();
            opt.step();
            h = next.detach();
            out.push(loss);
            out.extend(model.parameters().iter().map(copy));
        }
        (out, f.compilations())
    };
    let (eager, _) = run(false);
    let (traced, compilations) = run(true);
    assert_all_same("recurrent", &eager, &traced);
    assert_eq!(compilations, 1);
}

#[test]
fn dropout_has_one_mask_there_and_back() {
    let params = [draw(1, &[6, 6]).requires_grad()];
    both(
        "dropout",
        &params,
        |x, p| vec![functional::dropout(&x[0].matmul(&p[0]), 0.5, true).relu().matmul(&p[0])],
        |f, p| {
            let _drawing = seeded(5);
            let mut out = Vec::new();
            for i in 0..3 {
                let y = f(&[draw(i, &[4, 6])]).remove(0);
                y.square().sum().backward();
                out.extend([y, p[0].grad().unwrap(), rand(&[2])]);
            }
            out
        },
    );
}

#[test]
fn batch_norm_updates_its_statistics_in_the_call() {
    let params = [
        draw(1, &[4]).requires_grad(),
        draw(2, &[4]).requires_grad(),
        Tensor::zeros(&[4], DType::F32),
        Tensor::ones(&[4], DType::F32),
    ];
    both(
        "batch norm",
        &params,
        |x, p| {
            let how = BatchNormOptions { weight: Some(&p[0]), bias: Some(&p[1]), training: true, ..Default::default() };
            vec![functional::batch_norm(&x[0], Some(&p[2]), Some(&p[3]), how)]
        },
        |f, p| {
            let mut out = Vec::new();
            for i in 0..3 {
                let x = draw(10 + i, &[6, 4]).requires_grad();
                let y = f(std::slice::from_ref(&x)).remove(0);
                (&y * &y).sum().backward();
                out.push(x.grad().unwrap());
                out.extend(grads(&p[..2]));
                out.extend([copy(&p[2]), copy(&p[3])]);
            }
            out
        },
    );
}

#[test]
fn several_results_of_which_some_are_used() {
    let params = [draw(1, &[3, 3]).requires_grad(), draw(2, &[3]).requires_grad()];
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let a = x[0].matmul(&p[0]).tanh();
        let b = (&a * &p[1]).sigmoid();
        vec![a.clone(), b, (&a + &x[0]).exp(), a.argmax()]
    };
    for used in 1..8u32 {
        both("several results", &params, inner, |f, p| {
            let x = draw(3, &[3, 3]).requires_grad();
            let y = f(std::slice::from_ref(&x));
            assert!(!y[3].is_requires_grad());
            let mut loss = Tensor::scalar(0.0f32);
            for (i, y) in y[..3].iter().enumerate().filter(|(i, _)| used >> i & 1 == 1) {
                loss += (y * (i as f64 + 0.5)).square().sum();
            }
            loss.backward();
            let mut out = grads(p);
            out.push(x.grad().unwrap());
            out
        });
    }
}

#[test]
fn gradients_of_zeros_with_signs_are_not_made_up() {
    // Results that are not used bring nothing: a zero in their place would make -0.0 to 0.0 and infinity times it NaN.
    let params = [Tensor::from_vec(vec![-0.0f32, f32::INFINITY, -1.0], &[3]).requires_grad()];
    both(
        "signs",
        &params,
        |x, p| vec![&x[0] * &p[0], (&x[0] * &p[0]).exp() * &p[0], p[0].log()],
        |f, p| {
            let x = Tensor::from_vec(vec![0.0f32, -0.0, 3.0], &[3]).requires_grad();
            let y = f(std::slice::from_ref(&x));
            y[0].backward_from(&Tensor::from_vec(vec![-0.0f32, 0.0, -0.0], &[3]));
            vec![x.grad().unwrap(), p[0].grad().unwrap()]
        },
    );
}

#[test]
fn gradients_are_added_in_the_order_of_the_eager_program() {
    let params = [draw(1, &[40]).requires_grad(), draw(2, &[40]).requires_grad()];
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let mut y = &x[0] * &p[0];
        for i in 0..5 {
            y = (&y * &p[0]).sin() + &p[1] * (i as f64 + 0.3) + &x[0];
        }
        vec![y]
    };
    both("order", &params, inner, |f, p| {
        let x = draw(3, &[40]).requires_grad();
        let before = &x * &p[1] + &p[0];
        let y = f(std::slice::from_ref(&x)).remove(0);
        let after = (&x * &p[0]).cos() * &p[1];
        let again = f(std::slice::from_ref(&before)).remove(0);
        (&y * &after + &again * &before).sum().backward();
        let mut out = grads(p);
        out.push(x.grad().unwrap());
        out
    });
}

#[test]
fn a_tensor_that_is_repeated_sums_where_the_eager_program_does() {
    let params = [draw(1, &[1, 4]).requires_grad(), draw(2, &[4]).requires_grad()];
    for n in [1usize, 5] {
        both_with(
            "repeated",
            &params,
            |x, p| vec![&x[0] + &p[0], (&x[0] * &p[1]).contiguous(), p[1].expand(&[3, 4]).contiguous()],
            |f, p| {
                let x = draw(3, &[n, 4]).requires_grad();
                let y = f(std::slice::from_ref(&x));
                ((&y[0] * &y[1]).sin().sum() + (&y[2] * &y[2]).sum() + y[2].exp().sum()).backward();
                let mut out = grads(p);
                out.push(x.grad().unwrap());
                out
            },
        );
    }
}

#[test]
fn loops_and_branches() {
    let params = [draw(1, &[3, 3]).requires_grad(), draw(2, &[3]).requires_grad()];
    let inner = |x: &[Tensor], p: &[Tensor]| {
        let (h, ys) = scan(x[0].select(0, 0), x[0].clone(), |h: Tensor, x| {
            let h = (h.matmul(&p[0]) + &x).tanh();
            (h.clone(), &h * &p[1])
        });
        let (v, steps) = while_loop(
            |(v, _): (Tensor, Tensor)| v.abs().sum().lt(40.0),
            |(v, n)| (&v * 1.5 + &p[1], n + 1.0),
            (h.clone(), Tensor::scalar(0.0f32)),
        );
        let chosen = cond(&v.sum().gt(0.0), |v: Tensor| (&v * &p[1]).sin(), |v| v.matmul(&p[0]), v.clone());
        vec![ys, v, chosen, steps.detach()]
    };
    both("loops", &params, inner, |f, p| {
        let mut out = Vec::new();
        for (i, n) in [3usize, 8, 1].into_iter().enumerate() {
            let x = (draw(5 + i as u64, &[n, 3]) * 10f64.powi(-2 * i as i32)).detach().requires_grad();
            let y = f(&[&x * 2.0]);
            (y[0].square().sum() + (&y[1] * &y[2]).sum() + (&y[2] * &p[1]).sum()).backward();
            out.extend(grads(p));
            out.extend([x.grad().unwrap(), y[3].clone()]);
            // Some of the results only.
            let y = f(std::slice::from_ref(&x));
            y[2].sum().backward();
            out.extend(grads(p));
        }
        out
    });
}

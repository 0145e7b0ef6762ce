//! A loss of two tensors of one shape has them so in every call of a trace: code for a target along which the input is repeated is
//! made for calls that have one.

use allotrope::functional::{self as f, Reduction};
use allotrope::prelude::*;

type Loss = fn(&Tensor, &Tensor) -> Tensor;

const LOSSES: &[(&str, Loss)] = &[
    ("mse_loss", f::mse_loss),
    ("l1_loss", |x, y| f::l1_loss(x, y, Reduction::Mean)),
    ("smooth_l1_loss", |x, y| f::smooth_l1_loss(x, y, 1.0, Reduction::Mean)),
    ("huber_loss", |x, y| f::huber_loss(x, y, 1.0, Reduction::Mean)),
];

fn drawn(seed: u64, shape: &[usize]) -> Tensor {
    Generator::new(seed).randn(shape, DType::F32)
}

#[test]
fn equal_shapes_are_one_program_and_broadcast_ones_another() {
    for &(name, loss) in LOSSES {
        let w = drawn(1, &[4, 1]).requires_grad();
        let step = trace({
            let w = w.clone();
            move |x: &Tensor, y: &Tensor| {
                w.set_grad(None);
                let loss = loss(&x.matmul(&w), y);
                loss.backward();
                (loss.detach(), w.grad().unwrap())
            }
        });
        let check = |rows: usize, target: &[usize], programs: usize| {
            let (x, y) = (drawn(2, &[rows, 4]), drawn(3, target));
            let (value, gradient) = step.call((&x, &y)).unwrap();
            w.set_grad(None);
            let eager = loss(&x.matmul(&w), &y);
            eager.backward();
            assert_eq!(value.to_vec::<f32>(), eager.detach().to_vec::<f32>(), "{name}, {target:?}");
            assert_eq!(gradient.to_vec::<f32>(), w.grad().unwrap().to_vec::<f32>(), "{name}, {target:?}");
            assert_eq!(step.compilations(), programs, "{name}, {target:?}");
        };
        check(3, &[3, 1], 1);
        check(9, &[9, 1], 1);
        check(3, &[3, 5], 2);
        check(4, &[4, 6], 2);
    }
}

//! Gradients: every operation on a tensor that requires them is recorded on a tape, which `backward` goes through in reverse.
//!
//! `cargo run --release --example autograd_basics` prints
//!
//! ```text
//! tensor(14., grad_fn=<SumBackward0>)
//! tensor([2., 4., 6.])
//! tensor([12., 14., 16.])
//! tensor([  4.,  32., 108.])
//! tensor([ 6., 12., 18.])
//! false false
//! ```

use allotrope::prelude::*;

fn main() -> Result<(), Error> {
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]).requires_grad();
    let y = (&x * &x).sum();
    println!("{y}");
    y.backward();
    println!("{}", gradient(&x));

    // Gradients accumulate until they are cleared.
    (&x * 10.0).sum().backward();
    println!("{}", gradient(&x));
    x.set_grad(None);

    // The tape is made anew by each forward pass, so Rust decides what is on it.
    let mut power = Tensor::ones(&[3], DType::F32);
    for _ in 0..4 {
        power = &power * &x;
    }
    power.sum().backward();
    println!("{}", gradient(&x));

    // A gradient can itself be differentiated.
    let cube = &(&x * &x) * &x;
    let first = wanted(grad(&[&cube], &[&x], true)?);
    let second = wanted(grad(&[&first], &[&x], false)?);
    println!("{}", second);

    // Nothing is recorded here, and no gradient flows through what is detached.
    println!("{} {}", no_grad(|| &x * 2.0).is_requires_grad(), x.detach().is_requires_grad());
    Ok(())
}

fn gradient(x: &Tensor) -> Tensor {
    x.grad().expect("backward has reached it")
}

fn wanted(mut gradients: Vec<Option<Tensor>>) -> Tensor {
    gradients.remove(0).expect("the output depends on the input")
}

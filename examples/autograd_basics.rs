//! Gradients of j = 3(a + bc): every operation on a tensor that requires them is recorded, `backward` goes through the record in
//! reverse, and the leaves a, b, c have their gradients in `grad()`. Then what else PyTorch's autograd does.
//!
//! `cargo run --release --example autograd_basics` prints
//!
//! ```text
//! u tensor(40., grad_fn=<MulBackward0>)
//! v tensor(43., grad_fn=<AddBackward0>)
//! j tensor(129., grad_fn=<MulBackward0>)
//! a: leaf true, gradient tensor(3.)
//! b: leaf true, gradient tensor(24.)
//! c: leaf true, gradient tensor(15.)
//! u: leaf false, gradient none
//! v: leaf false, gradient none
//! j: leaf false, gradient none
//!
//! second backward pass: tensor(6.)
//! cleared: none
//!
//! power tensor(625., grad_fn=<MulBackward0>)
//! first derivative tensor(500., grad_fn=<AddBackward0>)
//! second derivative tensor(300.)
//!
//! no_grad tensor(6.), detached tensor(625.)
//! ```

use allotrope::prelude::*;

fn main() -> Result<(), Error> {
    let [a, b, c] = [3.0f32, 5.0, 8.0].map(|value| Tensor::scalar(value).requires_grad());
    let u = &b * &c;
    let v = &a + &u;
    let j = 3.0 * &v;
    println!("u {u}\nv {v}\nj {j}");

    j.backward();
    for (name, tensor) in [("a", &a), ("b", &b), ("c", &c), ("u", &u), ("v", &v), ("j", &j)] {
        println!("{name}: leaf {}, gradient {}", tensor.is_leaf(), shown(tensor.grad()));
    }

    // Gradients accumulate until they are cleared.
    (3.0 * (&a + &b * &c)).backward();
    println!("\nsecond backward pass: {}", shown(a.grad()));
    a.set_grad(None);
    println!("cleared: {}", shown(a.grad()));

    // The record is made anew by each forward pass, so Rust decides what is in it: here b to the power of 4.
    let power = (0..3).fold(b.clone(), |power, _| power * &b);
    println!("\npower {power}");

    // A gradient can itself be differentiated: 4 b³, 12 b².
    let first = derivative(&power, &b, true)?;
    let second = derivative(&first, &b, false)?;
    println!("first derivative {first}\nsecond derivative {second}");

    // Nothing is recorded in here, and no gradient flows through what is detached.
    let unrecorded = no_grad(|| &a * 2.0);
    println!("\nno_grad {unrecorded}, detached {}", power.detach());
    Ok(())
}

fn shown(gradient: Option<Tensor>) -> String {
    gradient.map_or_else(|| "none".to_string(), |g| g.to_string())
}

/// dy/dx, as `torch.autograd.grad` gives it; recorded itself where `create_graph` is true.
fn derivative(y: &Tensor, x: &Tensor, create_graph: bool) -> Result<Tensor, Error> {
    Ok(grad(&[y], &[x], create_graph)?.remove(0).expect("y depends on x"))
}

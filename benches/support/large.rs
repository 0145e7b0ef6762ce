//! Programs of any size, to see how the cost of compiling them grows: a chain of elementwise operations, many results
//! side by side, and a recurrent network whose loop over time is a Rust loop, with backward.

use allotrope::prelude::*;

/// About `n` operations, one after the other: (x * a + b).tanh(), repeated.
pub fn chain(x: &Tensor, n: usize) -> Tensor {
    (0..n / 3).fold(x.clone(), |x, i| (&x * (1.0 + i as f64 * 1e-4) + 0.25).tanh())
}

/// About `n` operations that give many sums and many tensors of their own.
pub fn wide(x: &Tensor, n: usize) -> Vec<Tensor> {
    let each = |i: usize| {
        let y = (x * (1.0 + i as f64 * 1e-4)).sin();
        if i.is_multiple_of(2) { y.sum_dim(&[1], false) } else { y + 0.5 }
    };
    (0..n / 3).map(each).collect()
}

/// The weights of [`Unrolled::step`].
pub struct Unrolled {
    weights: [Tensor; 3],
}

impl Unrolled {
    pub fn new() -> Unrolled {
        manual_seed(0);
        let weight = |shape: [usize; 2]| (randn(&shape) * 0.2).detach().requires_grad();
        Unrolled { weights: [weight([4, 16]), weight([16, 16]), weight([16, 1])] }
    }

    /// `steps` points of 8 sequences, `[steps, 8, 4]`.
    pub fn data(steps: usize) -> Tensor {
        manual_seed(1);
        randn(&[steps, 8, 4])
    }

    /// The loss over all steps and the gradients of the weights; about 20 operations for each step.
    pub fn step(&self, x: &Tensor, steps: usize) -> Vec<Tensor> {
        let [w_ih, w_hh, w_o] = &self.weights;
        let mut h = Tensor::zeros(&[8, 16], DType::F32);
        let mut loss = Tensor::zeros(&[], DType::F32);
        for t in 0..steps {
            h = (x.select(0, t as isize).matmul(w_ih) + h.matmul(w_hh)).tanh();
            let y = h.matmul(w_o);
            loss = (&y * &y).sum() + loss;
        }
        let gradients = grad(&[&loss], &[w_ih, w_hh, w_o], false).expect("the loss depends on every weight");
        gradients.into_iter().flatten().chain([loss.detach()]).collect()
    }
}

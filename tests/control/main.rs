//! Control flow that stays control flow in a trace: `while_loop` and `cond`, in each other and in `scan`. Eager and traced
//! runs give equal bits, gradients too, and one compilation serves every number of steps and every branch.

#[path = "../programs/common.rs"]
#[allow(dead_code)]
mod common;

mod conds;
mod errors;
mod generate;
mod loops;
mod nested;
#[path = "../../ir/tests/seed/mod.rs"]
mod seed;

use allotrope::prelude::*;
use common::assert_all_same;

/// A traced closure beside the closure itself.
struct Both<F: FnMut(&[Tensor]) -> Vec<Tensor>> {
    eager: F,
    traced: allotrope::trace::Traced<F, Vec<Tensor>, { allotrope::trace::SLICE }>,
}

impl<F: FnMut(&[Tensor]) -> Vec<Tensor> + Clone> Both<F> {
    fn new(f: F) -> Both<F> {
        Both { eager: f.clone(), traced: trace(f) }
    }

    /// Runs both, demands equal bits, and gives what they give.
    #[track_caller]
    fn run(&mut self, args: &[Tensor]) -> Vec<Tensor> {
        let want = (self.eager)(args);
        let got = self.traced.call(args).unwrap_or_else(|e| panic!("{e}"));
        assert_all_same("eager against traced", &want, &got);
        want
    }

    fn compilations(&self) -> usize {
        self.traced.compilations()
    }
}

fn scalar(x: f32) -> Tensor {
    Tensor::scalar(x)
}

fn count(n: i64) -> Tensor {
    Tensor::scalar(n)
}

fn vector(x: &[f32]) -> Tensor {
    Tensor::from_vec(x.to_vec(), &[x.len()])
}

/// `x`, a leaf that needs a gradient.
fn leaf(x: Tensor) -> Tensor {
    x.requires_grad()
}

/// The value, and the gradients of its sum with respect to each of the tensors, which it must depend on.
fn with_gradients(y: &Tensor, of: &[&Tensor]) -> Vec<Tensor> {
    let found = grad(&[y], of, false).unwrap();
    let mut out = vec![y.detach()];
    out.extend(found.into_iter().map(|g| g.expect("a gradient")));
    out
}

/// `body` as often as `n`, an i64 tensor, says.
fn repeat<C: allotrope::ops::TensorTree>(n: &Tensor, carry: C, mut body: impl FnMut(C) -> C) -> C {
    while_loop(|(i, _)| i.lt(n), |(i, c)| (i + 1, body(c)), (Tensor::scalar(0i64), carry)).1
}

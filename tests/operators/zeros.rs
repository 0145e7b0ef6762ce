//! Signs of zeros where PyTorch has one rule: sums that a program asks for begin at +0.0, whatever their length, also that of a call
//! on which a trace was not recorded. Nothing is tested of zeros whose sign depends on where they lie.

use crate::common::assert_same;
use allotrope::functional::{self as f, AvgPoolOptions, CrossEntropyOptions, NllLossOptions, Reduction};
use allotrope::ops::{GradOptions, einsum, grad_with};
use allotrope::prelude::{trace, trace_dynamic};
use allotrope::{DType, Tensor};

type Call = fn(&Tensor) -> Tensor;

/// Whether the results of a call on -0.0 are -0.0, for each number of rows, in all forms: one trace for all calls.
fn negative(what: &str, rows: &[usize], columns: usize, call: Call) -> Vec<bool> {
    let (once, always) = (trace(move |x: &Tensor| call(x)), trace_dynamic(move |x: &Tensor| call(x)));
    let mut all = Vec::new();
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        for &n in rows {
            let x = Tensor::full(&[n, columns], -0.0f32).to(dtype);
            let eager = call(&x);
            assert_same(what, &once.call(&x).unwrap(), &eager);
            assert_same(what, &always.call(&x).unwrap(), &eager);
            assert!(eager.eq(0).all().item::<bool>(), "{what}: {eager}");
            all.push(eager.signbit().any().item::<bool>());
        }
    }
    all
}

const ROWS: &[usize] = &[3, 1, 2, 17];

#[test]
fn sums_that_a_program_asks_for_are_never_negative_zero() {
    let sums: &[(&str, Call)] = &[
        ("sum", |x| x.sum()),
        ("sum of rows", |x| x.sum_dim(&[1], false)),
        ("sum of columns", |x| x.sum_dim(&[0], true)),
        ("sum of a number", |x| x.narrow(0, 0, 1).reshape(&[-1]).narrow(0, 0, 1).reshape(&[]).sum()),
        ("mean", |x| x.mean()),
        ("mean of columns", |x| x.mean_dim(&[0], false)),
        ("mean of rows", |x| x.mean_dim(&[1], true)),
        ("mean beside a variance", |x| x.var_mean(&[1], 0.0, false).1),
        ("mean beside a deviation", |x| x.std_mean(&[0], 0.0, false).1),
        ("einsum of rows", |x| einsum("ij->i", &[x])),
        ("einsum of columns", |x| einsum("ij->j", &[x])),
        ("trace", |x| x.narrow(0, 0, 1).trace()),
        ("averages of windows", |x| f::avg_pool1d(&x.unsqueeze(0), [1], AvgPoolOptions::default())),
        ("averages of shares", |x| f::adaptive_avg_pool1d(&x.unsqueeze(0), [None])),
        ("averages of planes", |x| f::adaptive_avg_pool2d(&x.unsqueeze(0), [Some(1), Some(1)])),
        ("cosine", |x| f::cosine_similarity(x, &x.ones_like(), 1, 1e-8)),
    ];
    for (what, call) in sums {
        for columns in [1, 4] {
            assert!(!negative(what, ROWS, columns, *call).contains(&true), "{what} of {columns}");
        }
    }
}

/// The first class for each row.
fn places(x: &Tensor) -> Tensor {
    x.sum_dim(&[1], false).zeros_like().to(DType::I64)
}

#[test]
fn losses_that_are_nothing() {
    fn nll(x: &Tensor, reduction: Reduction) -> Tensor {
        // Zeros, whose negatives are -0.0.
        f::nll_loss(&x.add(0), &places(x), NllLossOptions { reduction, ..Default::default() })
    }
    assert!(!negative("mean", ROWS, 2, |x| nll(x, Reduction::Mean)).contains(&true));
    assert!(!negative("sum", ROWS, 2, |x| nll(x, Reduction::Sum)).contains(&true));
    assert!(!negative("none", ROWS, 2, |x| nll(x, Reduction::None)).contains(&false));
    let one: Call = |x| {
        let options = NllLossOptions { reduction: Reduction::None, ..Default::default() };
        f::nll_loss(&x.narrow(0, 0, 1).reshape(&[-1]).add(0), &Tensor::zeros(&[], DType::I64), options)
    };
    assert!(!negative("none of one sample", ROWS, 2, one).contains(&true));
    let entropy: Call = |x| f::cross_entropy(x, &places(x), CrossEntropyOptions::default());
    assert!(!negative("cross entropy", ROWS, 1, entropy).contains(&true));
    // The negative of a sum.
    let shares: Call = |x| f::cross_entropy(x, &x.ones_like(), CrossEntropyOptions::default());
    assert!(!negative("cross entropy of shares", ROWS, 1, shares).contains(&false));
}

#[test]
fn one_term_is_no_sum_and_none_adds_nothing() {
    // Of one term einsum multiplies.
    let products: Call = |x| einsum("ij,jk->ik", &[x, &x.t().ones_like()]);
    assert_eq!(negative("einsum", &[2, 3], 1, products), [true; 6]);
    assert_eq!(negative("einsum of two", &[2, 3], 2, products), [false; 6]);
    let dot: Call = |x| einsum("i,i->", &[&x.reshape(&[-1]), &x.ones_like().reshape(&[-1])]);
    assert_eq!(negative("dot", &[1, 2, 1], 1, dot), [true, false, true].repeat(3));
    // Of two dtypes, as in products of elements.
    let (bools, floats) = (Tensor::ones(&[2, 1], DType::Bool), Tensor::ones(&[1, 3], DType::F32));
    assert_eq!(einsum("ij,jk->ik", &[&bools, &floats]).shape(), [2, 3]);

    let beside: [Call; 3] = [
        |x| x.addmm(&x.narrow(1, 0, 0), &x.narrow(1, 0, 0).t().narrow(1, 0, 1), 2, -2),
        |x| {
            x.unsqueeze(0).baddbmm(
                &x.narrow(1, 0, 0).unsqueeze(0),
                &x.narrow(1, 0, 0).t().narrow(1, 0, 1).unsqueeze(0),
                1,
                1,
            )
        },
        |x| x.select(1, 0).addmv(&x.narrow(1, 0, 0), &x.narrow(1, 0, 0).select(0, 0), 1, 1),
    ];
    for call in beside {
        assert_eq!(negative("beside a product of nothing", &[3, 1], 1, call), [true; 6]);
    }
    let number: Call = |x| x.narrow(0, 0, 1).reshape(&[]).logcumsumexp(0);
    assert_eq!(negative("a log-sum of a number", &[1], 1, number), [true; 3]);
}

/// A gradient of what an axis of one element did not repeat is no sum.
#[test]
fn gradients_that_nothing_is_added_to_stay() {
    let call: Call = |x| {
        let (row, x) = (x.detach().narrow(0, 0, 1).requires_grad(), x.detach());
        let how = GradOptions { grad_outputs: &[Some(&x)], ..Default::default() };
        let gradient = grad_with(&[&row.add(&x)], &[&row], how).unwrap().remove(0);
        gradient.expect("it was used")
    };
    assert_eq!(negative("gradient", &[1, 3], 2, call), [true, false, true, false, true, false]);
}

//! Recorded programs: sizes are refused while recording as they are eagerly, and on each call where they are symbols.

use crate::{ABSURD, refused};
use allotrope::Result;
use allotrope::ops::random::try_rand;
use allotrope::prelude::*;

/// Calls the program in every form on `x`, which must be refused, eagerly too.
#[track_caller]
fn everywhere(x: &Tensor, words: &str, f: impl Fn(&Tensor) -> Result<Tensor> + Copy) {
    refused(f(x), words);
    refused(trace(move |x: &Tensor| f(x).unwrap_or_else(|e| panic!("{e}"))).call(x), words);
    refused(trace_dynamic(move |x: &Tensor| f(x).unwrap_or_else(|e| panic!("{e}"))).call(x), words);
}

#[test]
fn recording_refuses_what_eager_does() {
    let x = Tensor::ones(&[3], DType::F32);
    for n in ABSURD {
        let name = n.to_string();
        let signed = isize::try_from(n).unwrap_or(isize::MAX);
        everywhere(&x, "[", |x| Ok(try_rand(&[n])? + x.sum()));
        everywhere(&x, &signed.to_string(), |x| Ok(x.sum().try_expand(&[signed, signed])? * 1.0));
        everywhere(&x, &name, |x| x.try_narrow(0, 0, n));
        everywhere(&x, &name, |x| x.try_split_with_sizes(&[n, 3], 0).map(|parts| parts[1].clone()));
        everywhere(&x, &signed.to_string(), |x| x.try_index(n));
        everywhere(&x, &name, |x| x.sum().try_reshape(&[1])?.try_repeat(&[n, n]));
        everywhere(&x, "window of", |x| x.try_unfold(0, n, 1));
        everywhere(&x, &name, |x| Ok(Tensor::try_eye(n, 1, DType::F32)? + x.sum()));
    }
    everywhere(&x, "f32[4611686018427387904]", |x| Ok(x.sum().try_expand(&[1 << 62])? * 1.0));
}

#[test]
fn steps_beyond_all_are_the_same_in_every_form() {
    let x = Tensor::arange(4).to(DType::F32);
    let f = |x: &Tensor| {
        let x = x.detach().requires_grad();
        let windows = x.unfold(0, 2, usize::MAX);
        let every = x.index(stepped(1.., usize::MAX));
        (windows.sum() * every.sum() + x.unfold(0, 1, 1 << 62).sum()).backward();
        x.grad().unwrap()
    };
    let want = f(&x).to_vec::<f32>();
    assert_eq!(want, [2.0, 2.0, 0.0, 0.0]);
    assert_eq!(trace(f).call(&x).unwrap().to_vec::<f32>(), want);
    assert_eq!(trace_dynamic(f).call(&x).unwrap().to_vec::<f32>(), want);
}

#[test]
fn a_recorded_result_that_no_memory_has_is_an_error_of_the_call() {
    let x = Tensor::ones(&[3], DType::F32);
    // A type that can be, of a tensor that cannot.
    everywhere(&x, "f32[17592186044416]", |x| x.sum().try_expand(&[1 << 44])?.try_mul(2.0));
    // The same inside, where it is stored on the way.
    everywhere(&x, "bytes", |x| x.sum().try_expand(&[1 << 44])?.try_cumsum(0)?.try_sum());
}

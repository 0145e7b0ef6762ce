//! What is refused: eagerly and in a trace, with a workaround.

use crate::common::panic_text;
use crate::{count, leaf, repeat, scalar, vector};
use allotrope::ops::{try_cond, try_while_loop};
use allotrope::prelude::*;

/// The error of a closure, eagerly and in a trace.
#[track_caller]
fn refused(f: impl Fn(&Tensor) -> Tensor, parts: &[&str]) {
    let x = vector(&[1.0, 2.0]);
    let eager = panic_text(|| _ = f(&x));
    let traced = trace(|x: &Tensor| f(x)).call(&x).unwrap_err().to_string();
    for part in parts {
        assert!(eager.contains(part), "{part} in eager: {eager}");
        assert!(traced.contains(part), "{part} in traced: {traced}");
    }
}

#[test]
fn conditions_are_one_bool() {
    refused(|x| while_loop(|x| x.gt(0.0), |x| x, x.clone()), &["while_loop", "bool[2]", "any()"]);
    refused(|x| while_loop(|x| x.sum(), |x| x, x.clone()), &["while_loop", "f32[]", "gt(0.0)"]);
    refused(|x| cond(x, |x| x, |x| x, x.clone()), &["cond", "f32[2]"]);
    refused(|x| cond(&x.gt(0.0), |x| x, |x| x, x.clone()), &["cond", "bool[2]"]);
}

#[test]
fn carries_keep_their_types() {
    refused(
        |x| while_loop(|x| x.sum().lt(9.0), |x| cat(&[&x, &x], 0), x.clone()),
        &["while_loop", "carry 0", "f32[2]", "f32[4]"],
    );
    refused(|x| while_loop(|x| x.sum().lt(9.0), |x| x.to(DType::F64), x.clone()), &["carry 0", "f64[2]"]);
    refused(
        |x| while_loop(|v: Vec<Tensor>| v[0].sum().lt(9.0), |v| vec![v[0].clone(); 2], vec![x.clone()]).remove(0),
        &["1 carries went in, 2 came out"],
    );
    refused(
        |x| {
            while_loop(|()| x.sum().lt(0.0), |()| (), ());
            x.clone()
        },
        &["carries nothing"],
    );
}

#[test]
fn branches_give_the_same_types() {
    let on = Tensor::scalar(true);
    refused(|x| cond(&on, |x: Tensor| x.sum(), |x| x, x.clone()), &["cond", "result 0", "f32[]", "f32[2]"]);
    refused(|x| cond(&on, |x: Tensor| x.gt(0.0), |x| x, x.clone()), &["result 0", "bool[2]", "f32[2]"]);
    refused(
        |x| cond(&on, |x: Tensor| vec![x.clone(), x], |x: Tensor| vec![x], x.clone()).remove(0),
        &["the first gives 2 and the second 1"],
    );
}

#[test]
fn nothing_from_outside_is_changed() {
    let on = Tensor::scalar(true);
    refused(
        |x| {
            while_loop(
                |x| x.sum().lt(9.0),
                |x| {
                    x.add_(1.0);
                    x
                },
                x * 1.0,
            )
        },
        &["in place"],
    );
    refused(
        |x| {
            while_loop(
                |x| {
                    x.add_(1.0);
                    x.sum().lt(9.0)
                },
                |x| x,
                x * 1.0,
            )
        },
        &["in place"],
    );
    refused(
        |x| {
            cond(
                &on,
                |x: Tensor| {
                    x.add_(1.0);
                    x
                },
                |x| x,
                x * 1.0,
            )
        },
        &["in place"],
    );
    // The branch that is not taken is seen as well.
    refused(
        |x| {
            cond(
                &on,
                |x| x,
                |x: Tensor| {
                    x.add_(1.0);
                    x
                },
                x * 1.0,
            )
        },
        &["in place"],
    );
    let total = scalar(0.0);
    let sum = |x: &Tensor| {
        repeat(&count(2), x.clone(), |x| {
            total.add_(1.0);
            x
        })
    };
    let error = trace(|x: &Tensor| sum(x)).call(&vector(&[1.0])).unwrap_err().to_string();
    assert!(error.contains("can't be changed in place inside it; carry it"), "{error}");
}

#[test]
fn draws_must_be_counted_before_the_run() {
    let x = vector(&[1.0, 2.0]);
    let error = |e: Error| {
        let text = e.to_string();
        assert!(text.contains("draw outside"), "{text}");
        text
    };
    let text = error(trace(|x: &Tensor| repeat(&count(2), x.clone(), |x| x * rand(&[2]))).call(&x).unwrap_err());
    assert!(text.contains("while_loop"), "{text}");
    let drop = |x: &Tensor| cond(&x.sum().gt(0.0), |x: Tensor| x * rand(&[2]), |x| x, x.clone());
    let text = error(trace(|x: &Tensor| drop(x)).call(&x).unwrap_err());
    assert!(text.contains("branch"), "{text}");
    let seeded = |x: &Tensor| {
        repeat(&count(2), x.clone(), |x| {
            manual_seed(1);
            x
        })
    };
    error(trace(|x: &Tensor| seeded(x)).call(&x).unwrap_err());
    // Eagerly a loop is a loop.
    let _drawing = crate::common::seeded(1);
    assert_eq!(repeat(&count(2), x, |x| x * rand(&[2])).shape(), [2]);
}

#[test]
fn second_derivatives_are_refused() {
    let second = |x: &Tensor| {
        let y = repeat(&count(2), x.clone(), |x| &x * &x).sum();
        let first = grad(&[&y], &[x], true);
        first.unwrap_err().to_string()
    };
    let text = second(&leaf(vector(&[1.0])));
    assert!(text.contains("second derivatives through while_loop"), "{text}");
    let x = leaf(vector(&[1.0]));
    let y = cond(&x.sum().gt(0.0), |x: Tensor| &x * &x, |x| x, x.clone());
    let text = grad(&[&y], &[&x], true).unwrap_err().to_string();
    assert!(text.contains("second derivatives through cond"), "{text}");
}

#[test]
fn twins_return_what_the_others_panic_with() {
    let x = vector(&[1.0, 2.0]);
    let error = try_while_loop(|x: Tensor| x.gt(0.0), |x| x, x.clone()).unwrap_err().to_string();
    assert_eq!(error, panic_text(|| _ = while_loop(|x: Tensor| x.gt(0.0), |x| x, x.clone())));
    let error = try_cond(&x, |x: Tensor| x, |x| x, x.clone()).unwrap_err().to_string();
    assert_eq!(error, panic_text(|| _ = cond(&x, |x: Tensor| x, |x| x, x.clone())));
    // A trace in which a loop was given up goes on.
    let f = trace(|x: &Tensor| {
        assert!(try_while_loop(|x: Tensor| x.sum().lt(0.0), |x| x.sum(), x.clone()).is_err());
        assert!(try_cond(&x.sum().gt(0.0), |x: Tensor| x, |x: Tensor| x.sum(), x.clone()).is_err());
        x * 2.0
    });
    assert_eq!(f.call(&x).unwrap().to_vec::<f32>(), [2.0, 4.0]);
}

#[test]
fn elements_are_not_known_while_a_body_is_recorded() {
    let x = vector(&[1.0]);
    let peek = |x: &Tensor| repeat(&count(1), x.clone(), |x| if x.item::<f32>() > 0.0 { x * 2.0 } else { x });
    assert_eq!(peek(&x).to_vec::<f32>(), [2.0]);
    let error = trace(|x: &Tensor| peek(x)).call(&x).unwrap_err().to_string();
    assert!(error.contains("item()"), "{error}");
}

#[test]
fn a_value_of_a_body_is_not_used_outside() {
    let mut kept = None;
    let error = trace(|x: &Tensor| {
        let y = repeat(&count(1), x.clone(), |x| {
            kept = Some(&x * 2.0);
            x
        });
        y + kept.take().unwrap()
    })
    .call(&vector(&[1.0]))
    .unwrap_err()
    .to_string();
    assert!(error.contains("outside the loop"), "{error}");
}

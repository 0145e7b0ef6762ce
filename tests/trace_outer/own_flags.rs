//! What a traced closure changes of the history of its arguments and of captured tensors, with `requires_grad_` and `detach_`, the
//! caller's tensors have after the call, as in eager code; and gradients go where they go there.

use crate::callers::{Given, agree, vector};
use allotrope::prelude::*;

const ALL: [Given; 4] = [Given::Plain, Given::Leaf, Given::Computed, Given::Part];

#[test]
fn requires_grad_reaches_the_caller() {
    for x in ALL {
        for w in ALL {
            agree(
                |x, w| {
                    let before = x * w;
                    x.requires_grad_(true);
                    w.requires_grad_(true);
                    vec![before, x * w, x * 2.0]
                },
                [x, w],
            );
        }
    }
    for x in [Given::Plain, Given::Leaf] {
        agree(
            |x, w| {
                let before = x * w;
                x.requires_grad_(false);
                w.requires_grad_(false);
                vec![before, x * w, x.clone()]
            },
            [x, Given::Leaf],
        );
        agree(
            |x, w| {
                w.requires_grad_(false);
                x.requires_grad_(true);
                w.requires_grad_(true);
                vec![x * w, w.clone()]
            },
            [x, Given::Plain],
        );
    }
}

#[test]
fn detach_reaches_the_caller() {
    for x in [Given::Plain, Given::Leaf, Given::Computed] {
        for w in [Given::Plain, Given::Leaf, Given::Computed] {
            agree(
                |x, w| {
                    let before = x * 3.0;
                    x.detach_();
                    vec![before, x * w]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    let before = x * w;
                    w.detach_().requires_grad_(true);
                    vec![before, x * w]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    let before = x + w;
                    x.detach_();
                    x.mul_(2.0);
                    x.requires_grad_(true);
                    vec![before, x * 5.0, x.clone()]
                },
                [x, w],
            );
        }
    }
}

#[test]
fn a_view_stays_in_its_graph() {
    for x in ALL {
        agree(
            |x, w| match x.try_detach_() {
                Ok(x) => vec![x * w],
                Err(_) => vec![x - w],
            },
            [x, Given::Computed],
        );
    }
}

#[test]
fn gradients_inside() {
    for w in [Given::Plain, Given::Leaf] {
        agree(
            |x, w| {
                x.requires_grad_(true);
                w.requires_grad_(true);
                (x * w * x).sum().backward();
                vec![x.grad().unwrap() * 2.0]
            },
            [Given::Plain, w],
        );
    }
}

#[test]
fn a_failed_recording_changes_nothing() {
    let w = vector(1.0);
    let f = trace(|x: &Tensor| {
        w.requires_grad_(true);
        x.requires_grad_(true);
        x.matmul(&x.unsqueeze(0).unsqueeze(0)).reshape(&[7])
    });
    let x = vector(0.0);
    assert!(f.call(&x).is_err());
    assert!(!w.is_requires_grad() && !x.is_requires_grad());
}

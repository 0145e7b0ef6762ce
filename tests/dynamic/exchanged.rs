//! Captured tensors that are exchanged between calls, whatever views they are: each call reads what is there, and code is
//! compiled for what the closure does, not for whose elements it reads.

use crate::common::{assert_same, draw};
use allotrope::prelude::*;
use std::cell::RefCell;

#[test]
fn views_that_are_exchanged() {
    type View = (&'static str, fn(&Tensor) -> Tensor);
    let views: [View; 7] = [
        ("t", |m| m.t()),
        ("narrow", |m| m.narrow(0, 0, 2)),
        ("reshape", |m| m.reshape(&[9])),
        ("select", |m| m.select(1, 0)),
        ("detach", |m| m.detach()),
        ("a view of a view", |m| m.t().narrow(1, 1, 2)),
        ("a detached view", |m| m.narrow(1, 0, 2).detach()),
    ];
    for grads in [false, true] {
        let whole = |i: u64| if grads { draw(i, &[3, 3]).requires_grad() } else { draw(i, &[3, 3]) };
        for (name, view) in views {
            let all = whole(1);
            let place = RefCell::new(view(&all));
            let f = trace_dynamic(|s: &Tensor| (&*place.borrow() * s).sum());
            let s = draw(2, &[1]);
            let mut kept = Vec::new();
            for i in 0..8 {
                let wanted = (&*place.borrow() * &s).sum();
                let y = f.call(&s).unwrap();
                assert_same(&format!("{name}, call {i}"), &y, &wanted);
                kept.extend([y, wanted]);
                match i % 3 {
                    0 => drop(place.replace(view(&whole(10 + i)))),
                    1 => drop(place.replace(view(&all))),
                    _ => {}
                }
            }
            assert_eq!(f.compilations(), 1, "{name}");
        }
    }
}

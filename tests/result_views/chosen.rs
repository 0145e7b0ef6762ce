//! What an integer tensor without axes chooses is a view, at a place that only the run knows: writes through it reach the whole,
//! it sees later writes, and a result that shows it is a view of the caller's tensor.

use crate::{range, shares};
use allotrope::prelude::*;

/// A place that is computed from the elements: 1.
fn one(x: &Tensor) -> Tensor {
    x.index(0).ge(-1.0).to(DType::I64).argmax().clamp_max(1)
}

#[test]
fn a_place_of_the_host() {
    shares(|_, x| vec![x.index(&Tensor::scalar(1i64))]);
    shares(|_, x| vec![x.index(&Tensor::scalar(-1i64))]);
    shares(|w, _| vec![w.index((.., &Tensor::scalar(-2i64))), w.clone()]);
}

#[test]
fn a_place_that_is_computed() {
    shares(|_, x| vec![x.index(&one(x))]);
    shares(|w, x| vec![w.index(&one(x)), w.index((&one(x), &one(x)))]);
    shares(|w, _| vec![w.t().index(&one(w)), w.index((.., &one(w))).unsqueeze(0)]);
    // Of what the call makes: the whole is no result.
    shares(|_, x| {
        let y = x * 2.0;
        vec![y.index(&one(x)), y.index((.., &one(x))).detach()]
    });
    shares(|_, x| vec![x.index((NewAxis, &one(x), 1.., NewAxis))]);
}

#[test]
fn one_variant_serves_every_place() {
    let at = |i: i64| Tensor::scalar(i);
    let f = trace(|x: &Tensor, i: &Tensor| x.index(i));
    let x = range(&[4, 2]);
    for i in [0, 3, -1, -4, 2] {
        let row = f.call((&x, &at(i))).unwrap();
        no_grad(|| row.fill_(i as f64));
        assert_eq!(x.index(i as isize).to_vec::<f32>(), [i as f32; 2]);
    }
    assert!(f.call((&x, &at(4))).is_err());
    assert_eq!(f.compilations(), 1);
}

#[test]
fn a_later_change_of_the_index_moves_nothing() {
    shares(|w, x| {
        let i = one(x);
        let row = w.index(&i);
        i.add_(-1);
        row.mul_(2.0);
        vec![row, w.index(&i)]
    });
}

#[test]
fn changes_reach_the_whole_and_are_seen() {
    shares(|_, x| {
        let row = x.index(&one(x));
        row.mul_(3.0);
        x.add_(1.0);
        vec![&row + 0.0, row]
    });
    shares(|w, x| {
        let cell = w.index((&one(x), &one(x)));
        cell.fill_(7.0);
        w.index((.., 1)).add_(&cell.detach().clone());
        vec![cell, w * 1.0]
    });
    shares(|w, x| {
        w.set((&one(x), 1..), 5.0);
        w.set((.., &one(x)), &w.index((.., 0)).contiguous());
        vec![w.index(&one(x))]
    });
    shares(|_, x| {
        let y = x * 2.0;
        y.index(&one(x)).copy_(&x.index(0));
        vec![y.index(0).sum(), y]
    });
}

#[test]
fn gradients() {
    let programs: [fn(&Tensor, &Tensor) -> Vec<Tensor>; 4] = [
        |_, x| vec![x.index(&one(x))],
        |_, x| {
            let y = x * 2.0;
            let row = y.index(&one(x));
            row.mul_(3.0);
            vec![y * 1.0, row]
        },
        |_, x| {
            let y = x * 2.0;
            let row = y.index((.., &one(x)));
            y.exp_();
            vec![row * 2.0]
        },
        |_, x| {
            let y = x * 2.0;
            y.index(&one(x)).copy_(&x.index(0));
            vec![y.index(&one(x)).t(), y]
        },
    ];
    let through = |results: Vec<Tensor>, x: &Tensor| -> Vec<String> {
        let mut seen: Vec<String> =
            results.iter().map(|t| format!("{:?} {:?}", t.is_requires_grad(), t.strides())).collect();
        let parts = results.iter().filter(|t| t.is_requires_grad()).map(|t| (t * t).sum());
        parts.reduce(|a, b| a + b).expect("some need gradients").backward();
        seen.push(format!("{:?}", x.grad().expect("it is used").to_vec::<f32>()));
        seen
    };
    let leaf = |n: usize| range(&[n, 6]).requires_grad();
    for (p, program) in programs.into_iter().enumerate() {
        let traced = trace(move |x: &Tensor| program(x, x));
        let inside = trace_dynamic(move |x: &Tensor| {
            let results = program(x, x);
            let parts = results.iter().filter(|t| t.is_requires_grad()).map(|t| (t * t).sum());
            parts.reduce(|a, b| a + b).expect("some need gradients").backward();
            x.grad().expect("it is used")
        });
        for n in [4, 6] {
            let (a, b, c) = (leaf(n), leaf(n), leaf(n));
            let eager = through(program(&a, &a), &a);
            assert_eq!(eager, through(traced.call(&b).unwrap(), &b), "program {p}");
            assert_eq!(a.grad().unwrap().to_vec::<f32>(), inside.call(&c).unwrap().to_vec::<f32>(), "program {p}");
        }
        assert_eq!([traced.compilations(), inside.compilations()], [1, 1]);
    }
}

#[test]
fn in_loops() {
    shares(|w, x| {
        let (sum, rows) = scan(w.index((0, 0)).clone(), x.narrow(1, 0, 3), |sum, row| {
            let cell = w.index((0, &one(w)));
            (&sum + &row.index(&one(w)) * &cell, row.index(&one(w)) * 2.0)
        });
        vec![sum * 1.0, rows]
    });
}

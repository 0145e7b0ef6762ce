//! The history of results that are views: gradients, leaves, and what in-place changes after the call do to it.

use crate::{look, range};
use allotrope::prelude::*;

/// What is seen after something is done to results and argument, or why it can't be.
type Use = fn(&Tensor, &Tensor, &[Tensor]) -> Result<(), Error>;

/// Runs eagerly and traced; `leaf` says whether the argument is one. `used` is done to results and argument.
fn agree(program: crate::Program, used: Use) {
    for leaf in [true, false] {
        let run = |call: &mut dyn FnMut(&Tensor, &Tensor) -> Vec<Tensor>, w: &Tensor| -> Vec<String> {
            let mut seen = Vec::new();
            for n in [2, 3] {
                let base = range(&[n, 2]).requires_grad();
                let x = if leaf { base.clone() } else { &base * 1.5 };
                w.set_grad(None);
                let results = call(w, &x);
                seen.extend(results.iter().map(look));
                let done = used(w, &x, &results);
                // A call is one node, so whose backward pass says so is another one.
                let change = |e: Error| e.to_string().contains("in place");
                seen.push(format!("changed in place: {:?}", done.map_err(change)));
                seen.extend(results.iter().chain([&x, &base]).map(look));
                seen.extend([w, &base].map(|t| t.grad().map_or("none".to_string(), |g| look(&g))));
            }
            seen
        };
        let w = range(&[2, 2]).requires_grad();
        let eager = run(&mut |w, x| program(w, x), &w);
        let w = range(&[2, 2]).requires_grad();
        let f = trace(|x: &Tensor| program(&w, x));
        let traced = run(&mut |_, x| f.call(x).unwrap(), &w);
        assert_eq!(eager, traced, "leaf {leaf}");
        assert_eq!(f.compilations(), 1);
    }
}

/// A scalar of all of them that treats each element otherwise.
fn loss(results: &[Tensor]) -> Tensor {
    let each = results.iter().enumerate().map(|(i, r)| {
        let factors = Tensor::arange(r.numel() as i64).to(DType::F32).view_as(r) * 0.37 + (i as f64 + 0.21);
        (r * r * factors).sum()
    });
    each.reduce(|a, b| &a + &b).unwrap()
}

const PROGRAMS: [crate::Program; 10] = [
    // Of sizes that do not change, as the length of a diagonal is that of the shorter axis.
    |w, x| vec![x.t().matmul(x).matmul(w).diagonal(0, 0, 1), w.diagonal(0, 0, 1)],
    |_, x| vec![x.t()],
    |w, x| vec![x.index(0), w.t()],
    |w, x| {
        let y = x.matmul(w);
        vec![y.index(0), y.t()]
    },
    |w, x| {
        let y = x.matmul(w);
        vec![y.clone(), y.index(1), y.detach()]
    },
    |w, x| vec![x.view(&[-1]), x * 2.0, x.t(), (x * x).t(), w.index(0)],
    |_, x| vec![x.detach(), x.exp().t()],
    |_, x| {
        let y = x.exp();
        let v = y.t();
        let z = &v * 3.0;
        vec![v.index(0), z]
    },
    |w, x| {
        let y = x * 2.0;
        let part = y.index(0);
        part.mul_(&w.index(1));
        vec![y.t(), part]
    },
    |_, x| {
        let d = x.detach();
        let t = d.t().requires_grad_(true).clone();
        vec![t.index(0), t]
    },
];

#[test]
fn gradients_go_through_views() {
    for program in PROGRAMS {
        agree(program, |_, _, r| loss(r).try_backward());
        agree(program, |_, _, r| (loss(&r[..1]) + loss(r)).try_backward());
    }
}

#[test]
fn views_can_be_changed_after_the_call() {
    for program in PROGRAMS {
        agree(program, |_, _, r| {
            r[0].try_mul_(3.0)?;
            loss(r).try_backward()
        });
        agree(program, |_, x, r| {
            r[r.len() - 1].try_add_(&r[0].sum())?;
            (loss(r) + loss(std::slice::from_ref(x))).try_backward()
        });
        agree(program, |w, x, r| {
            no_grad(|| r[0].try_fill_(0.5).map(|_| ()))?;
            no_grad(|| w.try_mul_(2.0).map(|_| ()))?;
            (loss(r) + loss(std::slice::from_ref(x))).try_backward()
        });
        agree(program, |_, x, r| {
            x.try_mul_(2.0)?;
            (loss(r) + x.sum()).try_backward()
        });
    }
}

#[test]
fn under_no_grad() {
    for program in PROGRAMS {
        let w = range(&[2, 2]).requires_grad();
        let f = trace(|x: &Tensor| program(&w, x));
        let x = range(&[3, 2]).requires_grad();
        let eager: Vec<String> = no_grad(|| program(&w, &x)).iter().map(look).collect();
        let traced: Vec<String> = no_grad(|| f.call(&x).unwrap()).iter().map(look).collect();
        assert_eq!(eager, traced);
    }
}

#[test]
fn a_view_of_a_leaf_is_protected() {
    let f = trace(|x: &Tensor| x.t());
    let x = range(&[2, 3]).requires_grad();
    let y = f.call(&x).unwrap();
    let eager = x.t().try_add_(1.0).map(|_| ()).unwrap_err().to_string();
    assert_eq!(y.try_add_(1.0).map(|_| ()).unwrap_err().to_string(), eager);
    assert!(y.detach().try_add_(1.0).is_ok());
}

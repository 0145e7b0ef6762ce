//! Which results share memory, with what, and how they lie in it.

use crate::{agree, look, range, share, shares, shares_with};
use allotrope::prelude::*;

#[test]
fn views_of_an_argument() {
    shares(|_, x| vec![x.view(&[-1])]);
    shares(|_, x| vec![x.t()]);
    shares(|_, x| vec![x.detach()]);
    shares(|_, x| vec![x.index(1)]);
    shares(|_, x| vec![x.narrow(0, 1, 2)]);
    shares(|_, x| vec![x.narrow(1, 2, 3).t()]);
    shares(|_, x| vec![x.unsqueeze(0).expand(&[3, -1, -1])]);
    shares(|_, x| vec![x.unsqueeze(1).permute(&[2, 0, 1]).index(1)]);
    shares(|_, x| vec![x.unfold(1, 2, 2)]);
    shares(|_, x| vec![x.unfold(1, 3, 1).narrow(2, 1, 2)]);
    shares(|_, x| x.split(2, 1));
}

#[test]
fn views_of_a_captured_tensor() {
    shares(|w, _| vec![w.view(&[-1])]);
    shares(|w, _| vec![w.t(), w.detach()]);
    shares(|w, x| vec![w.index(1), x * 2.0, w.narrow(1, 1, 2)]);
    shares(|w, _| vec![w.expand(&[2, -1, -1])]);
    shares(|w, _| vec![w.clone(), w.t().detach().index(0)]);
}

#[test]
fn views_of_computed_values() {
    shares(|_, x| {
        let y = x * 2.0;
        vec![y.t(), y]
    });
    shares(|_, x| {
        let y = x * 2.0;
        vec![y.clone(), y.index(0), y.t(), y.detach()]
    });
    // The value itself is no result.
    shares(|_, x| {
        let y = x * 2.0;
        vec![y.index(0), y.narrow(0, 0, 2), y.t().detach()]
    });
    shares(|_, x| vec![(x * 2.0).t()]);
    shares(|_, x| vec![(x * 2.0).detach()]);
    shares(|_, x| {
        let y = x * 2.0;
        let d = y.detach();
        vec![d.index(1), d.t(), y.index(1), d]
    });
    shares(|_, x| {
        let y = x + 1.0;
        vec![y.clone(), y.clone(), y.t(), y.t()]
    });
}

/// Views that no primitive shows.
#[test]
fn diagonals_and_strided_views() {
    shares(|_, x| vec![x.diagonal(0, 0, 1)]);
    // Which axis ends a diagonal below depends on the sizes.
    shares_with([2, 2], |w, x| vec![w.diagonal(1, 0, 1), w.t(), x.diagonal(-1, 1, 0).detach()]);
    shares(|w, x| {
        let y = x * 2.0;
        w.diagonal(0, 0, 1).fill_(7.0);
        vec![y.diagonal(0, 0, 1), y.index(1), w.diagonal(0, 0, 1).index(1)]
    });
    shares(|w, x| {
        let y = x * 2.0;
        vec![y.as_strided(&[2, 2], &[1, 3], 1), w.as_strided(&[2, 2], &[2, 1], 0), y]
    });
    shares(|_, x| vec![x.unsqueeze(0).diagonal(0, 1, 2).t()]);
}

#[test]
fn copies_stay_copies() {
    shares(|_, x| vec![x.flip(&[0])]);
    shares(|_, x| vec![x.t().contiguous()]);
    shares(|_, x| vec![x.t().reshape(&[-1])]);
    shares(|w, x| vec![x + 0.0, w + 0.0]);
    shares(|_, x| {
        let y = x * 2.0;
        vec![&y + 0.0, y.t().contiguous(), y]
    });
}

#[test]
fn the_closure_changes_what_the_view_shows() {
    shares(|_, x| {
        let y = x.view(&[-1]);
        let before = x.t() * 1.0;
        x.add_(1.0);
        let z = &y * 2.0;
        y.mul_(3.0);
        vec![y, z, before, x.clone(), x.t()]
    });
    shares(|w, x| {
        let y = w.t();
        w.add_(1.0);
        let copy = &y * 1.0;
        w.mul_(2.0);
        vec![y, copy, x * 1.0]
    });
    shares(|_, x| {
        let y = x * 2.0;
        let (a, b) = (y.index(0), y.index(1));
        a.add_(&b);
        let c = y.t();
        b.fill_(7.0);
        vec![a, b, c, y.sum()]
    });
}

/// Arguments with strides and an offset of their own.
#[test]
fn strides_are_the_caller_s() {
    let whole = || range(&[5, 12]);
    let lies: [fn(&Tensor) -> Tensor; 4] = [
        |t| t.narrow(0, 1, 4).narrow(1, 2, 6),
        |t| t.narrow(1, 1, 4).t(),
        |t| t.slice(1, None, None, 2),
        |t| t.index(1).view(&[2, 6]),
    ];
    let programs: [crate::Program; 5] = [
        |_, x| vec![x.t(), x.index(1)],
        |_, x| vec![x.narrow(0, 1, 1), x.detach()],
        |_, x| vec![x.unsqueeze(1).expand(&[-1, 2, -1])],
        |_, x| vec![x.unfold(1, 2, 1)],
        |_, x| vec![x.t().unsqueeze(0), x * 1.0, x.t() * 1.0],
    ];
    for lie in lies {
        for program in programs {
            agree(program, &|i| (i < 2).then(|| (range(&[2, 3]), lie(&whole()))), &share);
        }
    }
}

#[test]
fn one_tensor_twice_is_one_result() {
    let same = |results: &[Tensor]| {
        let each = results.iter().flat_map(|a| results.iter().map(|b| a.is_same(b)));
        vec![format!("{:?}", each.collect::<Vec<_>>())]
    };
    let program: crate::Program = |w, x| {
        let y = x * 2.0;
        let v = y.t();
        vec![v.clone(), y.clone(), v.clone(), x.clone(), w.clone(), y.detach(), w.detach(), w.detach()]
    };
    agree(program, &|i| (i < 2).then(|| (range(&[2, 3]), range(&[3, 2]))), &|_, _, r| same(r));
}

/// Each call gives views of its own argument, and of the same captured tensor.
#[test]
fn results_of_calls_before_keep_their_memory() {
    let w = range(&[2, 3]);
    let f = trace(|x: &Tensor| (x.t(), w.t(), (x * 1.0).t()));
    let (a, b) = (range(&[2, 2]), range(&[3, 2]));
    let (x, v, c) = f.call(&a).unwrap();
    let (y, u, d) = f.call(&b).unwrap();
    assert_eq!(f.compilations(), 1);
    b.fill_(9.0);
    w.fill_(8.0);
    assert_eq!(look(&x), look(&range(&[2, 2]).t()));
    assert_eq!(y.contiguous().to_vec::<f32>(), [9.0; 6]);
    assert_eq!((v.contiguous().to_vec::<f32>(), u.contiguous().to_vec::<f32>()), (vec![8.0; 6], vec![8.0; 6]));
    d.fill_(1.0);
    assert_eq!(look(&c), look(&range(&[2, 2]).t()));
}

#[test]
fn whole_numbers_too() {
    let make =
        |i: usize| (i < 2).then(|| (Tensor::arange(6).view(&[2, 3]), Tensor::arange(6 + 2 * i as i64).view(&[2, -1])));
    let after = |w: &Tensor, x: &Tensor, r: &[Tensor]| {
        w.add_(1);
        x.mul_(2);
        r[0].sub_(5);
        [w, x].into_iter().chain(r).map(look).collect()
    };
    agree(|w, x| vec![x.t(), w.index(1), x.detach()], &make, &after);
}

#[test]
fn inlined_in_another_trace() {
    let make = |i: usize| [4, 6].get(i).map(|&n| (range(&[2, 3]), range(&[n, 6])));
    let program: crate::Program = |w, x| {
        let inner = trace(|a: &Tensor| (a.t(), w.index(0), a * 2.0));
        let (t, row, y) = inner.call(x).unwrap();
        vec![t.index(0), row, y.t(), y]
    };
    agree(program, &make, &share);
}

#[test]
fn views_go_into_loops() {
    shares(|w, x| {
        let (last, all) = scan(w.index(0), x.t().narrow(0, 0, 3), |c, r| (&c + r.sum(), r * 2.0));
        vec![last, all.t(), all, x.t()]
    });
}

#[test]
fn verify_knows_views() {
    let w = range(&[2, 3]);
    let f = trace(|x: &Tensor| {
        let y = x * 2.0;
        x.add_(1.0);
        w.mul_(0.5);
        (x.t(), w.detach(), y.index(0), y, w.t())
    });
    let report = f.verify(&range(&[3, 2])).unwrap();
    assert!(report.is_equal(), "{report}");
    assert!(f.verify(&range(&[4, 5]).t()).unwrap().is_equal());
}

//! Every kind of view, of tensors of every kind of layout and of sizes 0, 1 and more: each two of the calls follow one another
//! through one traced function, and do what eager calls do.

use crate::common::{assert_all_same, copy};
use allotrope::ops::stepped;
use allotrope::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A tensor of this shape over memory that it shares with `whole`.
struct Laid {
    whole: Tensor,
    part: Tensor,
}

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| i as f32 + 1.0).collect(), shape)
}

/// The layouts by number.
const LAYOUTS: usize = 5;

/// The part of `whole` with `[m, n]` elements that lies in this way.
fn part(layout: usize, whole: &Tensor, m: usize, n: usize) -> Tensor {
    match layout {
        0 => whole.clone(),
        1 => whole.t(),
        2 => whole.narrow(1, 1, n),
        3 => whole.slice(1, None, None, 2),
        _ => whole.narrow(0, 1, m),
    }
}

fn whole(layout: usize, m: usize, n: usize) -> Tensor {
    match layout {
        0 => ramp(&[m, n]),
        1 => ramp(&[n, m]),
        2 => ramp(&[m, n + 2]),
        3 => ramp(&[m, 2 * n]),
        _ => ramp(&[m + 2, n]),
    }
}

fn laid(layout: usize, m: usize, n: usize) -> Laid {
    let whole = whole(layout, m, n);
    let part = part(layout, &whole, m, n);
    Laid { whole, part }
}

type View = fn(&Tensor) -> Tensor;

/// Views of a matrix, or copies where it lies otherwise.
const VIEWS: &[(&str, View)] = &[
    ("reshape", |x| x.reshape(&[-1])),
    ("reshape to columns", |x| x.reshape_as(&x.t())),
    ("of the transposed", |x| x.t().reshape(&[-1])),
    ("flatten", |x| x.flatten(0, 1)),
    ("ravel", |x| x.ravel()),
    ("ravel of the transposed", |x| x.mt().ravel()),
    ("unsqueeze and flatten", |x| x.unsqueeze(1).flatten(1, 2)),
    ("unsqueeze of the transposed", |x| x.t().unsqueeze(0).reshape(&[-1])),
    ("contiguous", |x| x.contiguous()),
    ("contiguous of the transposed", |x| x.t().contiguous()),
    ("flat of what is contiguous", |x| x.t().contiguous().reshape(&[-1])),
    ("narrow", |x| x.narrow(0, 0, x.size(0)).reshape(&[-1])),
    ("slice with a step", |x| x.slice(1, None, None, 2)),
    ("flat slice with a step", |x| x.slice(1, None, None, 2).reshape(&[-1])),
    ("index", |x| x.index((.., 0..)).reshape(&[-1])),
    ("index with a step", |x| x.index((stepped(.., 2), ..)).reshape(&[-1])),
    ("swapaxes", |x| x.swapaxes(0, 1).flatten(0, -1)),
    ("movedim", |x| x.movedim(&[0], &[1]).reshape(&[-1])),
    ("unflatten", |x| x.unflatten(1, &[-1, 1]).flatten(0, 1)),
    ("unflatten of the transposed", |x| x.t().unflatten(1, &[1, -1]).reshape(&[-1])),
    ("expand", |x| x.expand(&[-1, -1]).reshape(&[-1])),
    ("unfold", |x| x.unfold(1, 1, 1).reshape(&[-1])),
    ("squeeze", |x| x.squeeze_all().reshape(&[-1])),
    ("view", |x| x.view(&[-1])),
    ("view of the transposed", |x| x.t().view(&[-1])),
    ("view_as", |x| x.view_as(&x.t())),
    ("atleast_3d", |x| x.atleast_3d().reshape(&[-1])),
    ("einsum", |x| allotrope::ops::einsum("ij->ji", &[x]).reshape(&[-1])),
    ("alias", |x| x.detach().reshape(&[-1])),
    ("twice", |x| x.t().reshape(&[-1]).reshape_as(x).t().reshape(&[-1])),
];

/// The numbers that a program can have of a layout, as a tensor.
fn layout_of(x: &Tensor) -> Tensor {
    let mut numbers: Vec<f32> = x.strides().iter().map(|&s| s as f32).collect();
    numbers.push(f32::from(u8::from(x.is_contiguous())));
    numbers
        .iter()
        .fold(Tensor::zeros(&[0], DType::F32), |all, &n| allotrope::ops::cat(&[&all, &Tensor::full(&[1], n)], 0))
}

/// What a call leaves: its results, and the memory that it was given; an error is none.
fn outcome(x: &Laid, call: impl FnOnce(&Tensor) -> Option<Vec<Tensor>>) -> Option<Vec<Tensor>> {
    let results = catch_unwind(AssertUnwindSafe(|| call(&x.part))).ok().flatten();
    let mut all: Vec<Tensor> = results?.iter().map(copy).collect();
    all.push(copy(&x.whole));
    Some(all)
}

fn same(what: &str, got: &Option<Vec<Tensor>>, wanted: &Option<Vec<Tensor>>) {
    match (got, wanted) {
        (Some(a), Some(b)) => assert_all_same(what, a, b),
        (None, None) => {}
        (a, b) => panic!("{what}: {} where eager {}", told(a), told(b)),
    }
}

fn told(x: &Option<Vec<Tensor>>) -> &'static str {
    if x.is_some() { "succeeds" } else { "fails" }
}

/// Every two layouts and sizes, one after the other, through one function of each form.
fn check(name: &str, program: &dyn Fn(&Tensor) -> Vec<Tensor>, layouts: &[usize], sizes: &[(usize, usize)]) {
    let mut calls = Vec::new();
    for &layout in layouts {
        calls.extend(sizes.iter().map(|&(m, n)| (layout, m, n)));
    }
    // What was recorded for one must not be used for any other that it does not fit, whichever comes first.
    for backwards in [false, true] {
        if backwards {
            calls.reverse();
        }
        let traced = trace(|x: &Tensor| program(x));
        let dynamic = trace_dynamic(|x: &Tensor| program(x));
        for &(layout, m, n) in &calls {
            let wanted = outcome(&laid(layout, m, n), |x| Some(program(x)));
            let what = format!("{name}: layout {layout} of [{m}, {n}], {backwards}");
            same(&what, &outcome(&laid(layout, m, n), |x| traced.call(x).ok()), &wanted);
            same(&format!("dynamic {what}"), &outcome(&laid(layout, m, n), |x| dynamic.call(x).ok()), &wanted);
        }
    }
}

const SIZES: &[(usize, usize)] = &[(2, 3), (1, 3), (3, 1), (1, 1), (0, 2), (3, 2)];

/// A change in place of what a view of a computed value gives, seen in the value.
#[test]
fn views_of_computed_values() {
    for &(name, view) in VIEWS {
        let program = |x: &Tensor| {
            let y = x * 1.0;
            let v = view(&y);
            v.mul_(2.0);
            vec![y, v]
        };
        check(name, &program, &[0], SIZES);
    }
}

/// The other way round: the value is changed, and the view looked at.
#[test]
fn changed_values_in_older_views() {
    for &(name, view) in VIEWS {
        let program = |x: &Tensor| {
            let y = x * 1.0;
            let v = view(&y);
            y.add_(10.0);
            vec![v * 1.0]
        };
        check(name, &program, &[0], SIZES);
    }
}

/// The same of arguments, whose layouts differ between calls.
#[test]
fn views_of_arguments() {
    for &(name, view) in VIEWS {
        let program = |x: &Tensor| {
            let v = view(x);
            v.mul_(2.0);
            vec![v * 1.0]
        };
        check(name, &program, &[0, 1, 2, 3, 4], &[(2, 3), (1, 3), (3, 1), (0, 2)]);
    }
}

/// What a program reads of a layout.
#[test]
fn layouts_as_numbers() {
    for &(name, view) in VIEWS {
        check(name, &|x| vec![layout_of(&view(x))], &[0, 1, 2, 3, 4], &[(2, 3), (1, 3), (3, 1), (0, 2)]);
    }
}

/// Where nobody can see whether elements were copied, layouts and lengths are no programs.
#[test]
fn what_nothing_observes_is_no_guard() {
    for &(name, view) in
        VIEWS.iter().filter(|(name, _)| !["narrow", "squeeze", "view", "index with a step"].contains(name))
    {
        if name.contains("step") || name.starts_with("view") {
            continue;
        }
        // How a result lies can be seen, and what it is summed to says nothing of it.
        let f = trace(|x: &Tensor| view(x).exp().sum());
        for layout in 0..LAYOUTS {
            for (m, n) in [(2, 3), (5, 4), (3, 2)] {
                let x = laid(layout, m, n).part;
                assert_all_same(name, &[f.call(&x).unwrap()], &[view(&x).exp().sum()]);
            }
        }
        assert_eq!(f.compilations(), 1, "{name}: {}", f.explain()[0].guards());
    }
}

//! `as_strided` of tensors that do not fill their memory, or lie in it otherwise than in row-major order: any element of the memory
//! is seen, changed and has its gradient as in PyTorch, in both modes. Numbers are PyTorch's.

use crate::common::{assert_all_same, copy};
use allotrope::ops::cat;
use allotrope::prelude::*;

type After<'a> = Option<&'a dyn Fn(&[Tensor])>;
type Place = (&'static [usize], &'static [usize], usize);
type Row = (&'static str, Place, Place, &'static [f32], &'static [f32]);

/// How a leaf lies in memory of 12 elements, what is seen, the elements, and the gradient where element `i` weighs `i + 1`.
const SEEN: &[Row] = &[
    ("between its elements", (&[2], &[2], 1), (&[2], &[2], 0), &[1.0, 3.0], &[0.0, 0.0]),
    ("around them", (&[2], &[2], 1), (&[4], &[1], 0), &[1.0, 2.0, 3.0, 4.0], &[2.0, 4.0]),
    ("across", (&[2, 2], &[4, 1], 2), (&[3, 2], &[1, 3], 1), &[2.0, 5.0, 3.0, 6.0, 4.0, 7.0], &[3.0, 5.0, 6.0, 0.0]),
    (
        "repeated rows",
        (&[3, 2], &[0, 1], 2),
        (&[4], &[1], 0),
        &[1.0, 2.0, 3.0, 4.0],
        &[1.0, 4.0 / 3.0, 1.0, 4.0 / 3.0, 1.0, 4.0 / 3.0],
    ),
    ("one element", (&[3], &[0], 2), (&[2], &[0], 2), &[3.0, 3.0], &[1.0, 1.0, 1.0]),
    ("windows", (&[3, 2], &[1, 1], 2), (&[4], &[1], 1), &[2.0, 3.0, 4.0, 5.0], &[2.0, 1.5, 1.5, 2.0, 2.0, 0.0]),
    ("seen in windows", (&[3], &[1], 2), (&[3, 2], &[1, 1], 1), &[2.0, 3.0, 3.0, 4.0, 4.0, 5.0], &[5.0, 9.0, 6.0]),
    ("no elements", (&[0], &[1], 2), (&[2], &[1], 1), &[2.0, 3.0], &[]),
    ("none of them", (&[3], &[1], 2), (&[0, 2], &[1, 1], 1), &[], &[0.0, 0.0, 0.0]),
    ("elsewhere", (&[3], &[1], 2), (&[2], &[1], 8), &[9.0, 10.0], &[0.0, 0.0, 0.0]),
    ("without axes", (&[2, 2], &[4, 1], 2), (&[], &[], 3), &[4.0], &[0.0, 1.0, 0.0, 0.0]),
    ("a number repeated", (&[], &[], 2), (&[3], &[0], 2), &[3.0, 3.0, 3.0], &[6.0]),
    ("around a number", (&[], &[], 2), (&[3], &[1], 2), &[3.0, 4.0, 5.0], &[1.0]),
    ("a long axis of one", (&[2, 2], &[4, 1], 2), (&[1, 2], &[9, 1], 3), &[4.0, 5.0], &[0.0, 1.0, 0.0, 0.0]),
    ("transposed", (&[2, 3], &[1, 2], 3), (&[4], &[2], 2), &[3.0, 5.0, 7.0, 9.0], &[0.0, 0.0, 0.0, 2.0, 3.0, 4.0]),
];

fn ramp(n: usize) -> Tensor {
    Tensor::from_vec((1..=n).map(|i| i as f32).collect(), &[n])
}

/// All memory, and a leaf in it.
fn lying((shape, strides, offset): Place) -> (Tensor, Tensor) {
    let memory = ramp(12);
    let leaf = memory.as_strided(shape, strides, offset).detach();
    (memory, leaf)
}

fn weighed(y: &Tensor) -> Tensor {
    (y.reshape(&[-1]) * (Tensor::arange(y.numel() as i64) + 1)).sum()
}

/// Runs the program eagerly, and twice in each form of a trace, with the leaf as an argument and captured, on equal memory each
/// time; gives the results, with the memory and the leaf's gradient after them.
fn everywhere(
    what: &str,
    at: Place,
    requires_grad: bool,
    program: &(dyn Fn(&Tensor) -> Vec<Tensor> + Sync),
    after: After<'_>,
) -> Vec<Tensor> {
    let run = |f: &dyn Fn(&Tensor) -> Vec<Tensor>| {
        let (memory, leaf) = lying(at);
        leaf.set_requires_grad(requires_grad);
        let results = f(&leaf);
        after.into_iter().for_each(|after| after(&results));
        let mut all: Vec<Tensor> = results.iter().map(|t| copy(&t.detach())).collect();
        all.push(copy(&memory));
        all.extend(leaf.grad().map(|g| copy(&g)));
        all
    };
    let eager = run(program);
    let (traced, dynamic) = (trace(|x: &Tensor| program(x)), trace_dynamic(|x: &Tensor| program(x)));
    for call in 0..2 {
        let text = |form: &str| format!("{form}, {what}, call {call}");
        let fails = |form: &str, e| panic!("{}: {e}", text(form));
        let form = "an argument";
        assert_all_same(&text(form), &run(&|x| traced.call(x).unwrap_or_else(|e| fails(form, e))), &eager);
        if after.is_none() {
            let form = "an argument, dynamic";
            assert_all_same(&text(form), &run(&|x| dynamic.call(x).unwrap_or_else(|e| fails(form, e))), &eager);
        }
        let form = "captured";
        let captured = |x: &Tensor| trace(|_: &Tensor| program(x)).call(&ramp(1)).unwrap_or_else(|e| fails(form, e));
        assert_all_same(&text(form), &run(&captured), &eager);
    }
    let twice = |x: &Tensor| {
        let f = trace(|_: &Tensor| program(x));
        f.call(&ramp(1)).unwrap();
        f.call(&ramp(1)).unwrap()
    };
    let eagerly = |x: &Tensor| {
        program(x);
        program(x)
    };
    assert_all_same(&format!("captured, two calls, {what}"), &run(&twice), &run(&eagerly));
    eager
}

#[test]
fn elements_and_gradients() {
    for &(name, at, (shape, strides, offset), elements, gradient) in SEEN {
        let view = move |x: &Tensor| x.as_strided(shape, strides, offset);
        let inside = everywhere(
            name,
            at,
            true,
            &|x| vec![view(x), grad(&[&weighed(&view(x))], &[x], false).unwrap().remove(0).unwrap()],
            None,
        );
        assert_eq!(inside[0].to_vec::<f32>(), elements, "{name}");
        assert_eq!(inside[1].to_vec::<f32>(), gradient, "{name}");
        // The backward pass begins outside.
        let outside = everywhere(name, at, true, &|x| vec![weighed(&view(x))], Some(&|all| all[0].backward()));
        assert_eq!(outside[2].to_vec::<f32>(), gradient, "{name}");
        // What no gradient is wanted of is a view too.
        everywhere(name, at, false, &|x| vec![view(x), &view(x) * 2.0], None);
    }
}

/// Whatever is changed in memory, every tensor that shows it sees that.
#[test]
fn changes_in_place() {
    let at: Place = (&[2, 2], &[4, 1], 2);
    let around = everywhere(
        "around",
        at,
        false,
        &|x| {
            let y = x.as_strided(&[4], &[2], 0);
            y.mul_(10.0);
            x.add_(1.0);
            vec![x * 1.0, &y * 1.0, x.as_strided(&[12], &[1], 0) * 1.0, x.index(1) * 1.0]
        },
        None,
    );
    let memory = [10.0, 2.0, 31.0, 5.0, 50.0, 6.0, 71.0, 9.0, 9.0, 10.0, 11.0, 12.0];
    assert_eq!(around[0].to_vec::<f32>(), [31.0, 5.0, 71.0, 9.0]);
    assert_eq!(around[1].to_vec::<f32>(), [10.0, 31.0, 50.0, 71.0]);
    assert_eq!(around[2].to_vec::<f32>(), memory);
    assert_eq!(around[4].to_vec::<f32>(), memory);
    let before = everywhere(
        "after a change",
        at,
        false,
        &|x| {
            x.mul_(-1.0);
            let y = x.as_strided(&[2, 2], &[3, 1], 1);
            y.add_(100.0);
            vec![x * 1.0, y]
        },
        None,
    );
    assert_eq!(before[0].to_vec::<f32>(), [97.0, -4.0, -7.0, -8.0]);
    let part = everywhere(
        "of a part",
        at,
        false,
        &|x| {
            let y = x.index(1).as_strided(&[2], &[1], 9);
            y.fill_(0.5);
            x.index(0).fill_(7.0);
            vec![y, x.clone()]
        },
        None,
    );
    assert_eq!(part[2].to_vec::<f32>()[9..], [0.5, 0.5, 12.0]);
    // Elements that meet.
    let alike = everywhere(
        "alike",
        at,
        false,
        &|x| {
            let y = x.as_strided(&[3, 2], &[1, 1], 4);
            y.fill_(0.5);
            vec![y, x * 1.0]
        },
        None,
    );
    assert_eq!(alike[2].to_vec::<f32>()[4..9], [0.5, 0.5, 0.5, 0.5, 9.0]);
}

/// What is changed in place has its history from the change on, and the tensors that show it, too.
#[test]
fn history_of_changes() {
    let by = |f: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
        let (_, x) = lying((&[2, 2], &[3, 1], 2));
        let s = Tensor::scalar(2.0f32).requires_grad();
        f(&x, &s).backward();
        s.grad().unwrap().to_vec::<f32>()[0]
    };
    let changed = |x: &Tensor, s: &Tensor| {
        let y = x.as_strided(&[2], &[1], 1);
        y.mul_(s);
        (x.clone(), y)
    };
    // Elements 2 and 3, of which x has the second one.
    assert_eq!(by(&|x, s| weighed(&changed(x, s).0)), 3.0);
    // Nothing flows through what stands between the elements of x; in PyTorch that is not defined.
    assert_eq!(by(&|x, s| weighed(&changed(x, s).1)), 6.0);
    let inside = everywhere(
        "history",
        (&[2, 2], &[3, 1], 2),
        false,
        &|x| {
            let x = (x * 1.0).as_strided(&[2, 2], &[2, 1], 0).detach();
            let s = Tensor::scalar(2.0f32).requires_grad();
            let (x, y) = changed(&x, &s);
            let of = |y: &Tensor| grad(&[&weighed(y)], &[&s], true).unwrap().remove(0).unwrap();
            vec![of(&x), of(&y), x.detach(), y.detach()]
        },
        None,
    );
    assert_eq!(inside[0].to_vec::<f32>(), [2.0 * 4.0 + 3.0 * 6.0]);
    // A leaf that is changed under no_grad.
    let leaf = everywhere(
        "a leaf",
        (&[2], &[2], 1),
        true,
        &|x| {
            let y = x.as_strided(&[3], &[1], 0);
            no_grad(|| y.add_(10.0).detach());
            let loss = weighed(&(&y * &y));
            let gradient = grad(&[&loss], &[x], false).unwrap().remove(0).unwrap();
            vec![y.detach(), x.detach(), gradient]
        },
        None,
    );
    assert_eq!(leaf[1].to_vec::<f32>(), [12.0, 4.0]);
    assert_eq!(leaf[2].to_vec::<f32>(), [48.0, 0.0]);
}

#[test]
fn second_derivatives() {
    let twice = |x: &Tensor, y: Tensor| {
        let first = grad(&[&(&y * &y).sum()], &[x], true).unwrap().remove(0).unwrap();
        let second = grad(&[&first.sum()], &[x], false).unwrap().remove(0).unwrap();
        vec![first.detach(), second]
    };
    let gaps = everywhere("gaps", (&[2, 2], &[3, 1], 2), true, &|x| twice(x, x.as_strided(&[4], &[1], 1)), None);
    assert_eq!(
        (gaps[0].to_vec::<f32>(), gaps[1].to_vec::<f32>()),
        (vec![6.0, 8.0, 0.0, 0.0], vec![2.0, 2.0, 0.0, 0.0])
    );
    let shared = (&[2, 2][..], &[0, 1][..], 2);
    let all = everywhere("shared", shared, true, &|x| twice(x, x.as_strided(&[2, 2], &[1, 1], 1)), None);
    assert_eq!((all[0].to_vec::<f32>(), all[1].to_vec::<f32>()), (vec![6.0, 4.0, 6.0, 4.0], vec![2.0, 1.0, 2.0, 1.0]));
}

/// It is a view of what the tensor is a view of, wherever the elements are.
#[test]
fn views_of_the_base() {
    for at in [(&[2, 2][..], &[4, 1][..], 2), (&[4], &[1], 0), (&[2, 2], &[1, 2], 0)] {
        let marks = everywhere(
            "marks",
            at,
            true,
            &|x| {
                let y = no_grad(|| x.as_strided(&[2], &[2], 1));
                let z = x.index(0).as_strided(&[2], &[2], 1);
                let mark = |on: bool| Tensor::full(&[1], f32::from(u8::from(on)));
                let marks: Vec<Tensor> = [&y, &z, &z.detach()]
                    .into_iter()
                    .flat_map(|t| [mark(t.is_requires_grad()), mark(t.is_leaf())])
                    .collect();
                vec![cat(&marks.iter().collect::<Vec<_>>(), 0), y, z]
            },
            Some(&|all| {
                assert!(all[1].is_requires_grad() && all[1].is_leaf());
                assert!(all[2].is_requires_grad() && !all[2].is_leaf());
            }),
        );
        assert_eq!(marks[0].to_vec::<f32>(), [1.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
    }
}

/// Captured tensors that show one memory in different ways, as detached ones do: a change of one is a change of all.
#[test]
fn captured_tensors_of_one_memory() {
    let run = |traced: bool| {
        let memory = ramp(6);
        let (a, b) = (memory.view(&[2, 3]).detach(), memory.as_strided(&[3], &[2], 1).detach());
        let (row, all) = (memory.narrow(0, 3, 3).detach(), memory.view(&[3, 2]).t().detach());
        let f = |x: &Tensor| {
            let before = &row * 1.0;
            a.mul_(x);
            let between = &b * 1.0;
            b.add_(1.0);
            (before, between, &a * 1.0, &row + &b, &all * 1.0)
        };
        let traced = traced.then(|| trace(f));
        let mut results = Vec::new();
        for i in 0..2 {
            let x = Tensor::scalar(2.0 + i as f32);
            let (p, q, r, s, t) = traced.as_ref().map_or_else(|| f(&x), |f| f.call(&x).unwrap());
            results.extend([p, q, r, s, t, &memory * 1.0]);
        }
        results
    };
    let eager = run(false);
    assert_eq!(eager[5].to_vec::<f32>(), [2.0, 5.0, 6.0, 9.0, 10.0, 13.0]);
    assert_all_same("captured", &run(true), &eager);
}

/// What is computed lies as its operand does, and is seen so by `as_strided`, in every call.
#[test]
fn computed_in_another_order() {
    let base = Tensor::from_vec((0..20).map(|i| i as f32).collect(), &[5, 4]);
    let given = || base.t().requires_grad_(false).clone();
    let f = |x: &Tensor| {
        let y = x.neg();
        let z = y.as_strided(&[1], &[2], 8);
        vec![y, z]
    };
    let eager = f(&given());
    assert_eq!(eager[1].to_vec::<f32>(), [-8.0]);
    let (traced, dynamic) = (trace(f), trace_dynamic(f));
    for i in 0..3 {
        assert_eq!(traced.call(&given()).unwrap()[1].to_vec::<f32>(), [-8.0], "{i}, trace");
        assert_eq!(dynamic.call(&given()).unwrap()[1].to_vec::<f32>(), [-8.0], "{i}, trace_dynamic");
    }
    let leaf = || {
        let x = base.t().detach();
        x.set_requires_grad(true);
        x
    };
    let (traced, dynamic) = (trace(f), trace_dynamic(f));
    for i in 0..3 {
        assert_eq!(traced.call(&leaf()).unwrap()[1].detach().to_vec::<f32>(), [-8.0], "{i}, trace, leaf");
        assert_eq!(dynamic.call(&leaf()).unwrap()[1].detach().to_vec::<f32>(), [-8.0], "{i}, trace_dynamic, leaf");
    }
}

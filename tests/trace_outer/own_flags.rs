//! What a traced closure changes of the history of its arguments and of captured tensors, with `requires_grad_` and `detach_`, the
//! caller's tensors have after the call, as in eager code; and gradients go where they go there.

use allotrope::prelude::*;

fn vector(from: f32) -> Tensor {
    Tensor::from_vec(vec![from, from + 1.0, from - 2.5], &[3])
}

/// How a tensor comes to a call.
#[derive(Clone, Copy, Debug)]
enum Given {
    Plain,
    Leaf,
    Computed,
    /// A view of something plain.
    Part,
}

/// A tensor, and the leaf that it is computed from.
fn given(how: Given) -> [Tensor; 2] {
    let leaf = vector(0.25).requires_grad();
    let tensor = match how {
        Given::Plain => vector(0.25),
        Given::Leaf => leaf.clone(),
        Given::Computed => &leaf * 2.0,
        Given::Part => Tensor::ones(&[2, 3], DType::F32).index(0),
    };
    [tensor, leaf]
}

type Program = fn(&Tensor, &Tensor) -> Vec<Tensor>;

fn look(t: &Tensor) -> String {
    let elements = t.detach().to_vec::<f32>();
    format!("{elements:?} {} {} {:?}", t.is_requires_grad(), t.is_leaf(), t.grad().map(|g| g.to_vec::<f32>()))
}

/// Everything that can be seen after a call, and after the backward pass of each result where that is to be.
fn seen(x: &[Tensor; 2], w: &[Tensor; 2], results: &[Tensor], backward: bool) -> Vec<String> {
    let all = || x.iter().chain(w).chain(results);
    let mut seen: Vec<String> = all().map(look).collect();
    seen.extend(results.iter().map(|t| format!("{:?}", all().position(|o| o.is_same(t)))));
    for t in results.iter().filter(|t| backward && t.is_requires_grad()) {
        let done = (t * t).sum().try_backward();
        seen.push(format!("{:?}", done.map_err(|_| "refused")));
        seen.extend(all().map(look));
    }
    seen
}

/// Runs a program on these in every mode, twice each, on new arguments.
#[track_caller]
fn agree(program: Program, [of_x, of_w]: [Given; 2]) {
    let run = |call: &dyn Fn(&Tensor) -> Vec<Tensor>, w: &[Tensor; 2], backward: bool| -> Vec<Vec<String>> {
        let once = |_| {
            let x = given(of_x);
            seen(&x, w, &call(&x[0]), backward)
        };
        (0..2).map(once).collect()
    };
    for backward in [true, false] {
        let w = given(of_w);
        let eager = run(&|x| program(x, &w[0]), &w, backward);
        let w = given(of_w);
        let f = trace(|x: &Tensor| program(x, &w[0]));
        assert_eq!(eager, run(&|x| f.call(x).unwrap(), &w, backward), "trace, {of_x:?} {of_w:?}");
        if !backward {
            let w = given(of_w);
            let f = trace_dynamic(|x: &Tensor| program(x, &w[0]));
            assert_eq!(eager, run(&|x| f.call(x).unwrap(), &w, backward), "trace_dynamic, {of_x:?} {of_w:?}");
        }
    }
}

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

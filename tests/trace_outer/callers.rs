//! A program that changes the caller's tensors, run on new ones in every mode: everything that can be seen of them after the call, and
//! after backward passes outside the call. What programs do is not decided here.

use allotrope::prelude::*;

pub fn vector(from: f32) -> Tensor {
    Tensor::from_vec(vec![from, from + 1.0, from - 2.5], &[3])
}

/// How a tensor comes to a call.
#[derive(Clone, Copy, Debug)]
pub enum Given {
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

pub type Program = fn(&Tensor, &Tensor) -> Vec<Tensor>;

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
pub fn agree(program: Program, [of_x, of_w]: [Given; 2]) {
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

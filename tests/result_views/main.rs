//! Results of traced calls that are views, and gradients that are tensors: what shares memory eagerly shares it after a call,
//! with the caller's strides and the history that eager code has. Every program runs eagerly, by `trace` and by
//! `trace_dynamic`, and what is done to its tensors afterwards must be seen in the same places.

mod chosen;
mod gradients;
mod history;
mod in_place;
mod memory;
mod saved;

use allotrope::prelude::*;

/// A program of a captured tensor and an argument.
type Program = fn(&Tensor, &Tensor) -> Vec<Tensor>;

/// What is done to the captured tensor, the argument and the results after a call: what can be seen of it.
type After<'a> = &'a dyn Fn(&Tensor, &Tensor, &[Tensor]) -> Vec<String>;

/// Everything that can be seen of a tensor.
fn look(t: &Tensor) -> String {
    let elements: Vec<u64> = match t.dtype() {
        DType::F32 => t.detach().contiguous().to_vec::<f32>().iter().map(|x| u64::from(x.to_bits())).collect(),
        DType::I64 => t.contiguous().to_vec::<i64>().iter().map(|x| *x as u64).collect(),
        other => panic!("no test has a tensor of {other}"),
    };
    let history = (t.is_requires_grad(), t.is_leaf());
    format!("{:?} strides {:?} {} {history:?} {elements:?}", t.shape(), t.strides(), t.is_contiguous())
}

fn range(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((0..n).map(|i| i as f32 * 0.75 - 2.0).collect(), shape)
}

/// Changes each tensor in turn by another number, and looks at all of them each time.
fn share(w: &Tensor, x: &Tensor, results: &[Tensor]) -> Vec<String> {
    let all: Vec<&Tensor> = [w, x].into_iter().chain(results).collect();
    let mut seen: Vec<String> = all.iter().map(|t| look(t)).collect();
    for (i, t) in all.iter().enumerate() {
        let changed = no_grad(|| t.try_add_(1.5 + i as f64).map(|_| ()));
        seen.push(format!("{:?}", changed.map_err(|e| e.to_string())));
        seen.extend(all.iter().map(|t| look(t)));
    }
    seen
}

/// Runs the program in every mode on tensors that `make` makes, as often as it makes some, and compares what is seen.
fn agree(program: Program, make: &dyn Fn(usize) -> Option<(Tensor, Tensor)>, after: After<'_>) -> [usize; 2] {
    let calls: Vec<(Tensor, Tensor)> = (0..).map_while(make).collect();
    // One captured tensor for all calls of a mode, as a closure has it.
    let run =
        |call: &mut dyn FnMut(&Tensor, &Tensor) -> Vec<Tensor>, w: &Tensor, calls: Vec<Tensor>| -> Vec<Vec<String>> {
            calls
                .iter()
                .map(|x| {
                    let results = call(w, x);
                    after(w, x, &results)
                })
                .collect()
        };
    let again = |i: usize| make(i).expect("made before");
    let given = || -> Vec<Tensor> { (0..calls.len()).map(|i| again(i).1).collect() };
    let w = again(0).0;
    let eager = run(&mut |w, x| program(w, x), &w, given());
    let w = again(0).0;
    let f = trace(|x: &Tensor| program(&w, x));
    let traced = run(&mut |_, x| f.call(x).unwrap(), &w, given());
    assert_eq!(eager, traced, "trace");
    let v = again(0).0;
    let g = trace_dynamic(|x: &Tensor| program(&v, x));
    let dynamic = run(&mut |_, x| g.call(x).unwrap(), &v, given());
    assert_eq!(eager, dynamic, "trace_dynamic");
    [f.compilations(), g.compilations()]
}

/// As [`agree`], for two calls of other sizes, by changing every tensor in turn.
#[track_caller]
fn shares(program: Program) {
    shares_with([1, 1], program);
}

/// As [`shares`], with as many compilations in both forms.
#[track_caller]
fn shares_with(compilations: [usize; 2], program: Program) {
    let make = |i: usize| [4, 6].get(i).map(|&n| (range(&[2, 3]), range(&[n, 6])));
    assert_eq!(agree(program, &make, &share), compilations);
}

//! A loaded program hands out the same tensors as the closure: views of its arguments, of its state and of computed values.

use crate::{look, range};
use allotrope::prelude::*;
use allotrope::trace::{Names, Program};

#[test]
fn a_loaded_program_gives_views() {
    let w = range(&[2, 3]).requires_grad();
    w.set_grad(Some(range(&[2, 3])));
    let f = trace(|x: &Tensor| {
        let y = x * 2.0;
        w.grad().unwrap().mul_(2.0);
        let old = w.grad().unwrap();
        w.set_grad(Some(y.clone()));
        let row = w.detach().index(&y.argmax().clamp_max(1));
        (x.diagonal(0, 0, 1), row, y.narrow(0, 0, 1).t(), y.clone(), y, old)
    });
    f.compile(&range(&[2, 3])).unwrap();
    let path = std::env::temp_dir().join(format!("allotrope-result-views-{}", std::process::id()));
    f.save_with_names(&path, &Names::new().tensor("w", &w)).unwrap();
    let program = Program::load(&path).unwrap();
    for ending in ["graph", "safetensors"] {
        std::fs::remove_file(path.with_extension(ending)).unwrap();
    }
    let v = program.state("w").unwrap().clone();
    let run = |x: &Tensor, w: &Tensor, results: Vec<Tensor>| {
        let grad = w.grad().unwrap();
        let all: Vec<&Tensor> = results.iter().chain([x, &grad]).collect();
        let mut seen: Vec<String> = all.iter().map(|t| look(t)).collect();
        for a in &all {
            seen.push(format!("{:?}", all.iter().map(|b| a.is_same(b)).collect::<Vec<_>>()));
            no_grad(|| a.add_(1.0));
            seen.extend(all.iter().map(|t| look(t)));
        }
        seen
    };
    for _ in 0..2 {
        let (x, y) = (range(&[2, 3]), range(&[2, 3]));
        let (a, b, c, d, e, g) = f.call(&x).unwrap();
        let loaded = program.call(&[&y]).unwrap();
        assert_eq!(run(&x, &w, vec![a, b, c, d, e, g]), run(&y, &v, loaded));
    }
}

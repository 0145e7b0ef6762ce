//! Compiled programs with symbolic sizes: each call's sizes are checked when its symbols get their numbers.

use crate::refused;
use allotrope::prelude::*;
use allotrope::trace::Program;

/// A tensor of that many elements, which take one byte.
fn long(n: usize) -> Tensor {
    Tensor::ones(&[1], DType::Bool).expand(&[n as isize])
}

#[test]
fn products_of_symbols_are_checked_when_they_are_bound() {
    let square = trace(|x: &Tensor| {
        let n = x.sizes()[0];
        let line = x.sum().to(DType::F32).expand_as(x);
        let _ = n;
        (line.unsqueeze(1) * line.unsqueeze(0)).sum()
    });
    assert_eq!(square.call(&Tensor::ones(&[3], DType::F32)).unwrap().item::<f32>(), 81.0);
    let other = Tensor::ones(&[5], DType::F32);
    assert_eq!(square.call(&other).unwrap().item::<f32>(), 625.0);
    assert_eq!(square.compilations(), 1);
}

#[test]
fn results_of_a_call_are_checked_before_it_runs() {
    let wide = trace(|x: &Tensor| x.unsqueeze(1).logical_or(&x.unsqueeze(0)));
    assert_eq!(wide.call(&long(2)).unwrap().shape(), [2, 2]);
    // As many bytes as no machine has, and more than a tensor can have.
    let middling = Tensor::zeros(&[1 << 22], DType::Bool);
    refused(wide.call(&middling), "bool[4194304, 4194304]");
    let large = Tensor::zeros(&[1 << 24], DType::Bool);
    refused(wide.call(&large), "bool[16777216, 16777216]");
    assert_eq!(wide.call(&long(3)).unwrap().shape(), [3, 3]);
    assert_eq!(wide.compilations(), 1);
}

#[test]
fn what_is_computed_on_the_way_is_checked_before_it_runs() {
    let inside = trace(|x: &Tensor| {
        let y = x.unsqueeze(1) + x.unsqueeze(0);
        y.matmul(&y.t()).sum()
    });
    assert_eq!(inside.call(&Tensor::ones(&[2], DType::F32)).unwrap().item::<f32>(), 32.0);
    let x = Tensor::ones(&[1 << 23], DType::F32);
    refused(inside.call(&x), "8388608");
    assert_eq!(inside.compilations(), 1);
}

#[test]
fn a_loaded_program_passes_the_same_place() {
    let wide = trace(|x: &Tensor| x.unsqueeze(1).logical_or(&x.unsqueeze(0)));
    wide.call(&long(2)).unwrap();
    let path = std::env::temp_dir().join(format!("allotrope-sizes-{}", std::process::id()));
    wide.save(&path).unwrap();
    let program = Program::load(&path).unwrap();
    for ending in ["graph", "safetensors"] {
        std::fs::remove_file(path.with_extension(ending)).unwrap();
    }
    assert_eq!(program.call(&[&long(3)]).unwrap()[0].shape(), [3, 3]);
    refused(program.call(&[&Tensor::zeros(&[1 << 24], DType::Bool)]), "bool[16777216, 16777216]");
    refused(program.call(&[&Tensor::zeros(&[1 << 22], DType::Bool)]), "bool[4194304, 4194304]");
}

#[test]
fn a_failed_call_changes_nothing() {
    let w = Tensor::ones(&[2], DType::F32);
    let state = w.clone();
    let step = trace(move |x: &Tensor| {
        state.mul_(2.0);
        x.unsqueeze(1).logical_or(&x.unsqueeze(0))
    });
    step.call(&long(2)).unwrap();
    refused(step.call(&Tensor::zeros(&[1 << 24], DType::Bool)), "16777216");
    assert_eq!(w.to_vec::<f32>(), [2.0, 2.0]);
    step.call(&long(2)).unwrap();
    assert_eq!(w.to_vec::<f32>(), [4.0, 4.0]);
}

#[test]
fn a_narrow_of_a_captured_size_reads_nothing_foreign() {
    let part = trace(|t: &Tensor| t.narrow(0, 100, 3) * 1.0);
    let x = Tensor::ones(&[1], DType::F32).expand(&[(1 << 40) + 2]);
    refused(part.call(&x), "f32[1099511627778]");
    let x = Tensor::arange(104).to(DType::F32);
    assert_eq!(part.call(&x).unwrap().to_vec::<f32>(), [100.0, 101.0, 102.0]);
}

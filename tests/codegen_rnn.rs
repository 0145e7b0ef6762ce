//! The training step of a recurrent network as one graph must be right however it has been optimised;
//! `cargo bench --bench compiled_step` measures it.

mod codegen_support;
#[path = "codegen_support/rnn.rs"]
mod rnn;

use allotrope::backend::cpu::Compiled;
use allotrope_ir::*;
use codegen_support::{agree, call};
use rnn::{plausible, step};

fn optimized(g: &Graph, passes: &[passes::Pass]) -> Graph {
    passes.iter().fold(g.clone(), |g, p| p.run(&g))
}

#[test]
fn the_step_is_right_however_it_was_optimized() {
    let graphs = [
        (step(Dim::fixed(10), Dim::fixed(1)), vec![vec![]]),
        (step(Dim::sym(Sym(0)), Dim::sym(Sym(1))), vec![vec![10, 1], vec![3, 2], vec![1, 1], vec![7, 5], vec![0, 1]]),
    ];
    for (g, bindings) in graphs {
        let variants = [g.clone(), optimized(&g, passes::PIPELINE), optimized(&g, &[passes::Pass::FuseElementwise])];
        let compiled: Vec<Compiled> = variants.iter().map(codegen_support::compile).collect();
        for binding in bindings {
            let ins = plausible(&g, &binding);
            let want = run(&g, &binding, &ins).unwrap();
            let first = call(&compiled[0], &variants[0], &binding, &ins);
            for (j, (got, want)) in first.iter().zip(&want).enumerate() {
                assert!(agree(got, want, 1e-4), "output {j} under {binding:?}\n got {got:?}\nwant {want:?}");
            }
            for (c, v) in compiled.iter().zip(&variants).skip(1) {
                let again = call(c, v, &binding, &ins);
                for (j, (a, b)) in again.iter().zip(&first).enumerate() {
                    assert!(a.same_bits(b), "output {j} under {binding:?}: {a:?} {b:?}\n{v}");
                }
            }
        }
    }
}

//! Random programs give equal bits in every form: eager, traced, traced with some passes only; and the interpreter,
//! which shares no code with either, agrees.

use crate::common::{difference, numbers};
use crate::generate::{Case, Kind, cases};
use crate::program::Derivative;
use crate::seed;
use allotrope::ir::passes::Passes;
use allotrope::ir::{Array, Graph, Scalar, run};
use allotrope::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

fn config(cases: u32) -> Config {
    Config { max_shrink_iters: 3000, ..seed::config(cases) }
}

fn same(what: &str, a: &[Tensor], b: &[Tensor]) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len(), "{}: numbers of results", what);
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        if let Some(d) = difference(x, y) {
            return Err(TestCaseError::fail(format!("{what}, result {i}: {d}")));
        }
    }
    Ok(())
}

/// Everything that two calls give and leave behind.
fn eagerly(case: &Case, calls: usize) -> Vec<Vec<Tensor>> {
    let (outside, args) = (case.tensors(), case.tensors());
    let each = |_| case.program.run(&outside, args.each_ref()).iter().map(crate::common::copy).collect();
    let mut all: Vec<Vec<Tensor>> = (0..calls).map(each).collect();
    all.push(left_behind(&outside, &args));
    all
}

fn left_behind(outside: &[Tensor; 4], args: &[Tensor; 4]) -> Vec<Tensor> {
    let values = outside.iter().map(Tensor::detach);
    let grads = outside.iter().chain(args).filter_map(Tensor::grad);
    values.chain(grads).collect()
}

fn traced(case: &Case, passes: Passes, calls: usize) -> Result<Vec<Vec<Tensor>>, TestCaseError> {
    let (outside, args) = (case.tensors(), case.tensors());
    let [a, b, c, d] = args.each_ref();
    let f = trace(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| case.program.run(&outside, [a, b, c, d]))
        .with_passes(passes);
    let mut all = Vec::new();
    for _ in 0..calls {
        let results = f.call((a, b, c, d)).map_err(|e| TestCaseError::fail(format!("traced call: {e}")))?;
        all.push(results.iter().map(crate::common::copy).collect());
    }
    all.push(left_behind(&outside, &args));
    Ok(all)
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn eager_and_traced(case in cases(Kind::Any)) {
        let eager = eagerly(&case, 2);
        let sets = [Passes::ALL, Passes::from_bits(case.passes[0]), Passes::from_bits(case.passes[1])];
        for passes in sets {
            let compiled = traced(&case, passes, 2)?;
            for (i, (x, y)) in eager.iter().zip(&compiled).enumerate() {
                same(&format!("{passes:?}, call {i}"), x, y)?;
            }
        }
    }

    #[test]
    fn one_compilation_for_all_sizes(case in cases(Kind::AnySize)) {
        let outside = case.tensors();
        // Whether a result shares the elements of an argument depends on the sizes, and is another program: copies do not.
        let run = |args: [&Tensor; 4]| -> Vec<Tensor> {
            case.program.run(&outside, args).iter().map(|t| t.flip(&[])).collect()
        };
        let f = trace(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| run([a, b, c, d]));
        for (n, m) in [(5, 7), (2, 3), (11, 4), (33, 2), (3, 3), (1, 4), (6, 1), (5, 7)] {
            let sized = |i: usize| {
                let mut input = case.inputs[i].clone();
                input.shape = input.shape.iter().map(|&d| match d { 5 => n, 7 => m, d => d }).collect();
                input.make()
            };
            let args: [Tensor; 4] = std::array::from_fn(sized);
            let eager: Vec<Tensor> = run(args.each_ref()).iter().map(crate::common::copy).collect();
            args.iter().for_each(|x| x.set_grad(None));
            let [a, b, c, d] = args.each_ref();
            let compiled = f.call((a, b, c, d)).map_err(|e| TestCaseError::fail(format!("n = {n}, m = {m}: {e}")))?;
            same(&format!("n = {n}, m = {m}"), &eager, &compiled)?;
        }
        prop_assert_eq!(f.compilations(), 1);
    }

    #[test]
    fn the_interpreter_agrees(case in cases(Kind::Exact)) {
        let args = case.tensors();
        let [a, b, c, d] = args.each_ref();
        let outside = case.tensors();
        // Results that are views are no outputs of the graph: copies are.
        let f = trace(|a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| -> Vec<Tensor> {
            case.program.run(&outside, [a, b, c, d]).iter().map(|t| no_grad(|| t.where_self(&t.eq(t), t).contiguous())).collect()
        });
        let compiled = f.call((a, b, c, d)).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let largest = compiled.iter().flat_map(numbers).fold(0.0f64, |m, x| m.max(x.abs()));
        prop_assume!(largest < 1e6);
        let slow = interpreted(f.explain()[0].captured(), &args);
        for (i, (t, array)) in compiled.iter().zip(&slow).enumerate() {
            let (got, want) = (numbers(t), array.scalars().map(number).collect::<Vec<f64>>());
            prop_assert_eq!(t.shape(), array.shape.as_slice());
            for (g, w) in got.iter().zip(&want) {
                let near = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= 1e-5 * largest.max(1.0);
                prop_assert!(near, "result {}: {} where the interpreter has {}", i, g, w);
            }
        }
        prop_assert!(slow.len() >= compiled.len() || case.program.derivative == Derivative::None);
    }
}

fn number(s: Scalar) -> f64 {
    match s {
        Scalar::Bool(b) => f64::from(u8::from(b)),
        Scalar::U8(i) => f64::from(i),
        Scalar::I32(i) => f64::from(i),
        Scalar::I64(i) => i as f64,
        Scalar::F16(x) => x.to_f64(),
        Scalar::BF16(x) => x.to_f64(),
        Scalar::F32(x) => f64::from(x),
        Scalar::F64(x) => x,
    }
}

fn array(t: &Tensor) -> Array {
    let t = t.detach();
    let items: Vec<Scalar> = match t.dtype() {
        DType::Bool => t.to_vec().into_iter().map(Scalar::Bool).collect(),
        DType::U8 => t.to_vec().into_iter().map(Scalar::U8).collect(),
        DType::I32 => t.to_vec().into_iter().map(Scalar::I32).collect(),
        DType::I64 => t.to_vec().into_iter().map(Scalar::I64).collect(),
        DType::F16 => t.to_vec().into_iter().map(Scalar::F16).collect(),
        DType::BF16 => t.to_vec().into_iter().map(Scalar::BF16).collect(),
        DType::F32 => t.to_vec().into_iter().map(Scalar::F32).collect(),
        DType::F64 => t.to_vec().into_iter().map(Scalar::F64).collect(),
    };
    Array::from_scalars(t.dtype(), t.shape(), items)
}

/// Runs a captured graph whose inputs are all arguments.
fn interpreted(graph: &Graph, args: &[Tensor]) -> Vec<Array> {
    let binding: Vec<usize> = args.iter().flat_map(|t| t.shape().to_vec()).collect();
    let inputs: Vec<Array> = graph
        .inputs()
        .iter()
        .map(|input| {
            let i: usize =
                input.name.strip_prefix("arg").and_then(|i| i.parse().ok()).expect("only arguments are used");
            array(&args[i])
        })
        .collect();
    run(graph, &binding, &inputs).unwrap_or_else(|e| panic!("the interpreter: {e}\n{graph}"))
}

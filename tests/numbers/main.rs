//! Numbers, dtypes and special values, operator by operator, against what PyTorch 2.15 makes of them on the CPU: how a number
//! meets the dtype of a tensor, what two dtypes become, what is refused, zeros of both signs, infinities, NaN, and the gradients
//! there; in both modes with equal bits. `tests/data/number_cases.py` writes the cases. `ALLOTROPE_NUMBERS=FILE` reads others.

#[path = "../programs/common.rs"]
#[allow(dead_code, reason = "what the tests of programs share beside equality")]
mod common;

mod calls;
mod corners;
mod written;

use allotrope::ops::{GradOptions, grad_with};
use allotrope::prelude::trace;
use allotrope::{DType, Result, Tensor};
use common::{difference, numbers};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use written::{Case, Given};

/// Results, and the gradients of the float operands where a result has a history.
fn program(case: &Case, leaves: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut next = leaves.iter();
    let args: Vec<Given> = (case.args.iter())
        .map(
            |a| if let Given::Tensor(_) = a { Given::Tensor(next.next().expect("as many").clone()) } else { a.clone() },
        )
        .collect();
    let mut all = calls::call(&case.op, &args)?;
    let roots: Vec<&Tensor> = all.iter().filter(|y| y.is_requires_grad()).collect();
    if roots.is_empty() {
        return Ok(all);
    }
    let sent: Vec<Tensor> = roots.iter().map(|y| weights(y)).collect::<Result<_>>()?;
    let sent: Vec<Option<&Tensor>> = sent.iter().map(Some).collect();
    let wanted: Vec<&Tensor> = leaves.iter().filter(|x| x.is_requires_grad()).collect();
    let how = GradOptions { grad_outputs: &sent, materialize_grads: true, ..GradOptions::default() };
    let grads = grad_with(&roots, &wanted, how)?;
    all.extend(grads.into_iter().flatten());
    Ok(all.iter().map(Tensor::detach).collect())
}

/// 0.5, 0.75, … in row-major order, no more than 16 of them.
fn weights(y: &Tensor) -> Result<Tensor> {
    let y = y.detach();
    let place = y.ones_like().try_to(DType::F64)?.try_ravel()?.try_cumsum(0)?.try_sub(1.0)?;
    place.try_remainder(16.0)?.try_mul(0.25)?.try_add(0.5)?.try_to(y.dtype())?.try_view_as(&y)
}

fn leaves(case: &Case) -> Vec<Tensor> {
    let refused = case.out.as_ref().is_err_and(|e| e.starts_with("backward"));
    let graded = !case.grads.is_empty() || refused;
    let leaf = |t: &Tensor| if graded && t.dtype().is_float() { t.detach().requires_grad() } else { t.clone() };
    case.args.iter().filter_map(Given::tensor_opt).map(leaf).collect()
}

/// What `f` gives, or why not; a panic other than a refusal is a failure of the test.
fn caught(f: impl FnOnce() -> Result<Vec<Tensor>>) -> std::result::Result<Vec<Tensor>, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(format!("PANIC {}", text.or(panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default()))
        }
    }
}

/// What differs between a result and what PyTorch gave.
fn differs(got: &Tensor, want: &Tensor, grad: bool) -> Option<String> {
    if got.dtype() != want.dtype() || got.shape() != want.shape() {
        return Some(format!("{}{:?}, wanted {}{:?}", got.dtype(), got.shape(), want.dtype(), want.shape()));
    }
    let dtype = want.dtype();
    if !dtype.is_float() {
        let (a, b) = (got.to(DType::I64).to_vec::<i64>(), want.to(DType::I64).to_vec::<i64>());
        let at = a.iter().zip(&b).position(|(a, b)| a != b)?;
        return Some(format!("[{at}]: {}, wanted {}", a[at], b[at]));
    }
    let rtol = match dtype {
        DType::BF16 => 1.0 / 128.0,
        DType::F16 => 1.0 / 1024.0,
        DType::F32 => 4e-6,
        _ => 1e-11,
    } * if grad { 4.0 } else { 1.0 };
    let least = match dtype {
        DType::F16 => 6e-8,
        DType::BF16 | DType::F32 => 1e-38,
        _ => 1e-300,
    };
    let near = |a: f64, b: f64| match a == b {
        // The zeros of gradients may have any sign.
        true => grad || a != 0.0 || a.is_sign_negative() == b.is_sign_negative(),
        false => {
            (a.is_nan() && b.is_nan()) || (a.is_finite() && b.is_finite() && (a - b).abs() <= rtol * b.abs() + least)
        }
    };
    let (a, b) = (numbers(got), numbers(want));
    let all: Vec<usize> = (0..a.len()).filter(|&i| !near(a[i], b[i])).collect();
    let at = *all.first()?;
    Some(format!("{} places, first [{at}]: {:e}, wanted {:e}", all.len(), a[at], b[at]))
}

/// What is wrong with a case.
fn wrong(case: &Case) -> Option<String> {
    let inputs = leaves(case);
    let eager = caught(|| program(case, &inputs));
    let refused = RefCell::new(None);
    let traced = caught(|| {
        let traced = trace(|x: &[Tensor]| {
            program(case, x).unwrap_or_else(|e| {
                *refused.borrow_mut() = Some(e.to_string());
                std::panic::resume_unwind(Box::new(e.to_string()))
            })
        });
        traced.call(&inputs)
    });
    let (eager, traced) = match (eager, traced, &case.out) {
        (Ok(eager), Ok(traced), Ok(_)) => (eager, traced),
        (Err(a), Err(b), Err(_)) if !a.contains("PANIC") && !b.contains("PANIC") => return None,
        (Err(a), Ok(_), _) => return Some(format!("eager only: {a}")),
        (Ok(_), Err(b), _) => return Some(format!("traced only: {b}")),
        (Err(a), Err(b), Err(_)) => return Some(format!("panics: {a} / {b}")),
        (Err(a), Err(_), Ok(_)) => return Some(format!("refused: {a}")),
        (Ok(y), Ok(_), Err(e)) => {
            return Some(format!("not refused ({:?}); PyTorch: {e}", y.first().map(|y| (y.dtype(), numbers(y)))));
        }
    };
    let bits = eager.iter().zip(&traced).find_map(|(a, b)| difference(a, b));
    if let Some(what) = bits {
        return Some(format!("BITS {what}"));
    }
    let out = case.out.as_ref().expect("seen above");
    if eager.len() != out.len() + case.grads.len() {
        return Some(format!("{} results and gradients, wanted {}", eager.len(), out.len() + case.grads.len()));
    }
    let mut pairs = eager.iter().zip(out.iter().chain(&case.grads)).enumerate();
    pairs.find_map(|(i, (got, want))| {
        let grad = i >= out.len();
        let what = differs(got, want, grad)?;
        Some(if grad { format!("gradient {}: {what}", i - out.len()) } else { what })
    })
}

fn check(text: &str) {
    let lines = text.lines().filter(|l| l.starts_with("[\""));
    let mut done = 0;
    let wrong: Vec<String> = lines
        .filter_map(|line| {
            done += 1;
            let case = Case::read(line.trim_end_matches(','));
            wrong(&case).map(|what| format!("{}\n    {what}", case.line))
        })
        .collect();
    assert!(done > 0, "no cases");
    assert!(wrong.is_empty(), "{} of {done} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn numbers_are_those_of_pytorch() {
    match std::env::var_os("ALLOTROPE_NUMBERS") {
        Some(path) => check(&std::fs::read_to_string(path).expect("the file")),
        None => check(include_str!("../data/number_cases.json")),
    }
}

//! Every operator of the corpus on inputs that lie in several ways: its results, and the gradients of its inputs, lie as PyTorch's
//! do. The strides are from `tests/data/layouts.py`.
//!
//! `ALLOTROPE_LAYOUTS=FILE` says where they are (`ALLOTROPE_OPINFO=DIR` where the cases are), `ALLOTROPE_OPINFO_ONLY=add,mul`
//! runs some operators only, and `ALLOTROPE_LAYOUTS_STRICT=1` compares the strides of axes too along which nothing goes.

use crate::adapters::adapters;
use crate::case::Case;
use crate::corpus::{self, Host, Operator, Sample};
use crate::run::Adapter;
use allotrope::Tensor;
use allotrope::prelude::stack;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// `t` with the strides of its axes in reverse order.
fn reversed_axes(t: &Tensor) -> Tensor {
    let axes: Vec<isize> = (0..t.dim() as isize).rev().collect();
    t.permute(&axes).contiguous().permute(&axes)
}

/// Every second element of memory.
fn spread(t: &Tensor) -> Tensor {
    stack(&[t, t], t.dim() as isize).select(t.dim() as isize, 1)
}

/// The first element along the first axis that has several, repeated.
fn expanded(t: &Tensor) -> Tensor {
    let shape: Vec<usize> = t.shape().to_vec();
    match shape.iter().position(|&n| n > 1) {
        Some(a) => {
            let to: Vec<isize> = shape.iter().map(|&n| n as isize).collect();
            t.narrow(a as isize, 0, 1).contiguous().expand(&to)
        }
        None => t.clone(),
    }
}

fn channels_last(t: &Tensor) -> Tensor {
    if t.dim() < 3 {
        return t.clone();
    }
    t.movedim(&[1], &[-1]).contiguous().movedim(&[-1], &[1])
}

/// Input number `i`, lying as this name of the table says.
fn lying(way: &str, i: usize, t: &Tensor) -> Tensor {
    match way {
        "contiguous" => t.clone(),
        "reversed" => reversed_axes(t),
        "spread" => spread(&reversed_axes(t)),
        "expanded" => expanded(t),
        "channels_last" => channels_last(t),
        "first" if i == 0 => reversed_axes(t),
        "first" => t.clone(),
        way => panic!("the table has a way to lie that is not known: {way}"),
    }
}

/// What is done otherwise here, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("narrow/s001b", "a tensor says where to begin: elements that are chosen by a tensor are a copy"),
    ("narrow/s003b", "as above"),
    ("nn.functional.conv1d/s006f", "which of its convolutions PyTorch computes with gives images another order"),
    ("stack/s003b", "images of one row and one channel are stacked as if they were volumes"),
    ("stack/s003f", "as above"),
    ("cat/s005f", "a vector without elements counts for nothing, so it has no gradient"),
];

/// The strides that the table means.
fn wanted(v: &Value, shape: &[usize]) -> Vec<isize> {
    match v.as_array() {
        Some(list) => list.iter().map(|s| s.as_i64().expect("a stride") as isize).collect(),
        None => (0..shape.len()).map(|i| shape[i + 1..].iter().map(|&n| n.max(1) as isize).product()).collect(),
    }
}

/// What is wrong with the strides of a tensor, if anything is.
fn differs(t: &Tensor, want: &Value) -> Option<String> {
    let (shape, strides): (Vec<usize>, Vec<isize>) = (t.shape().to_vec(), t.strides().to_vec());
    let want = wanted(want, &shape);
    let strict = std::env::var_os("ALLOTROPE_LAYOUTS_STRICT").is_some();
    let counts = |a: usize| strict || shape[a] > 1;
    let same = want.len() == shape.len()
        && ((!strict && shape.contains(&0)) || (0..shape.len()).all(|a| !counts(a) || strides[a] == want[a]));
    (!same).then(|| format!("{shape:?} has strides {strides:?}, wanted {want:?}"))
}

/// Runs a case with its inputs lying so, and says what is wrong.
fn check(op: &Operator, sample: &Sample, adapter: Adapter, way: &str, want: &Value) -> Option<String> {
    let mut keys = Vec::new();
    let mut kwargs: Vec<_> = sample.kwargs.iter().collect();
    kwargs.sort_by(|a, b| a.0.cmp(&b.0));
    sample.args.iter().chain(kwargs.iter().map(|(_, v)| v)).for_each(|v| v.keys(&mut keys));
    let wants = |key: &str| sample.input_grads.iter().any(|(k, _)| k == key);
    let host = |key: &str| op.tensors.get(key).map(Host::tensor).expect("a tensor of the case");
    let inputs: Vec<(&str, Tensor)> = keys
        .into_iter()
        .enumerate()
        .map(|(i, key)| {
            let t = lying(way, i, &host(key)).detach();
            (key, if wants(key) { t.requires_grad() } else { t })
        })
        .collect();
    let outputs = match adapter(&Case::new(sample, inputs.clone())) {
        Ok(outputs) => outputs,
        Err(e) => return Some(format!("error: {e}")),
    };
    let all = want.as_array().expect("results, gradients");
    let of = |i: usize| all[i].as_array().expect("a list of strides");
    if outputs.len() != of(0).len() {
        return Some(format!("{} results, wanted {}", outputs.len(), of(0).len()));
    }
    if let Some(wrong) = outputs.iter().zip(of(0)).enumerate().find_map(|(i, (t, want))| {
        let wrong = differs(t, want)?;
        Some(format!("result {i}: {wrong}"))
    }) {
        return Some(wrong);
    }
    if all.len() < 2 {
        return None;
    }
    let terms = outputs.iter().zip(&sample.grad_outputs).filter_map(|(y, g)| Some(y.mul(&host(g.as_ref()?)).sum()));
    let total = terms.reduce(|a, b| a.add(&b))?;
    if let Err(e) = total.try_backward() {
        return Some(format!("backward: {e}"));
    }
    let mut leaves: Vec<&(&str, Tensor)> = inputs.iter().filter(|(k, _)| wants(k)).collect();
    leaves.sort_by_key(|(k, _)| *k);
    leaves.iter().zip(of(1)).find_map(|((key, x), want)| {
        let wrong = match (x.grad(), want) {
            (None, Value::Null) => return None,
            (None, _) => "none".into(),
            (Some(_), Value::Null) => "there is one".into(),
            (Some(g), want) => differs(&g, want)?,
        };
        Some(format!("gradient of {key}: {wrong}"))
    })
}

#[test]
fn results_and_gradients_lie_as_those_of_pytorch() {
    let file = std::env::var("ALLOTROPE_LAYOUTS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/layouts.json").into());
    let text = std::fs::read_to_string(Path::new(&file)).expect("the table");
    let table: BTreeMap<String, Value> = serde_json::from_str(&text).expect("the table");
    let folder = match std::env::var_os("ALLOTROPE_OPINFO") {
        Some(folder) => folder.into(),
        None => corpus::sample(),
    };
    let only = std::env::var("ALLOTROPE_OPINFO_ONLY").ok();
    let (mut cases, mut wrong) = (0, Vec::new());
    for (name, adapter) in adapters() {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|o| o == name)) {
            continue;
        }
        let op = Operator::read(&folder, name);
        for sample in &op.samples {
            let Some(ways) = table.get(&sample.id).and_then(Value::as_object) else { continue };
            for (way, want) in ways {
                if OTHERWISE.iter().any(|(id, _)| *id == sample.id) {
                    continue;
                }
                cases += 1;
                if let Some(why) = check(&op, sample, adapter, way, want) {
                    wrong.push(format!("{} {way}: {why}", sample.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} lie otherwise:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 0 || only.is_some(), "no case was found");
}

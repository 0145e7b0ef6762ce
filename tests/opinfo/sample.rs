//! Writes the sample of the corpus that lies in the repository: some whole cases of every operator, chosen so that each
//! kind of call is there. It runs on request only.

use crate::corpus::{Given, Operator, Sample, operators, sample};
use safetensors::SafeTensors;
use std::collections::HashSet;
use std::path::Path;

/// Cases of each operator, unless more kinds of calls than this are there.
const CASES: usize = 8;

/// Cases with gradients, where there are so many.
const GRADED: usize = 4;

/// Elements of a case that is taken only to fill up.
const SMALL: usize = 300;

#[test]
#[ignore = "writes tests/data/opinfo from the whole corpus"]
fn write_the_sample() {
    let (from, to) = (crate::corpus::folder(), sample());
    assert!(from != to, "the whole corpus is not there; ALLOTROPE_OPINFO=DIR says where it is");
    for name in operators(&from) {
        write(&from, &to, &name);
    }
    let promotion = std::fs::read(from.join("promotion.json")).expect("promotion.json");
    std::fs::write(to.join("promotion.json"), promotion).expect("write promotion.json");
}

fn write(from: &Path, to: &Path, name: &str) {
    let op = Operator::read(from, name);
    let chosen = choose(&op);
    let file = |dir: &Path, suffix: &str| dir.join(format!("{name}.{suffix}"));
    let text = std::fs::read_to_string(file(from, "json")).expect("read before");
    let is_chosen = |line: &&str| chosen.iter().any(|s| line.contains(&format!("\"id\": \"{}\"", s.id)));
    let lines: Vec<&str> = text.lines().filter(is_chosen).map(|l| l.trim_end_matches(',')).collect();
    assert_eq!(lines.len(), chosen.len(), "{name}: each case on a line of its own");
    std::fs::write(file(to, "json"), format!("[\n{}\n]\n", lines.join(",\n"))).expect("write the cases");

    let bytes = std::fs::read(file(from, "safetensors")).expect("read before");
    let all = SafeTensors::deserialize(&bytes).expect("read before");
    let keys: HashSet<&str> = chosen.iter().flat_map(|s| s.keys()).collect();
    let kept = all.iter().filter(|(key, _)| keys.contains(key));
    safetensors::serialize_to_file(kept, None, &file(to, "safetensors")).expect("write the tensors");
}

/// One case of each kind of call, then small ones until there are enough.
fn choose(op: &Operator) -> Vec<&Sample> {
    let elements = |s: &Sample| s.keys().iter().map(|k| op.tensors[*k].shape.iter().product::<usize>()).sum::<usize>();
    let mut by_size: Vec<&Sample> = op.samples.iter().collect();
    by_size.sort_by_key(|s| (elements(s), s.id.clone()));
    let mut kinds = HashSet::new();
    let (first, rest): (Vec<_>, Vec<_>) = by_size.into_iter().partition(|s| kinds.insert(kind(op, s)));
    // The largest of the small ones: tensors without elements are among the kinds already.
    let small = || rest.iter().rev().filter(|s| elements(s) <= SMALL);
    let graded = GRADED.saturating_sub(first.iter().filter(|s| s.has_grads()).count());
    let mut chosen: Vec<&Sample> =
        first.iter().chain(small().filter(|s| s.has_grads()).take(graded)).copied().collect();
    for s in small() {
        if chosen.len() < CASES && !chosen.iter().any(|c| c.id == s.id) {
            chosen.push(s);
        }
    }
    chosen
}

/// What makes a call different from another: its arguments by dtype and rank, keywords, texts, and whether it must fail.
fn kind(op: &Operator, s: &Sample) -> String {
    fn one(op: &Operator, v: &Given) -> String {
        match v {
            Given::Tensor(key) => {
                let t = &op.tensors[key];
                format!("{}{}", t.dtype, if t.shape.contains(&0) { 9 } else { t.shape.len().min(2) })
            }
            Given::Str(s) => s.clone(),
            Given::Bool(b) => b.to_string(),
            Given::Int(i) => if *i < 0 { "-" } else { "+" }.to_string(),
            Given::List(list) => {
                let tensor = list.iter().find(|v| matches!(v, Given::Tensor(_)));
                format!("list of {} {}", list.len().min(2), tensor.map_or_else(String::new, |v| one(op, v)))
            }
            v => format!("{:?}", std::mem::discriminant(v)),
        }
    }
    let args = s.args.iter().map(|v| one(op, v));
    let kwargs = s.kwargs.iter().map(|(name, v)| format!("{name}={}", one(op, v)));
    let refused = if s.error.is_some() { &s.id } else { "" };
    args.chain(kwargs).collect::<Vec<_>>().join(",") + refused
}

//! A program as readable source in PyTorch's manner, with only those steps that matter for one of them.

use crate::corpus::Given;
use crate::program::{Call, Leaf, Program, Record, Step};

/// The steps that step `at` may depend on, and itself.
pub fn slice(program: &Program, at: usize) -> Vec<usize> {
    let Step::Call(last) = &program.steps[at] else { return vec![at] };
    let mut memory: Vec<usize> = Vec::new();
    for step in &program.steps {
        match step {
            Step::Leaf(_) => memory.push(memory.len()),
            Step::Call(c) => {
                for r in &c.results {
                    let next = memory.len();
                    memory.push(match r {
                        Some(Record::Same(i)) => memory[*i],
                        Some(Record::New(seen)) => seen.memory.unwrap_or(next),
                        None => next,
                    });
                }
            }
        }
    }
    let draws = last.draws();
    let mut wanted: Vec<usize> = last.inputs();
    let mut kept = vec![at];
    for i in (0..at).rev() {
        let (keep, inputs) = match &program.steps[i] {
            Step::Leaf(l) => (wanted.contains(&l.variable), Vec::new()),
            Step::Call(c) => {
                let makes = (c.first..c.first + c.results.len()).any(|v| wanted.contains(&v));
                let touches = c.is_changing()
                    && c.error.is_none()
                    && c.inputs().iter().any(|v| wanted.iter().any(|w| memory[*w] == memory[*v]));
                (makes || touches || (draws && c.draws()), c.inputs())
            }
        };
        if keep {
            kept.push(i);
            wanted.extend(inputs);
        }
    }
    kept.reverse();
    kept
}

/// The steps, one a line.
pub fn source(program: &Program, steps: &[usize]) -> String {
    let line = |i: &usize| match &program.steps[*i] {
        Step::Leaf(l) => leaf(l),
        Step::Call(c) => call(c),
    };
    let draws = steps.iter().any(|i| matches!(&program.steps[*i], Step::Call(c) if c.draws()));
    let seed = draws.then(|| format!("torch.manual_seed({})", program.seed));
    seed.into_iter().chain(steps.iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn leaf(l: &Leaf) -> String {
    let numbers = l.memory.numbers(l.dtype);
    let values: Vec<String> = numbers.iter().take(40).map(|x| format!("{x}")).collect();
    let more = if numbers.len() > 40 { ", .." } else { "" };
    let mut dense = 1;
    let contiguous = l.shape.iter().zip(&l.strides).rev().all(|(&n, &s)| {
        let fits = n <= 1 || s == dense;
        dense *= n;
        fits
    });
    let dense: usize = l.shape.iter().product();
    let view = match contiguous && l.offset == 0 && dense == numbers.len() {
        true if l.shape.len() == 1 => String::new(),
        true => format!(".view({:?})", l.shape),
        false => format!(".as_strided({:?}, {:?}, {})", l.shape, l.strides, l.offset),
    };
    let grad = if l.requires_grad { ".requires_grad_()" } else { "" };
    let values = values.join(", ").replace("NaN", "nan");
    format!("v{} = tensor([{values}{more}], dtype={}){view}{grad}  # {:?}", l.variable, l.dtype, l.shape)
}

fn call(c: &Call) -> String {
    let arg = |v: &Given| v.to_string();
    let mut args: Vec<String> = c.sample.args.iter().map(arg).collect();
    args.extend(c.sample.kwargs.iter().map(|(k, v)| format!("{k}={}", arg(v))));
    let names: Vec<String> = (0..c.results.len()).map(|i| format!("v{}", c.first + i)).collect();
    let op = c.op();
    let text = match op {
        "getitem" => format!("{}[{}]", args[0], args[1..].join(", ").replace('"', "")),
        "setitem" => format!("{}[{}] = {}", args[0], args[2..].join(", ").replace('"', ""), args[1]),
        _ => format!("{op}({})", args.join(", ")),
    };
    let text = if names.is_empty() { text } else { format!("{} = {text}", names.join(", ")) };
    let text = if c.no_grad { format!("with no_grad(): {text}") } else { text };
    match &c.error {
        Some(e) => format!("{text}  # {e}"),
        None => text,
    }
}

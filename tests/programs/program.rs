//! Random programs as data: a list of steps over a growing pool of values, and the one function that runs it, the same
//! in both modes.

use allotrope::Result;
use allotrope::ops::{Arg, Number};
use allotrope::prelude::*;

pub const UNARY: &[&str] = &[
    "neg",
    "abs",
    "relu",
    "square",
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "reciprocal",
    "logical_not",
];
/// How many of [`UNARY`] are exact on small integers.
pub const EXACT_UNARY: usize = 4;
pub const BINARY: &[&str] = &[
    "add",
    "sub",
    "mul",
    "maximum",
    "minimum",
    "logical_and",
    "logical_or",
    "logical_xor",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "div",
    "pow",
];
/// How many of [`BINARY`] are exact on small integers.
pub const EXACT_BINARY: usize = 14;
pub const REDUCE: &[&str] = &["sum", "amax", "amin", "mean"];
pub const EXACT_REDUCE: usize = 3;

/// One step; numbers are places in the pool.
#[derive(Clone, Debug)]
pub enum Step {
    Unary(&'static str, usize),
    Binary(&'static str, usize, usize),
    /// With a number; `true` puts the number first.
    Number(&'static str, usize, Number, bool),
    Where(usize, usize, usize),
    To(usize, DType),
    Reduce(&'static str, usize, Vec<isize>, bool),
    Reshape(usize, Vec<isize>),
    Flatten(usize, isize, isize),
    Permute(usize, Vec<isize>),
    Transpose(usize, isize, isize),
    Narrow(usize, isize, isize, usize),
    Select(usize, isize, isize),
    Expand(usize, Vec<isize>),
    ExpandAs(usize, usize),
    Unsqueeze(usize, isize),
    Squeeze(usize, isize),
    Cat(Vec<usize>, isize),
    Stack(Vec<usize>, isize),
    Matmul(usize, usize),
    Detach(usize),
    Contiguous(usize),
    Scan(Box<Loop>),
}

/// A loop: its body's pool is the pool around it, then the carries, then one element of each of the xs.
#[derive(Clone, Debug)]
pub struct Loop {
    pub reverse: bool,
    pub carries: Vec<usize>,
    pub xs: Vec<usize>,
    pub body: Vec<Step>,
    /// The new carries, in the body's pool.
    pub next: Vec<usize>,
    pub ys: Vec<usize>,
}

fn unary(name: &str, x: &Tensor) -> Result<Tensor> {
    match name {
        "neg" => x.try_neg(),
        "abs" => x.try_abs(),
        "relu" => x.try_relu(),
        "square" => x.try_square(),
        "sqrt" => x.try_sqrt(),
        "exp" => x.try_exp(),
        "log" => x.try_log(),
        "sin" => x.try_sin(),
        "cos" => x.try_cos(),
        "tanh" => x.try_tanh(),
        "sigmoid" => x.try_sigmoid(),
        "reciprocal" => x.try_reciprocal(),
        "logical_not" => x.try_logical_not(),
        other => unreachable!("{other}"),
    }
}

fn binary<'a>(name: &str, a: &Tensor, b: impl Into<Arg<'a>>) -> Result<Tensor> {
    let b = b.into();
    match name {
        "add" => a.try_add(b),
        "sub" => a.try_sub(b),
        "mul" => a.try_mul(b),
        "div" => a.try_div(b),
        // A power that is a bool has no derivative, as in PyTorch.
        "pow" if matches!(b, Arg::Tensor(t) if t.dtype() == DType::Bool) => a.try_pow(&Tensor::ones(&[], DType::I64)),
        "pow" => a.try_pow(b),
        "maximum" => a.try_maximum(b),
        "minimum" => a.try_minimum(b),
        "logical_and" => a.try_logical_and(b),
        "logical_or" => a.try_logical_or(b),
        "logical_xor" => a.try_logical_xor(b),
        "eq" => a.try_eq(b),
        "ne" => a.try_ne(b),
        "lt" => a.try_lt(b),
        "le" => a.try_le(b),
        "gt" => a.try_gt(b),
        "ge" => a.try_ge(b),
        other => unreachable!("{other}"),
    }
}

fn with_number(name: &str, x: &Tensor, number: Number, first: bool) -> Result<Tensor> {
    match (first, number) {
        (true, Number::Float(a)) => Ok(match name {
            "add" => a + x,
            "sub" => a - x,
            "mul" => a * x,
            _ => a / x,
        }),
        _ => binary(name, x, Arg::Number(number)),
    }
}

/// Runs one step.
pub fn apply(step: &Step, pool: &[Tensor]) -> Result<Vec<Tensor>> {
    let at = |i: &usize| &pool[*i];
    let of = |places: &[usize]| -> Vec<Tensor> { places.iter().map(|&i| pool[i].clone()).collect() };
    Ok(vec![match step {
        Step::Unary(name, x) => unary(name, at(x))?,
        Step::Binary(name, a, b) => binary(name, at(a), at(b))?,
        Step::Number(name, x, number, first) => with_number(name, at(x), *number, *first)?,
        Step::Where(condition, a, b) => at(a).try_where_self(at(condition), at(b))?,
        Step::To(x, dtype) => at(x).try_to(*dtype)?,
        Step::Reduce(name, x, axes, keepdim) => match *name {
            "sum" => at(x).try_sum_dim(axes, *keepdim)?,
            "amax" => at(x).try_amax(axes, *keepdim)?,
            "amin" => at(x).try_amin(axes, *keepdim)?,
            _ => at(x).try_mean_dim(axes, *keepdim)?,
        },
        Step::Reshape(x, shape) => at(x).try_reshape(shape)?,
        Step::Flatten(x, from, to) => at(x).try_flatten(*from, *to)?,
        Step::Permute(x, axes) => at(x).try_permute(axes)?,
        Step::Transpose(x, a, b) => at(x).try_transpose(*a, *b)?,
        Step::Narrow(x, axis, start, len) => at(x).try_narrow(*axis, *start, *len)?,
        Step::Select(x, axis, index) => at(x).try_select(*axis, *index)?,
        Step::Expand(x, shape) => at(x).try_expand(shape)?,
        Step::ExpandAs(x, like) => at(x).try_expand_as(at(like))?,
        Step::Unsqueeze(x, axis) => at(x).try_unsqueeze(*axis)?,
        Step::Squeeze(x, axis) => at(x).try_squeeze(*axis)?,
        Step::Cat(parts, axis) => cat(&of(parts).iter().collect::<Vec<_>>(), *axis),
        Step::Stack(parts, axis) => stack(&of(parts).iter().collect::<Vec<_>>(), *axis),
        Step::Matmul(a, b) => at(a).try_matmul(at(b))?,
        Step::Detach(x) => at(x).detach(),
        Step::Contiguous(x) => at(x).try_contiguous()?,
        Step::Scan(l) => {
            let body = |carries: Vec<Tensor>, xs: Vec<Tensor>| {
                let mut inside = pool.to_vec();
                inside.extend(carries);
                inside.extend(xs);
                extend(&l.body, &mut inside).expect("the body has run before");
                let of = |places: &[usize]| -> Vec<Tensor> { places.iter().map(|&i| inside[i].clone()).collect() };
                (of(&l.next), of(&l.ys))
            };
            let (carries, xs) = (of(&l.carries), of(&l.xs));
            let (finals, ys) = if l.reverse { scan_reverse(carries, xs, body) } else { scan(carries, xs, body) };
            return Ok(finals.into_iter().chain(ys).collect());
        }
    }])
}

/// Runs steps, each adding its results to the pool.
pub fn extend(steps: &[Step], pool: &mut Vec<Tensor>) -> Result<()> {
    for step in steps {
        let new = apply(step, pool)?;
        pool.extend(new);
    }
    Ok(())
}

/// Whether there is a loop in it, whose derivative has no derivative.
pub fn has_loop(steps: &[Step]) -> bool {
    steps.iter().any(|s| matches!(s, Step::Scan(_)))
}

/// What becomes of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Derivative {
    None,
    /// `backward()` and the gradients that it leaves.
    Backward,
    /// `grad(..)`.
    Grad,
    /// The gradient of the gradients' squares.
    Second,
}

/// A whole program.
#[derive(Clone, Debug)]
pub struct Program {
    pub steps: Vec<Step>,
    pub derivative: Derivative,
    /// How many of the last values it returns, and derives.
    pub kept: usize,
    /// Inputs that are captured tensors instead of arguments.
    pub outside: [bool; 4],
    /// (a captured input, the value that it is set to at the end)
    pub update: Option<(usize, usize)>,
}

impl Program {
    /// Runs it: `outside` replaces the arguments that are to be captured.
    pub fn run(&self, outside: &[Tensor; 4], args: [&Tensor; 4]) -> Vec<Tensor> {
        let inputs: [Tensor; 4] =
            std::array::from_fn(|i| if self.outside[i] { outside[i].clone() } else { args[i].clone() });
        let mut pool = inputs.to_vec();
        extend(&self.steps, &mut pool).expect("the steps have run before");
        let mut results: Vec<Tensor> = pool[pool.len() - self.kept..].to_vec();
        let wanted: Vec<&Tensor> = inputs.iter().filter(|x| x.is_requires_grad()).collect();
        let parts = results.iter().filter(|x| x.is_requires_grad()).map(|x| x.to(DType::F64).sum());
        let loss = parts.reduce(|a, b| a + b);
        if let Some(loss) = loss {
            match self.derivative {
                Derivative::None => {}
                Derivative::Backward => {
                    loss.backward();
                    results.extend(wanted.iter().filter_map(|x| x.grad()));
                }
                Derivative::Grad => {
                    results.extend(grad(&[&loss], &wanted, false).unwrap().into_iter().flatten());
                }
                Derivative::Second => {
                    let first: Vec<Tensor> = grad(&[&loss], &wanted, true).unwrap().into_iter().flatten().collect();
                    let squares = first.iter().map(|g| g.to(DType::F64).square().sum()).reduce(|a, b| a + b);
                    if let Some(l) = squares.filter(Tensor::is_requires_grad) {
                        results.extend(grad(&[&l], &wanted, false).unwrap().into_iter().flatten());
                    }
                    results.extend(first);
                }
            }
            results.push(loss);
        }
        if let Some((input, value)) = self.update {
            // A result may be a view of what is changed now, which a trace refuses.
            results = results.iter().map(|x| no_grad(|| x.where_self(&x.eq(x), x))).collect();
            no_grad(|| outside[input].copy_(&pool[value]));
            results.push(no_grad(|| outside[input].to(DType::F64) * 1.0));
        }
        results.iter().map(Tensor::detach).collect()
    }
}

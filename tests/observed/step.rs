//! One step of a random program: what it does with the values of a pool. A step whose operation fails takes another
//! branch, as a program does that asks with `try_`; it never reads elements.

use allotrope::Result;
use allotrope::ops::checkpoint;
use allotrope::prelude::*;

/// What a step does; the meaning of its numbers depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    // Views, or copies where there can be none.
    View,
    Reshape,
    Flatten,
    Transpose,
    Narrow,
    Select,
    Slice,
    Expand,
    Unsqueeze,
    Squeeze,
    Diagonal,
    AsStrided,
    Unfold,
    Detach,
    Contiguous,
    Chunk,
    // Values.
    Number,
    Add,
    Mul,
    Exp,
    Relu,
    Sum,
    SumDim,
    Matmul,
    Cat,
    Flip,
    Where,
    // Changes in place.
    AddInPlace,
    MulInPlace,
    CopyInPlace,
    FillInPlace,
    SetRow,
    // Gradients.
    Backward,
    Grad,
    ReadGrad,
    ZeroGrad,
    ClearGrad,
    SetGrad,
    Step,
    // What a program may ask.
    IsContiguous,
    Strides,
    IsLeaf,
    RequiresGrad,
    IsSame,
    SameShape,
    // Control flow and recomputation.
    Scan,
    While,
    Cond,
    Checkpoint,
    // What nobody uses.
    UnusedGather,
}

/// Every operation, as often as it should be drawn.
pub const OPS: &[(Op, u32)] = &[
    (Op::View, 4),
    (Op::Reshape, 4),
    (Op::Flatten, 2),
    (Op::Transpose, 5),
    (Op::Narrow, 4),
    (Op::Select, 3),
    (Op::Slice, 3),
    (Op::Expand, 3),
    (Op::Unsqueeze, 2),
    (Op::Squeeze, 2),
    (Op::Diagonal, 3),
    (Op::AsStrided, 3),
    (Op::Unfold, 2),
    (Op::Detach, 3),
    (Op::Contiguous, 3),
    (Op::Chunk, 3),
    (Op::Number, 6),
    (Op::Add, 4),
    (Op::Mul, 5),
    (Op::Exp, 3),
    (Op::Relu, 2),
    (Op::Sum, 3),
    (Op::SumDim, 3),
    (Op::Matmul, 2),
    (Op::Cat, 2),
    (Op::Flip, 1),
    (Op::Where, 2),
    (Op::AddInPlace, 6),
    (Op::MulInPlace, 4),
    (Op::CopyInPlace, 3),
    (Op::FillInPlace, 2),
    (Op::SetRow, 2),
    (Op::Backward, 4),
    (Op::Grad, 3),
    (Op::ReadGrad, 2),
    (Op::ZeroGrad, 2),
    (Op::ClearGrad, 2),
    (Op::SetGrad, 1),
    (Op::Step, 2),
    (Op::IsContiguous, 2),
    (Op::Strides, 1),
    (Op::IsLeaf, 1),
    (Op::RequiresGrad, 1),
    (Op::IsSame, 1),
    (Op::SameShape, 2),
    (Op::Scan, 2),
    (Op::While, 1),
    (Op::Cond, 1),
    (Op::Checkpoint, 2),
    (Op::UnusedGather, 1),
];

/// An operation on values of the pool: `a` and `b` count from its end, `n` are numbers for it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub op: Op,
    pub a: u8,
    pub b: u8,
    pub n: [u8; 3],
    /// Under `no_grad`.
    pub plain: bool,
}

/// What steps use beside the pool.
pub struct Surroundings<'a> {
    /// Places of rows, some of which do not exist.
    pub places: &'a Tensor,
    /// How often a loop runs.
    pub count: &'a Tensor,
    pub optimizer: &'a optim::Sgd,
}

/// Runs one step: the pool grows by one value.
pub fn run(step: &Step, pool: &mut Vec<Tensor>, around: &Surroundings<'_>) {
    let at = |i: u8| pool[pool.len() - 1 - i as usize % pool.len()].clone();
    let (a, b) = (at(step.a), at(step.b));
    let done = match step.plain {
        true => no_grad(|| apply(step, &a, &b, around)),
        false => apply(step, &a, &b, around),
    };
    // The other branch of what failed.
    pool.push(done.unwrap_or_else(|_| &a * 1.5));
}

fn apply(step: &Step, a: &Tensor, b: &Tensor, around: &Surroundings<'_>) -> Result<Tensor> {
    let [n, m, k] = step.n.map(|n| n as usize);
    let (axis, other) = (n as isize % 3 - 1, m as isize % 3 - 1);
    let answer = |yes: bool| if yes { a * 2.0 } else { a + 1.0 };
    Ok(match step.op {
        Op::View => a.try_view(SHAPES[n % SHAPES.len()])?,
        Op::Reshape => a.try_reshape(SHAPES[n % SHAPES.len()])?,
        Op::Flatten => a.try_flatten(0, axis)?,
        Op::Transpose => a.try_transpose(axis, other)?,
        Op::Narrow => a.try_narrow(axis, m as isize % 4 - 1, k % 3)?,
        Op::Select => a.try_select(axis, m as isize % 4 - 1)?,
        Op::Slice => {
            let bounds = [None, Some(0), Some(1), Some(-1), Some(2)];
            a.try_slice(axis, bounds[m % 5], bounds[k % 5], 1 + n % 2)?
        }
        Op::Expand => a.try_expand(&[2, -1, -1][2 - n % 2..])?,
        Op::Unsqueeze => a.try_unsqueeze(axis)?,
        Op::Squeeze => a.try_squeeze(axis)?,
        Op::Diagonal => a.try_diagonal(m as isize % 3 - 1, 0, 1)?,
        Op::AsStrided => a.try_as_strided(&[1 + n % 2, 2], &[1 + m % 3, k % 2 + n % 2], k % 3)?,
        Op::Unfold => a.try_unfold(axis, 1 + m % 2, 1 + k % 2)?,
        Op::Detach => a.detach(),
        Op::Contiguous => a.try_contiguous()?,
        Op::Chunk => {
            let parts = a.try_chunk(1 + m % 3, axis)?;
            parts[k % parts.len()].clone()
        }
        Op::Number => a * [2.0, -1.0, 0.5][n % 3],
        Op::Add => a.try_add(b)?,
        Op::Mul => a.try_mul(b)?,
        Op::Exp => (a * 0.1).exp(),
        Op::Relu => a.relu(),
        Op::Sum => a.sum(),
        Op::SumDim => a.try_sum_dim(&[axis], k.is_multiple_of(2))?,
        Op::Matmul => a.try_matmul(b)?,
        Op::Cat => allotrope::ops::try_cat(&[a, b], axis)?,
        Op::Flip => a.try_flip(&[axis])?,
        Op::Where => a.try_where_self(&a.try_gt(b)?, b)?,
        Op::AddInPlace => a.try_add_(1.0)?.clone(),
        Op::MulInPlace => a.try_mul_(b)?.clone(),
        Op::CopyInPlace => a.try_copy_(b)?.clone(),
        Op::FillInPlace => a.try_fill_(0.25)?.clone(),
        Op::SetRow => a.try_set(m as isize % 3 - 1, 3.0)?.clone(),
        Op::Backward => {
            if a.is_requires_grad() {
                (a * 0.5).sum().backward_with(Backward { retain_graph: k.is_multiple_of(2), ..Backward::default() });
            }
            a.detach()
        }
        Op::Grad => match a.is_requires_grad() && b.is_requires_grad() {
            true => {
                let how =
                    GradOptions { create_graph: k.is_multiple_of(3), retain_graph: true, ..GradOptions::default() };
                let found = grad_with(&[&a.sum()], &[b], how)?;
                found.into_iter().flatten().next().unwrap_or_else(|| b * 0.0)
            }
            false => a * 3.0,
        },
        Op::ReadGrad => a.grad().unwrap_or_else(|| a * 0.5),
        Op::ZeroGrad => match a.grad() {
            Some(g) => no_grad(|| g.try_zero_().cloned())?,
            None => a * -0.5,
        },
        Op::ClearGrad => {
            if a.try_is_leaf().unwrap_or(false) {
                a.set_grad(None);
            }
            a.detach()
        }
        Op::SetGrad => match a.try_is_leaf().unwrap_or(false) && a.is_requires_grad() && a.same_shape(b) {
            true => {
                a.set_grad(Some(b.detach()));
                a.detach()
            }
            false => a * 0.75,
        },
        Op::Step => {
            around.optimizer.step();
            a * 1.0
        }
        Op::IsContiguous => answer(a.is_contiguous()),
        Op::Strides => answer(a.strides().first().is_some_and(|s| *s == 1)),
        Op::IsLeaf => answer(a.try_is_leaf().unwrap_or(false)),
        Op::RequiresGrad => answer(a.is_requires_grad()),
        Op::IsSame => answer(a.is_same(b)),
        Op::SameShape => answer(a.same_shape(b)),
        Op::Scan => match a.dim() {
            0 => a * 2.0,
            _ => {
                let first = a.try_sum_dim(&[0], false)? * 0.0;
                let (last, each) = scan(first, a.clone(), |h, x| {
                    let h = &h * 0.5 + &x;
                    (h.clone(), &h * &x)
                });
                match k % 3 {
                    0 => last,
                    1 => each,
                    _ => each.try_add(&last)?,
                }
            }
        },
        Op::While => {
            let (_, x) = while_loop(
                |(i, _): (Tensor, Tensor)| i.lt(around.count),
                |(i, x)| (i + 1.0, &x * 0.5 + 1.0),
                (around.count * 0.0, a * 1.0),
            );
            x
        }
        Op::Cond => cond(&around.count.gt(1.0), |x: Tensor| &x * 2.0, |x: Tensor| x.exp() * 0.1, a.clone()),
        Op::Checkpoint => checkpoint(|x: &[Tensor]| (&x[0] * 0.1).exp() * &x[0], &[a]),
        Op::UnusedGather => {
            if a.dim() > 0 {
                let _ = a.unsqueeze(-1).sum_dim(&[-1], false).index_select(0, around.places);
            }
            a.detach()
        }
    })
}

const SHAPES: &[&[isize]] = &[&[-1], &[-1, 1], &[1, -1], &[2, -1], &[-1, 2], &[3, -1], &[2, 2], &[1, 1, -1]];

//! A failed `try_…` whose error the program does not pass on is a branch: calls that would take the other one are recorded
//! anew. An error that only a recording has is no branch: the call ends with it, whatever the closure does.

use crate::common::{assert_same, draw, seeded};
use crate::traps::says;
use allotrope::autograd::set_grad_enabled;
use allotrope::functional::*;
use allotrope::ops::*;
use allotrope::prelude::*;
use allotrope::tensor::Setting;
use allotrope::{Error, Result};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Operation = fn(&[Tensor]) -> Result<Tensor>;

/// Operations that fail for some sizes, with the number of axes of each argument.
const OPERATIONS: &[(&str, &[usize], Operation)] = &[
    ("narrow", &[1], |x| x[0].try_narrow(0, 1, 2)),
    ("select", &[2], |x| x[0].try_select(1, 2)),
    ("slice", &[1], |x| x[0].try_narrow(0, -2, 2)),
    ("split_with_sizes", &[1], |x| Ok(x[0].try_split_with_sizes(&[1, 2], 0)?.remove(1))),
    ("unfold", &[2], |x| x[0].try_unfold(1, 3, 1)),
    ("as_strided", &[2], |x| (x[0].try_mul(1.0)?).try_as_strided(&[2, 2], &[1, 1], 1)),
    ("index", &[2], |x| x[0].try_index((1, 2))),
    ("index a range", &[2], |x| x[0].try_index((.., 1..3))),
    ("index_put", &[1], |x| x[0].try_index_put(2, 1.0, false)),
    ("set", &[2], |x| Ok(x[0].try_mul(1.0)?.try_set((2, ..), 1.5)?.clone())),
    ("add", &[2, 1], |x| x[0].try_add(&x[1])),
    ("sub", &[2, 2], |x| x[0].try_sub(&x[1])),
    ("maximum", &[1, 1], |x| x[0].try_maximum(&x[1])),
    ("gt", &[2, 1], |x| x[0].try_gt(&x[1])),
    ("where_self", &[1, 1], |x| x[0].try_where_self(&x[1].try_gt(0.0)?, &x[1])),
    ("where_", &[1, 1], |x| try_where_(&x[0].try_gt(0.0)?, &x[1], 1.0)),
    ("clamp", &[1, 1], |x| x[0].try_clamp(&x[1], 1.0)),
    ("addcmul", &[1, 1, 1], |x| x[0].try_addcmul(&x[1], &x[2], 0.5)),
    ("lerp", &[1, 1], |x| x[0].try_lerp(&x[1], 0.5)),
    ("add_", &[1, 1], |x| Ok(x[0].try_mul(1.0)?.try_add_(&x[1])?.clone())),
    ("copy_", &[2, 1], |x| Ok(x[0].try_mul(1.0)?.try_copy_(&x[1])?.clone())),
    ("masked_fill", &[2, 1], |x| x[0].try_masked_fill(&x[1].try_gt(0.0)?, 3.0)),
    ("isclose", &[1, 1], |x| x[0].try_isclose(&x[1], 1e-3, 1e-3, false)),
    ("matmul", &[2, 2], |x| x[0].try_matmul(&x[1])),
    ("mm", &[2, 2], |x| x[0].try_mm(&x[1])),
    ("bmm", &[3, 3], |x| x[0].try_bmm(&x[1])),
    ("mv", &[2, 1], |x| x[0].try_mv(&x[1])),
    ("dot", &[1, 1], |x| x[0].try_dot(&x[1])),
    ("addmm", &[2, 2, 2], |x| x[0].try_addmm(&x[1], &x[2], 1.0, 1.0)),
    ("addr", &[2, 1, 1], |x| x[0].try_addr(&x[1], &x[2], 1.0, 1.0)),
    ("tensordot", &[2, 2], |x| x[0].try_tensordot(&x[1], &[1], &[0])),
    ("cross", &[2, 2], |x| x[0].try_cross(&x[1], 1)),
    ("einsum", &[2, 2], |x| try_einsum("ij,kj->ik", &[&x[0], &x[1]])),
    ("einsum of a diagonal", &[2], |x| try_einsum("ii->i", &[&x[0]])),
    ("linear", &[2, 2, 1], |x| try_linear(&x[0], &x[1], Some(&x[2]))),
    ("bilinear", &[1, 1, 3], |x| try_bilinear(&x[0], &x[1], &x[2], None)),
    ("reshape", &[2], |x| x[0].try_reshape(&[2, -1])),
    ("reshape to numbers", &[2], |x| x[0].try_reshape(&[3, 2])),
    ("reshape_as", &[2, 1], |x| x[0].try_reshape_as(&x[1])),
    ("view", &[2], |x| x[0].try_view(&[-1, 2])),
    ("view of a transposed tensor", &[2], |x| x[0].try_t()?.try_view(&[-1])),
    ("view_as", &[1, 2], |x| x[0].try_view_as(&x[1])),
    ("unflatten", &[1], |x| x[0].try_unflatten(0, &[2, -1])),
    ("expand", &[2], |x| x[0].try_expand(&[2, 3])),
    ("expand_as", &[1, 2], |x| x[0].try_expand_as(&x[1])),
    ("broadcast_to", &[1], |x| x[0].try_broadcast_to(&[2, 2])),
    ("broadcast_tensors", &[1, 2], |x| Ok(try_broadcast_tensors(&[&x[0], &x[1]])?.remove(1))),
    ("cat", &[2, 2], |x| try_cat(&[&x[0], &x[1]], 0)),
    ("stack", &[1, 1], |x| try_stack(&[&x[0], &x[1]], 0)),
    ("vstack", &[1, 2], |x| try_vstack(&[&x[0], &x[1]])),
    ("hstack", &[2, 2], |x| try_hstack(&[&x[0], &x[1]])),
    ("column_stack", &[1, 2], |x| try_column_stack(&[&x[0], &x[1]])),
    ("topk", &[1], |x| Ok(x[0].try_topk(2, 0, true)?.0)),
    ("kthvalue", &[1], |x| Ok(x[0].try_kthvalue(3, 0, false)?.0)),
    ("amax of nothing", &[2], |x| x[0].try_narrow(1, 1, 0)?.try_amax(&[0], false)),
    ("diagonal", &[2], |x| x[0].try_diagonal(3, 0, 1)),
    ("index_add", &[1, 1], |x| x[0].try_index_add(0, &x[1].try_mul(0.0)?.try_to(DType::I64)?, &x[1], 1.0)),
    ("gather", &[2, 2], |x| x[0].try_gather(0, &x[1].try_mul(0.0)?.try_to(DType::I64)?)),
    ("scatter_add", &[1, 1], |x| x[0].try_scatter_add(0, &x[1].try_mul(0.0)?.try_to(DType::I64)?, &x[1])),
    ("conv1d", &[2, 3], |x| try_conv1d(&x[0], &x[1], None, ConvOptions::default())),
    ("conv_transpose1d", &[2, 3], |x| try_conv_transpose1d(&x[0], &x[1], None, ConvTransposeOptions::default())),
    ("max_pool1d", &[2], |x| try_max_pool1d(&x[0], [2], MaxPoolOptions::default())),
    ("avg_pool1d", &[2], |x| try_avg_pool1d(&x[0], [3], AvgPoolOptions::default())),
    ("unfold of windows", &[3], |x| allotrope::functional::try_unfold(&x[0], [2, 2], FoldOptions::default())),
    ("fold", &[2], |x| try_fold(&x[0], [2, 2], [1, 2], FoldOptions::default())),
    ("pad reflecting", &[2], |x| try_pad(&x[0], &[2, 1], PadMode::Reflect)),
    ("pad by less", &[1], |x| try_pad(&x[0], &[-1, -1], PadMode::Zeros)),
    ("pixel_shuffle", &[3], |x| try_pixel_shuffle(&x[0], 2)),
    ("pixel_unshuffle", &[3], |x| try_pixel_unshuffle(&x[0], 2)),
    ("channel_shuffle", &[3], |x| try_channel_shuffle(&x[0], 2)),
    ("layer_norm", &[2], |x| try_layer_norm(&x[0], &[2], NormOptions::default())),
    ("group_norm", &[3], |x| try_group_norm(&x[0], 2, NormOptions::default())),
    ("glu", &[1], |x| try_glu(&x[0], 0)),
    ("prelu", &[2, 1], |x| try_prelu(&x[0], &x[1])),
    ("mse_loss", &[1, 2], |x| try_mse_loss(&x[0], &x[1])),
    ("l1_loss", &[2, 2], |x| try_l1_loss(&x[0], &x[1], Reduction::Sum)),
    ("cosine_similarity", &[2, 2], |x| try_cosine_similarity(&x[0], &x[1], 1, 1e-8)),
    ("cross_entropy", &[2, 2], |x| try_cross_entropy(&x[0], &x[1], CrossEntropyOptions::default())),
    ("attention", &[2, 2], |x| try_scaled_dot_product_attention(&x[0], &x[1], &x[1], AttentionOptions::default())),
    ("embedding", &[1, 2], |x| {
        try_embedding(&x[0].try_mul(0.0)?.try_to(DType::I64)?, &x[1].try_narrow(1, 1, 1)?, None)
    }),
    ("scan", &[1, 1], |x| Ok(try_scan(x[0].sum(), (x[0].clone(), x[1].clone()), |c, (a, b)| (&c + &a, b))?.1)),
    ("scan whose carry grows", &[1, 1], |x| {
        Ok(try_scan(x[0].clone(), x[1].clone(), |c, y| (cat(&[&c, &c], 0).narrow(0, 0, 2), y))?.0)
    }),
    ("cond", &[1, 1], |x| try_cond(&x[0].sum().try_gt(0.0)?, |(a, _)| a, |(_, b)| b, (x[0].clone(), x[1].clone()))),
    ("while_loop", &[1], |x| {
        Ok(try_while_loop(
            |(i, _)| i.lt(1),
            |(i, x)| (&i + 1, x.repeat(&[2]).narrow(0, 0, 2)),
            (Tensor::scalar(0i64), x[0].clone()),
        )?
        .1)
    }),
    ("rand of a wrong probability", &[1], |x| x[0].try_narrow(0, 2, 1)),
    ("backward", &[1], |x| {
        let x = x[0].detach().requires_grad();
        (&x * 2.0).try_backward()?;
        Ok(x.grad().expect("backward left one"))
    }),
    ("grad", &[1, 1], |x| {
        let y = x[0].detach().requires_grad();
        let how = GradOptions { grad_outputs: &[Some(&x[1])], ..GradOptions::default() };
        Ok(grad_with(&[&(&y * 2.0)], &[&y], how)?.remove(0).expect("it was used"))
    }),
    ("a panic that is caught", &[2, 2], |x| {
        let f = AssertUnwindSafe(|| x[0].matmul(&x[1]) + &x[0]);
        catch_unwind(f).map_err(|_| Error::Argument("it panicked".into()))
    }),
    ("an error in a branch", &[2, 1], |x| {
        let or = |y: Tensor| y.try_matmul(&x[1]).unwrap_or_else(|_| &y * 3.0).sum();
        Ok(cond(&x[0].sum().gt(0.0), or, |y| y.sum(), x[0].clone()))
    }),
    ("an error in a loop", &[2, 1], |x| {
        let body = |c: Tensor, row: Tensor| (&c + row.try_dot(&x[1]).unwrap_or_else(|_| row.sum()), row);
        Ok(scan(Tensor::scalar(0.0f32), x[0].clone(), body).0)
    }),
    ("an error in a checkpoint", &[1, 1], |x| {
        Ok(checkpoint(|x: &[Tensor]| x[0].try_add(&x[1]).unwrap_or_else(|_| x[0].exp()), &[&x[0], &x[1]]))
    }),
];

/// Operations of the table that fail for no sizes of the grid, or for all, where another argument decides: none.
fn fallback(x: &[Tensor]) -> Tensor {
    x[0].sum() * 2.0 + 1.0
}

/// Shapes for arguments of these numbers of axes: every one of the sizes 1 to 3, where they are not too many.
fn grid(axes: &[usize]) -> Vec<Vec<Vec<usize>>> {
    let all: usize = axes.iter().sum();
    let count = 3usize.pow(all as u32);
    // A stride that has no factor in common with the count goes through all of them in a mixed order.
    let (stride, taken) = if count > 27 { (61, 40) } else { (7, count) };
    let of = |i: usize| {
        let mut code = i * stride % count;
        let mut size = || {
            let size = code % 3 + 1;
            code /= 3;
            size
        };
        axes.iter().map(|&n| (0..n).map(|_| size()).collect()).collect()
    };
    (0..taken).map(of).collect()
}

/// Every operation of the table on all shapes of the grid, in both orders, by both forms.
#[test]
fn a_failed_operation_is_a_branch() {
    let mut idle = Vec::new();
    for &(name, axes, f) in OPERATIONS {
        let or = |x: &[Tensor]| f(x).unwrap_or_else(|_| fallback(x));
        let (fixed, dynamic) = (trace(|x: &[Tensor]| or(x)), trace_dynamic(|x: &[Tensor]| or(x)));
        let shapes = grid(axes);
        let failed = std::cell::Cell::new(0);
        for (i, shapes) in shapes.iter().chain(shapes.iter().rev()).enumerate() {
            let x: Vec<Tensor> = shapes.iter().enumerate().map(|(k, s)| draw((8 * i + k) as u64, s)).collect();
            failed.set(failed.get() + usize::from(f(&x).is_err()));
            let want = or(&x).detach();
            let what = format!("{name} of {shapes:?}");
            let got = fixed.call(&x).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_same(&format!("{what}, trace"), &got.detach(), &want);
            let got = dynamic.call(&x).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_same(&format!("{what}, trace_dynamic"), &got.detach(), &want);
        }
        if failed.get() == 0 || failed.get() == 2 * shapes.len() {
            idle.push(format!("{name} failed {} times of {}", failed.get(), 2 * shapes.len()));
        }
    }
    assert!(idle.is_empty(), "no branch: {idle:?}");
}

//! What an operation that changes nothing gives back: the tensor itself, a new view of it, or a copy, as PyTorch 2 does;
//! the same in both modes.

use allotrope::functional as f;
use allotrope::functional::{AvgPoolOptions, FoldOptions, InterpolateOptions, MaxPoolOptions, PadMode};
use allotrope::prelude::*;
use std::sync::Mutex;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The tensor itself.
    Same,
    /// A view with a history of its own.
    View,
    /// A view that came with others.
    Several,
    /// The same elements without history.
    Detached,
    Copied,
}
use Kind::{Copied, Detached, Same, Several, View};

struct Row {
    text: &'static str,
    shape: &'static [usize],
    kind: Kind,
    make: fn(&Tensor) -> Tensor,
}

macro_rules! rows {
    ($($shape:expr => { $($kind:ident |$x:ident| $make:expr;)* })*) => {
        vec![$($(Row { text: stringify!($make), shape: &$shape, kind: $kind, make: |$x| $make },)*)*]
    };
}

fn all() -> Vec<Row> {
    rows! {
        [3] => {
            View |x| x.view(&[3]);
            View |x| x.view(&[-1]);
            View |x| x.view_as(x);
            View |x| x.reshape(&[3]);
            View |x| x.reshape(&[-1]);
            View |x| x.reshape_as(x);
            Same |x| x.flatten(0, -1);
            View |x| x.ravel();
            Same |x| x.contiguous();
            Same |x| x.to(DType::F32);
            View |x| x.squeeze_all();
            View |x| x.squeeze(0);
            View |x| x.squeeze_dims(&[]);
            View |x| x.t();
            View |x| x.transpose(0, 0);
            View |x| x.swapaxes(0, 0);
            View |x| x.permute(&[0]);
            View |x| x.movedim(&[0], &[0]);
            View |x| x.expand(&[3]);
            View |x| x.expand(&[-1]);
            View |x| x.expand_as(x);
            View |x| x.broadcast_to(&[3]);
            View |x| x.expand(&[2, 3]);
            View |x| x.index(..);
            View |x| x.index(Ellipsis);
            View |x| x.index(0..);
            View |x| x.index(0..3);
            View |x| x.index(NewAxis);
            View |x| x.index(1..);
            View |x| x.index(0);
            View |x| x.index(stepped(.., 1));
            View |x| x.index(stepped(.., 2));
            View |x| x.slice(0, None, None, 1);
            View |x| x.narrow(0, 0, 3);
            Detached |x| x.detach();
            View |x| x.unfold(0, 3, 1);
            View |x| x.unflatten(0, &[3]);
            Same |x| x.atleast_1d();
            View |x| x.atleast_2d();
            View |x| x.atleast_3d();
            View |x| x.unsqueeze(0);
            View |x| x.as_strided(&[3], &[1], 0);
            View |x| x.select(0, 1);
            Several |x| x.chunk(1, 0).remove(0);
            Several |x| x.split(3, 0).remove(0);
            Several |x| x.split_with_sizes(&[3], 0).remove(0);
            Several |x| x.unbind(0).remove(0);
            View |x| x.tensor_split(1, 0).remove(0);
            View |x| x.tensor_split_at(&[2], 0).remove(0);
            Copied |x| x.repeat(&[1]);
            Copied |x| x.tile(&[1]);
            Copied |x| x.tile(&[]);
            Copied |x| x.repeat_interleave(1, Some(0));
            Copied |x| x.flip(&[]);
            Copied |x| x.flip(&[0]);
            Copied |x| x.roll(&[0], &[0]);
            Copied |x| x.roll(&[3], &[0]);
            Copied |x| x.diag(0);
            Copied |x| x.cumsum(0);
            Same |x| x.positive();
            Copied |x| x.nan_to_num(None, None, None);
            Copied |x| x.masked_fill(&Tensor::zeros(&[1], DType::Bool), 1.0);
            Copied |x| x.sort(0, false).0;
            Copied |x| x.gather(0, &Tensor::arange(3));
            Copied |x| x.index_select(0, &Tensor::arange(3));
            Copied |x| x.take_along_dim(&Tensor::arange(3), None);
            Copied |x| x.index(&Tensor::arange(3));
            Copied |x| x.round();
            Copied |x| x.relu();
            Copied |x| x.clamp(-9.0, 9.0);
            Copied |x| x.sum_dim(&[], false);
            Copied |x| cat(&[x], 0);
            Copied |x| stack(&[x], 0);
            Same |x| broadcast_tensors(&[x]).remove(0);
            Same |x| broadcast_tensors(&[x, &Tensor::ones(&[1], DType::F32)]).remove(0);
            View |x| broadcast_tensors(&[x, &Tensor::ones(&[2, 1], DType::F32)]).remove(0);
            View |x| meshgrid(&[x], "ij").remove(0);
            View |x| meshgrid(&[x, x], "xy").remove(0);
            View |x| einsum("i->i", &[x]);
            Copied |x| einsum("i,i->i", &[x, x]);
            Same |x| f::dropout(x, 0.0, true);
            Same |x| f::dropout(x, 0.5, false);
            Same |x| f::alpha_dropout(x, 0.0, true);
            Copied |x| f::pad(x, &[0, 0], PadMode::Zeros);
            Copied |x| f::pad(x, &[], PadMode::Zeros);
            Copied |x| f::pad(x, &[-1, 0], PadMode::Zeros);
            Copied |x| f::pad(x, &[-1, -1], PadMode::Constant(2.0));
        }
        [] => {
            View |x| x.view(&[]);
            View |x| x.view(&[1]);
            View |x| x.reshape(&[]);
            View |x| x.flatten(0, -1);
            View |x| x.ravel();
            Same |x| x.contiguous();
            View |x| x.squeeze_all();
            View |x| x.squeeze(0);
            View |x| x.t();
            View |x| x.transpose(0, 0);
            View |x| x.permute(&[]);
            View |x| x.movedim(&[], &[]);
            View |x| x.movedim(&[0], &[0]);
            View |x| x.expand(&[]);
            View |x| x.expand(&[1]);
            View |x| x.broadcast_to(&[]);
            View |x| x.index(Ellipsis);
            View |x| x.index(NewAxis);
            View |x| x.atleast_1d();
            View |x| x.unfold(0, 1, 1);
            View |x| x.unsqueeze(0);
            View |x| x.as_strided(&[], &[], 0);
            Copied |x| x.repeat(&[]);
            Copied |x| x.sum();
            Copied |x| x.mean();
            Copied |x| x.max();
            Copied |x| x.cumsum(0);
            Copied |x| x.roll(&[0], &[]);
            Copied |x| x.flip(&[]);
            Copied |x| x.softmax(0);
            Copied |x| x.index_select(0, &Tensor::arange(1));
            Copied |x| x.gather(0, &Tensor::zeros(&[], DType::I64));
            Copied |x| x.logsumexp(&[0], false);
            Copied |x| x.sort(0, false).0;
            Copied |x| x.prod();
        }
        [3, 4] => {
            View |x| x.view(&[3, 4]);
            View |x| x.view(&[12]);
            View |x| x.reshape(&[12]);
            View |x| x.flatten(0, -1);
            Same |x| x.flatten(0, 0);
            Same |x| x.flatten(1, 1);
            Same |x| x.flatten(1, -1);
            View |x| x.ravel();
            View |x| x.t();
            View |x| x.mt();
            View |x| x.transpose(1, 1);
            View |x| x.permute(&[0, 1]);
            View |x| x.permute(&[1, 0]);
            View |x| x.movedim(&[0, 1], &[0, 1]);
            View |x| x.expand(&[-1, -1]);
            View |x| x.expand(&[1, 3, 4]);
            View |x| x.index((.., ..));
            View |x| x.index((0.., 0..));
            View |x| x.index((Ellipsis, ..));
            View |x| x.index((0, 0));
            View |x| x.index((1.., ..2));
            Copied |x| x.index((&Tensor::arange(1), 0));
            Copied |x| x.index(&Tensor::ones(&[], DType::Bool));
            View |x| x.unfold(0, 3, 1);
            View |x| x.unfold(1, 2, 2);
            View |x| x.squeeze_all();
            View |x| x.unflatten(1, &[4]);
            View |x| x.unflatten(1, &[2, 2]);
            View |x| x.diagonal(0, 0, 1);
            Copied |x| x.diag(0);
            Copied |x| x.tril(10);
            Copied |x| x.triu(-10);
            Same |x| x.atleast_1d();
            Same |x| x.atleast_2d();
            View |x| x.atleast_3d();
            Same |x| x.contiguous();
            Copied |x| x.repeat(&[1, 1]);
            Copied |x| x.tile(&[1]);
            Copied |x| x.roll(&[0], &[0]);
            Copied |x| x.rot90(0, [0, 1]);
            Copied |x| x.rot90(4, [0, 1]);
            Copied |x| x.rot90(1, [0, 1]);
            Copied |x| x.repeat_interleave(1, Some(0));
            View |x| x.t().t();
            Copied |x| x.t().contiguous();
            View |x| x.t().reshape(&[4, 3]);
            Copied |x| x.t().reshape(&[12]);
            Copied |x| x.t().flatten(0, -1);
            Copied |x| x.t().ravel();
            View |x| x.t().reshape(&[2, 2, 3]);
            View |x| x.t().to(DType::F32);
            Several |x| x.chunk(1, 0).remove(0);
            Several |x| x.split(3, 0).remove(0);
            View |x| x.tensor_split(1, 0).remove(0);
            Several |x| x.unbind(1).remove(1);
            Several |x| x.unbind(1).remove(1).view(&[3]);
            View |x| x.select(1, 0);
            Copied |x| x.select(1, 0).contiguous();
            View |x| x.select(0, 0).contiguous();
            View |x| x.select(1, 0).flatten(0, -1);
            Copied |x| x.select(1, 0).ravel();
            View |x| x.select(1, 0).reshape(&[3]);
            View |x| x.select(1, 0).view(&[3]);
            Copied |x| x.sum_dim(&[], false);
            View |x| einsum("ij->ij", &[x]);
            View |x| einsum("ij->ji", &[x]);
            View |x| einsum("...->...", &[x]);
            Copied |x| einsum("ij->i", &[x]);
            Same |x| f::dropout(x, 0.0, true);
            Copied |x| f::dropout(x, 1.0, true);
            Copied |x| f::pad(x, &[0, 0], PadMode::Zeros);
            Copied |x| f::pad(x, &[0, 0, 0, 0], PadMode::Constant(3.0));
            Copied |x| f::pad(x, &[0, -1, -1, 0], PadMode::Zeros);
            Copied |x| f::pad(x, &[-4, 0], PadMode::Zeros).add(&x.sum());
        }
        [2, 3, 4] => {
            Copied |x| f::pad(x, &[0, 0], PadMode::Reflect);
            Copied |x| f::pad(x, &[0, 0], PadMode::Replicate);
            Copied |x| f::pad(x, &[0, 0], PadMode::Circular);
            Copied |x| f::pad(x, &[-1, 0], PadMode::Reflect);
            Copied |x| f::pad(x, &[-1, 0], PadMode::Circular);
            Copied |x| f::pad(x, &[-1, -1], PadMode::Replicate);
            Copied |x| f::unfold(x, [1, 1], FoldOptions::default());
            Copied |x| f::max_pool1d(x, [1], MaxPoolOptions::default());
            Copied |x| f::avg_pool1d(x, [1], AvgPoolOptions::default());
            Copied |x| f::adaptive_avg_pool1d(x, [Some(4)]);
        }
        [1, 4, 3, 2] => {
            Copied |x| f::pad(x, &[0, 0, 0, 0], PadMode::Reflect);
            Copied |x| f::pad(x, &[0, 0, 0, 0], PadMode::Circular);
            Copied |x| f::pixel_shuffle(x, 1);
            Copied |x| f::pixel_shuffle(x, 2);
            Copied |x| f::pixel_unshuffle(x, 1);
            Copied |x| f::channel_shuffle(x, 1);
            Copied |x| f::channel_shuffle(x, 4);
            Copied |x| f::channel_shuffle(x, 2);
            Copied |x| f::unfold(x, [1, 1], FoldOptions::default());
            Copied |x| f::unfold(x, [3, 2], FoldOptions::default());
            Copied |x| f::fold(&x.view(&[1, 4, 6]), [3, 2], [1, 1], FoldOptions::default());
            Copied |x| f::interpolate(x, &InterpolateOptions { size: vec![3, 2], ..Default::default() });
            Copied |x| f::adaptive_avg_pool2d(x, [Some(3), Some(2)]);
        }
    }
}

/// What `make` gives of a tensor that is no leaf, and the result with `changed` added to the tensor afterwards.
fn looked_at(row: &Row, x: &Tensor) -> (Kind, Tensor, Tensor) {
    let y = x * 1.0;
    let r = (row.make)(&y);
    let before = r.detach() * 1.0;
    let same = r.is_same(&y);
    no_grad(|| y.mul_(-3.0));
    let after = r.detach() * 1.0;
    let kind = match r.try_mul(1.0) {
        _ if same => Same,
        Err(_) => Several,
        Ok(_) => match r.grad_fn_name() {
            Some(name) if name == "AsStridedBackward0" => View,
            None => Detached,
            Some(_) => Copied,
        },
    };
    (kind, before, after)
}

fn leaf(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_vec((1..=n).map(|i| i as f32).collect(), shape).requires_grad()
}

#[test]
fn the_same_a_view_or_a_copy() {
    let mut wrong = Vec::new();
    for row in all() {
        let (kind, before, after) = looked_at(&row, &leaf(row.shape));
        let shares = before.to_vec::<f32>() != after.to_vec::<f32>();
        if kind != row.kind || shares != (kind != Copied) {
            wrong.push(format!("{:?} {}: {kind:?}, shares: {shares}, not {:?}", row.shape, row.text, row.kind));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_a_view_or_a_copy_in_a_trace() {
    let mut wrong = Vec::new();
    // How long the result of a mask is cannot be known.
    for row in all().iter().filter(|row| !row.text.contains("index(&Tensor::ones")) {
        let eager = looked_at(row, &leaf(row.shape));
        let found = Mutex::new(None);
        let traced = trace(|x: &Tensor| {
            let (kind, before, after) = looked_at(row, x);
            *found.lock().unwrap() = Some(kind);
            (before, after)
        });
        let (before, after) = match traced.call(&leaf(row.shape)) {
            Ok(results) => results,
            Err(e) => {
                wrong.push(format!("{:?} {}: {e}", row.shape, row.text));
                continue;
            }
        };
        let kind = found.lock().unwrap().unwrap();
        let bits = |t: &Tensor| t.to_vec::<f32>().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        if kind != row.kind || bits(&before) != bits(&eager.1) || bits(&after) != bits(&eager.2) {
            wrong.push(format!("{:?} {}: {kind:?}, not {:?}", row.shape, row.text, row.kind));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Under `no_grad` a view has no history, but what it shows has.
#[test]
fn views_made_under_no_grad() {
    for row in all() {
        let x = leaf(row.shape);
        let r = no_grad(|| (row.make)(&x));
        let (requires, leaf) = (r.is_requires_grad(), r.is_leaf());
        let expected = match row.kind {
            Same | View | Several => (true, true),
            Detached | Copied => (false, true),
        };
        assert_eq!((requires, leaf), expected, "{:?} {}", row.shape, row.text);
        assert_eq!(r.grad_fn_name(), None, "{:?} {}", row.shape, row.text);
    }
}

/// `requires_grad_` on a view of a tensor that needs no gradient does not reach the tensor.
#[test]
fn a_view_becomes_a_leaf_of_its_own() {
    for row in all().iter().filter(|row| row.kind == View) {
        let x = leaf(row.shape).detach();
        let r = (row.make)(&x);
        r.requires_grad_(true);
        assert!(!x.is_requires_grad() && r.is_requires_grad() && r.is_leaf(), "{}", row.text);
        (&r * 2.0).sum().backward();
        assert!(r.grad().is_some() && x.grad().is_none(), "{}", row.text);
    }
}

//! Gather and scatter against loops over all indices, with indices that are out of range among them.

use crate::common::*;
use allotrope_kernels::{Element, ScatterOp, gather, scatter};
use half::{bf16, f16};

/// Indices along an axis of `n`, in any layout; now and then one that is out of range.
fn random_index(g: &mut Lcg, shape: &[usize], axis: usize, n: usize) -> Array<i64> {
    let mut index = Array::random(g, shape, i64::plain);
    // An embedding's: one row for each index, expanded over the others.
    if g.below(3) == 0 {
        let mut strides = vec![0; shape.len()];
        strides[axis] = 1;
        index = Array { data: vec![0; shape[axis].max(1)], offset: 0, shape: shape.to_vec(), strides };
    }
    for v in &mut index.data {
        *v = match g.below(12) {
            0 => -1,
            1 => n as i64,
            2 => [i64::MIN, i64::MAX][g.below(2)],
            _ => g.below(n.max(1)) as i64,
        };
    }
    index
}

/// Shapes of the elements and of the indices.
fn random_shapes(g: &mut Lcg) -> (Vec<usize>, Vec<usize>, usize) {
    let (shape, axis) = random_axis(g);
    let mut index_shape = shape.clone();
    index_shape[axis] = [0, 1, 2, 5, 19][g.below(5)];
    (shape, index_shape, axis)
}

fn check_gather<T: Element + Sample + Bits>() {
    let mut g = Lcg(11);
    for _ in 0..250 {
        let (shape, index_shape, axis) = random_shapes(&mut g);
        let n = shape[axis];
        let x = Array::random(&mut g, &shape, T::odd);
        let index = random_index(&mut g, &index_shape, axis, n);
        let got = at_each_level(|| {
            let mut out = vec![T::default(); index_shape.iter().product()];
            gather(x.view(), index.view(), axis, &mut out);
            bits(&out)
        });
        let want: Vec<u64> = indices(&index_shape)
            .iter()
            .map(|i| match index.at(i) {
                p if (0..n as i64).contains(&p) => x.at(&moved(i, axis, p as usize)).bits(),
                _ => 0,
            })
            .collect();
        assert_eq!(got, want, "{x:?} {index:?} axis {axis}");
    }
}

fn check_scatter<T: Element + Sample + Bits>(op: ScatterOp, put: impl Fn(T, T) -> T) {
    let mut g = Lcg(12);
    for _ in 0..250 {
        let (shape, index_shape, axis) = random_shapes(&mut g);
        let n = shape[axis];
        let index = random_index(&mut g, &index_shape, axis, n);
        let src = Array::random(&mut g, &index_shape, T::odd);
        let base: Vec<T> = odd(&mut g, shape.iter().product());
        let got = at_each_level(|| {
            let mut out = base.clone();
            scatter(op, index.view(), src.view(), axis, &mut out, &shape);
            bits(&out)
        });
        let mut want = base.clone();
        for i in indices(&index_shape) {
            let p = index.at(&i);
            if (0..n as i64).contains(&p) {
                let at = flat(&moved(&i, axis, p as usize), &shape);
                want[at] = put(want[at], src.at(&i));
            }
        }
        assert_eq!(got, bits(&want), "{op:?} {src:?} {index:?} axis {axis}");
    }
}

#[test]
fn gather_reads_along_the_axis() {
    check_gather::<bool>();
    check_gather::<u8>();
    check_gather::<i32>();
    check_gather::<i64>();
    check_gather::<f16>();
    check_gather::<bf16>();
    check_gather::<f32>();
    check_gather::<f64>();
}

#[test]
fn scatter_keeps_the_last_source() {
    check_scatter::<bool>(ScatterOp::Set, |_, b| b);
    check_scatter::<u8>(ScatterOp::Set, |_, b| b);
    check_scatter::<i32>(ScatterOp::Set, |_, b| b);
    check_scatter::<i64>(ScatterOp::Set, |_, b| b);
    check_scatter::<f16>(ScatterOp::Set, |_, b| b);
    check_scatter::<bf16>(ScatterOp::Set, |_, b| b);
    check_scatter::<f32>(ScatterOp::Set, |_, b| b);
    check_scatter::<f64>(ScatterOp::Set, |_, b| b);
}

#[test]
fn scatter_add_adds_in_order() {
    check_scatter::<u8>(ScatterOp::Add, u8::wrapping_add);
    check_scatter::<i32>(ScatterOp::Add, i32::wrapping_add);
    check_scatter::<i64>(ScatterOp::Add, i64::wrapping_add);
    check_scatter::<f32>(ScatterOp::Add, |a, b| a + b);
    check_scatter::<f64>(ScatterOp::Add, |a, b| a + b);
    // 1e8 is lost on the way only in this order.
    let index = Array::dense(vec![0i64; 3], &[3]);
    let src = Array::dense(vec![1e8f32, 1.0, -1e8], &[3]);
    let mut out = [0f32];
    scatter(ScatterOp::Add, index.view(), src.view(), 0, &mut out, &[1]);
    assert_eq!(out, [0.0]);
}

#[test]
fn embeddings_move_whole_rows() {
    let table: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let x = Array::dense(table, &[4, 3]);
    let index = Array { data: vec![3i64, 0, 3], offset: 0, shape: vec![3, 3], strides: vec![1, 0] };
    let mut rows = [0f32; 9];
    gather(x.view(), index.view(), 0, &mut rows);
    assert_eq!(rows, [9., 10., 11., 0., 1., 2., 9., 10., 11.]);
    let mut sums = [0f32; 12];
    scatter(ScatterOp::Add, index.view(), Array::dense(rows.to_vec(), &[3, 3]).view(), 0, &mut sums, &[4, 3]);
    assert_eq!(sums, [0., 1., 2., 0., 0., 0., 0., 0., 0., 18., 20., 22.]);
}

#[test]
fn nothing_can_be_read_from_an_empty_axis() {
    let x = Array::dense(Vec::<f64>::new(), &[2, 0, 3]);
    let index = Array::dense(vec![0i64; 12], &[2, 2, 3]);
    let mut out = [7f64; 12];
    gather(x.view(), index.view(), 1, &mut out);
    assert_eq!(out, [0.0; 12]);
}

#[test]
fn wrong_shapes_and_types_say_whose_bug_it_is() {
    let x = Array::dense(vec![1f32; 6], &[2, 3]);
    let half = Array::dense(vec![f16::ONE; 6], &[2, 3]);
    let index = Array::dense(vec![0i64; 6], &[3, 2]);
    let fitting = Array::dense(vec![0i64; 6], &[2, 3]);
    let panics = |f: &dyn Fn()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.starts_with("bug in allotrope"), "{text}");
    };
    panics(&|| gather(x.view(), index.view(), 0, &mut [0.0; 6]));
    panics(&|| gather(x.view(), fitting.view(), 2, &mut [0.0; 6]));
    panics(&|| gather(x.view(), fitting.view(), 0, &mut [0.0; 5]));
    panics(&|| scatter(ScatterOp::Set, index.view(), x.view(), 0, &mut [0.0; 6], &[2, 3]));
    panics(&|| scatter(ScatterOp::Set, fitting.view(), x.view(), 1, &mut [0.0; 5], &[2, 3]));
    panics(&|| scatter(ScatterOp::Add, fitting.view(), half.view(), 1, &mut [f16::ZERO; 6], &[2, 3]));
}

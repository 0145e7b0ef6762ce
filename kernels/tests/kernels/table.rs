//! The function table: complete, named, one for each level.

use crate::common::levels;
use allotrope_ir::DType;
use allotrope_kernels::{
    Family, KernelId, REDUCE_STATE_ALIGN, REDUCE_STATE_SIZE, ReduceOp, ScatterOp, Signature, UnaryOp, Word, table_for,
};
use std::collections::HashSet;

#[test]
fn every_level_lists_the_same_names() {
    let first = table_for(levels()[0]).unwrap().entries();
    let names: HashSet<&str> = first.iter().map(|e| e.name).collect();
    assert_eq!(names.len(), first.len());
    let ids: HashSet<KernelId> = first.iter().map(|e| e.id).collect();
    assert_eq!(ids.len(), first.len());
    for name in ["tanh_f32", "matmul_f64", "matvec_f32", "rank1_acc_f32", "sum_update_f32", "reduce_max_i64"] {
        assert!(names.contains(name), "{name}");
    }
    for (family, dtypes) in [
        ("gather", "bool u8 i32 i64 f16 bf16 f32 f64"),
        ("scatter", "bool u8 i32 i64 f16 bf16 f32 f64"),
        ("scatter_add argmax argmin recurrence overlap_add rem pow", "u8 i32 i64 f32 f64"),
        ("sum max min reduce_sum reduce_max reduce_min matmul matmul_axes", "u8 i32 i64 f32 f64"),
        (
            "sum_begin sum_update sum_finish max_begin max_update max_finish min_begin min_update min_finish",
            "u8 i32 i64 f32 f64",
        ),
        ("argsort", "bool u8 i32 i64 f32 f64"),
        ("quotient", "u8 i32 i64"),
        ("exp2 expm1 log2 log10 log1p tan asin acos atan sinh cosh asinh acosh atanh erf erfc atan2", "f32 f64"),
        ("widen narrow", "f16 bf16"),
    ] {
        for (family, dtype) in family.split(' ').flat_map(|f| dtypes.split(' ').map(move |d| (f, d))) {
            assert!(names.contains(format!("{family}_{dtype}").as_str()), "{family}_{dtype}");
        }
    }
    for level in levels() {
        let entries = table_for(level).unwrap().entries();
        assert!(entries.iter().zip(&first).all(|(a, b)| (a.id, a.name, a.signature) == (b.id, b.name, b.signature)));
        assert!(entries.iter().all(|e| !e.address.is_null()));
    }
}

/// What a caller is told of a function is what its field says.
#[test]
fn entries_say_how_they_are_called() {
    let entries = table_for(levels()[0]).unwrap().entries();
    let of = |family: Family, dtype| entries.iter().find(|e| e.id == family.of(dtype)).unwrap();
    let words = |n| vec![Word::I64; n];
    let tanh = of(Family::Unary(UnaryOp::Tanh), DType::F32);
    assert_eq!((tanh.name, tanh.signature.arguments, tanh.signature.result), ("tanh_f32", &words(3)[..], None));
    let sum = of(Family::Reduce(ReduceOp::Sum), DType::U8);
    assert_eq!((sum.name, sum.signature.arguments, sum.signature.result), ("sum_u8", &words(2)[..], Some(Word::U8)));
    let finish = of(Family::ReduceFinish(ReduceOp::Max), DType::F64);
    assert_eq!(finish.name, "max_finish_f64");
    assert_eq!(finish.signature, Signature { arguments: &[Word::I64], result: Some(Word::F64) });
    let matmul = of(Family::Matmul, DType::F32).signature.arguments;
    assert_eq!((&matmul[..11], matmul[11]), (&words(11)[..], Word::I32));
    assert_eq!(of(Family::Scatter(ScatterOp::Add), DType::I32).name, "scatter_add_i32");
    assert_eq!(of(Family::Widen, DType::BF16).name, "widen_bf16");
}

#[test]
fn the_state_of_a_reduction_is_small() {
    let (size, align) = (REDUCE_STATE_SIZE, REDUCE_STATE_ALIGN);
    assert!(size <= 2048 && align == 64, "{size} bytes, aligned to {align}");
}

/// The same functions as raw pointers, as generated code calls them; `rank` may be 1 and sizes 0.
#[test]
fn kernels_along_an_axis_take_words() {
    for t in levels().into_iter().map(|l| table_for(l).unwrap()) {
        let x = [10f32, 20.0, 30.0];
        let index = [2i64, -1, 0, 3];
        let mut out = [7f32; 4];
        // SAFETY: one axis of 3 elements, 4 indices.
        unsafe {
            (t.gather_f32)(1, 0, 3, &4, &1, &1, x.as_ptr().cast(), index.as_ptr(), out.as_mut_ptr().cast());
            assert_eq!(out, [30.0, 0.0, 10.0, 0.0]);
            let mut sums = [1f32; 3];
            (t.scatter_add_f32)(1, 0, 3, &4, &1, &0, &1, index.as_ptr(), x.as_ptr(), sums.as_mut_ptr());
            assert_eq!(sums, [11.0, 1.0, 11.0]);
            (t.scatter_f32)(1, 0, 3, &0, &1, &1, &1, index.as_ptr(), x.as_ptr().cast(), sums.as_mut_ptr().cast());
            assert_eq!(sums, [11.0, 1.0, 11.0]);
            let mut places = [9i64; 3];
            (t.argsort_f32)(1, 0, 1, &3, &1, x.as_ptr(), places.as_mut_ptr());
            assert_eq!(places, [2, 1, 0]);
            (t.argmax_f32)(1, 0, &3, &-1, &x[2], places.as_mut_ptr());
            assert_eq!(places[0], 0);
            (t.recurrence_f32)(1, 0, 1, &3, &1, &1, x.as_ptr(), x.as_ptr(), sums.as_mut_ptr());
            assert_eq!(sums, [6210.0, 620.0, 30.0]);
            (t.overlap_add_f32)(2, 0, 2, 1, 1, [2, 1].as_ptr(), [1, 0].as_ptr(), x.as_ptr(), sums.as_mut_ptr());
            assert_eq!(sums, [10.0, 20.0, 30.0]);
        }
    }
}

//! The function table: complete, named, one for each level.

use crate::common::levels;
use allotrope_kernels::{REDUCE_STATE_ALIGN, REDUCE_STATE_SIZE, table_for};
use std::collections::HashSet;

#[test]
fn every_level_lists_the_same_names() {
    let first = table_for(levels()[0]).unwrap().entries();
    let names: HashSet<&str> = first.iter().map(|e| e.0).collect();
    assert_eq!(names.len(), first.len());
    for name in ["tanh_f32", "matmul_f64", "matvec_f32", "rank1_acc_f32", "sum_update_f32", "reduce_max_i64"] {
        assert!(names.contains(name), "{name}");
    }
    for level in levels() {
        let entries = table_for(level).unwrap().entries();
        assert!(entries.iter().zip(&first).all(|(a, b)| a.0 == b.0));
        assert!(entries.iter().all(|e| !e.1.is_null()));
    }
}

#[test]
fn the_state_of_a_reduction_is_small() {
    let (size, align) = (REDUCE_STATE_SIZE, REDUCE_STATE_ALIGN);
    assert!(size <= 2048 && align == 64, "{size} bytes, aligned to {align}");
}

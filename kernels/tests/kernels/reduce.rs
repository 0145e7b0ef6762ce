//! Reductions: the defined order, bit for bit, for any layout, axes, and cutting of a stream.

use crate::common::*;
use crate::seed;
use allotrope_kernels::{Element, ReduceOp, ReduceState, reduce, table_for};
use proptest::prelude::*;

/// The definition in `kernels::reduce`, word for word.
fn defined<T: Copy>(x: &[T], identity: T, empty: T, block: usize, f: impl Fn(T, T) -> T) -> T {
    if x.is_empty() {
        return empty;
    }
    let results = x.chunks(block.min(x.len())).map(|b| {
        let mut lanes = [identity; 16];
        if b.len() > 1 {
            lanes[1] = empty;
        }
        for (r, &v) in b.iter().enumerate() {
            lanes[r % 16] = f(lanes[r % 16], v);
        }
        for h in [8, 4, 2, 1] {
            for l in 0..h {
                lanes[l] = f(lanes[l], lanes[l + h]);
            }
        }
        lanes[0]
    });
    let mut stored: Vec<Option<T>> = vec![None; 64];
    for (i, mut value) in results.enumerate() {
        let (mut i, mut level) = (i, 0);
        while i & 1 == 1 {
            value = f(stored[level].take().unwrap(), value);
            i >>= 1;
            level += 1;
        }
        stored[level] = Some(value);
    }
    stored.into_iter().flatten().reduce(|value, stored| f(stored, value)).unwrap()
}

trait Reduced: Element + Sample + Bits {
    fn defined(op: ReduceOp, x: &[Self]) -> Self;
}
macro_rules! floats {
    ($t:ident) => {
        impl Reduced for $t {
            fn defined(op: ReduceOp, x: &[$t]) -> $t {
                let inf = $t::INFINITY;
                match op {
                    ReduceOp::Sum => defined(x, -0.0, 0.0, 4096, |a, b| a + b),
                    ReduceOp::Max => defined(x, -inf, -inf, usize::MAX, |a, b| if b > a || b.is_nan() { b } else { a }),
                    ReduceOp::Min => defined(x, inf, inf, usize::MAX, |a, b| if b < a || b.is_nan() { b } else { a }),
                }
            }
        }
    };
}
floats!(f32);
floats!(f64);
macro_rules! ints {
    ($($t:ident),+) => {$( impl Reduced for $t {
        fn defined(op: ReduceOp, x: &[$t]) -> $t {
            match op {
                ReduceOp::Sum => x.iter().fold(0, |a, &b| a.wrapping_add(b)),
                ReduceOp::Max => x.iter().copied().fold($t::MIN, $t::max),
                ReduceOp::Min => x.iter().copied().fold($t::MAX, $t::min),
            }
        }
    } )+};
}
ints!(u8, i32, i64);
impl Reduced for bool {
    fn defined(op: ReduceOp, x: &[bool]) -> bool {
        match op {
            ReduceOp::Sum => unreachable!(),
            ReduceOp::Max => x.contains(&true),
            ReduceOp::Min => !x.contains(&false),
        }
    }
}

fn expected<T: Reduced>(op: ReduceOp, x: &Array<T>, axes: &[usize]) -> Vec<T> {
    let kept: Vec<usize> = (0..x.shape.len()).filter(|d| !axes.contains(d)).collect();
    let mut axes = axes.to_vec();
    axes.sort();
    let of = |dims: &[usize]| indices(&dims.iter().map(|&d| x.shape[d]).collect::<Vec<_>>());
    of(&kept)
        .iter()
        .map(|i| {
            let run: Vec<T> = of(&axes)
                .iter()
                .map(|r| {
                    let mut index = vec![0; x.shape.len()];
                    kept.iter().zip(i).for_each(|(&d, &v)| index[d] = v);
                    axes.iter().zip(r).for_each(|(&d, &v)| index[d] = v);
                    x.at(&index)
                })
                .collect();
            T::defined(op, &run)
        })
        .collect()
}

fn check<T: Reduced>(op: ReduceOp, x: &Array<T>, axes: &[usize]) {
    let want = expected(op, x, axes);
    let got = at_each_level(|| {
        let mut out = vec![T::default(); want.len()];
        reduce(op, x.view(), axes, &mut out);
        bits(&out)
    });
    assert!(got == bits(&want), "{op:?} {:?} {:?} over {axes:?}", x.shape, x.strides);
}

fn check_all<T: Reduced>(ops: &[ReduceOp]) {
    for &op in ops {
        let mut g = Lcg(op as u64 + 31);
        for round in 0..150 {
            let shape = random_shape(&mut g);
            let x = Array::random(&mut g, &shape, if round % 3 == 0 { T::odd } else { T::plain });
            let mut axes: Vec<usize> = (0..shape.len()).filter(|_| g.below(2) == 0).collect();
            if axes.len() > 1 && g.below(2) == 0 {
                axes.reverse();
            }
            check(op, &x, &axes);
        }
        for shape in [[4096, 3], [4097, 70], [9000, 18], [20500, 2]] {
            let n = shape[0] * shape[1];
            let x = Array::dense(plain::<T>(&mut g, n), &shape);
            check(op, &x, &[0]);
            check(op, &x, &[1]);
            check(op, &x, &[0, 1]);
            let t = Array { shape: vec![shape[1], shape[0]], strides: vec![1, shape[1] as isize], ..x };
            check(op, &t, &[1]);
            check(op, &t, &[0]);
            check(op, &t, &[0, 1]);
        }
    }
}

#[test]
fn reductions_follow_the_definition() {
    let all = [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min];
    check_all::<f32>(&all);
    check_all::<f64>(&all);
    check_all::<i64>(&all);
    check_all::<i32>(&all);
    check_all::<u8>(&all);
    check_all::<bool>(&all[1..]);
}

#[test]
fn odd_cases_of_sums_and_extremes() {
    let t = table_for(allotrope_kernels::simd::best_level()).unwrap();
    // SAFETY: lengths as given.
    unsafe {
        assert_eq!((t.sum_f32)(0, std::ptr::dangling()).to_bits(), 0);
        assert_eq!((t.sum_f32)(1, [-0.0f32].as_ptr()).to_bits(), (-0.0f32).to_bits());
        assert_eq!((t.sum_f32)(2, [-0.0f32, -0.0].as_ptr()).to_bits(), 0);
        assert_eq!((t.sum_f32)(2, [-0.0f32, 0.0].as_ptr()).to_bits(), 0);
        assert_eq!((t.max_f64)(0, std::ptr::dangling()), f64::NEG_INFINITY);
        assert_eq!((t.min_i64)(0, std::ptr::dangling()), i64::MAX);
        for at in [0, 1, 16, 17, 99] {
            let mut x = vec![1f32; 100];
            x[at] = f32::NAN;
            assert!((t.max_f32)(100, x.as_ptr()).is_nan());
            assert!((t.min_f32)(100, x.as_ptr()).is_nan());
        }
        // The first of equal zeros wins.
        assert_eq!((t.max_f32)(2, [0.0f32, -0.0].as_ptr()).to_bits(), 0);
        assert_eq!((t.max_f32)(2, [-0.0f32, 0.0].as_ptr()).to_bits(), (-0.0f32).to_bits());
    }
}

proptest! {
    #![proptest_config(seed::config(150))]
    #[test]
    fn streams_may_be_cut_anywhere(seed: u64, n in 0usize..30000, parts in 1usize..20) {
        let mut g = Lcg(seed);
        let x: Vec<f32> = plain(&mut g, n);
        let y: Vec<f64> = plain(&mut g, n);
        let mut cuts: Vec<usize> = (1..parts).map(|_| g.below(n + 1)).collect();
        cuts.extend([0, n]);
        cuts.sort();
        for level in levels() {
            let t = table_for(level).unwrap();
            let mut state = std::mem::MaybeUninit::<ReduceState>::uninit();
            let s = state.as_mut_ptr();
            // SAFETY: begin, then update with parts of the data, then finish.
            let (sum, max, sum64) = unsafe {
                (t.sum_begin_f32)(s);
                for c in cuts.windows(2) {
                    (t.sum_update_f32)(s, c[1] - c[0], x[c[0]..c[1]].as_ptr());
                }
                let sum = (t.sum_finish_f32)(s);
                prop_assert_eq!(sum.bits(), (t.sum_f32)(n, x.as_ptr()).bits());
                (t.max_begin_f32)(s);
                for c in cuts.windows(2) {
                    (t.max_update_f32)(s, c[1] - c[0], x[c[0]..c[1]].as_ptr());
                }
                let max = (t.max_finish_f32)(s);
                (t.sum_begin_f64)(s);
                for c in cuts.windows(2) {
                    (t.sum_update_f64)(s, c[1] - c[0], y[c[0]..c[1]].as_ptr());
                }
                (sum, max, (t.sum_finish_f64)(s))
            };
            prop_assert_eq!(sum.bits(), f32::defined(ReduceOp::Sum, &x).bits());
            prop_assert_eq!(max.bits(), f32::defined(ReduceOp::Max, &x).bits());
            prop_assert_eq!(sum64.bits(), f64::defined(ReduceOp::Sum, &y).bits());
        }
    }
}

//! Tensors whose memory is looked at in unusual ways: strides of any sign and of nothing, elements that many places share,
//! views at the very ends of a block, memory taken over from elsewhere, indices from outside. The values are checked, but
//! the point is AddressSanitizer (docs/testing.md): what is read and written lies in blocks of its own. Generated code is
//! not instrumented, what it calls is.

use allotrope::prelude::*;
use allotrope::tensor::FromElement;
use ndarray::{Array2, Axis, s};

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to(DType::F64).to_vec::<f64>()
}

/// One program in all three modes, on the same arguments: its results are equal.
#[track_caller]
fn everywhere(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Vec<f64> {
    let eager = numbers(&f(x));
    assert_eq!(numbers(&trace(&f).call(x).unwrap()), eager);
    assert_eq!(numbers(&trace_dynamic(&f).call(x).unwrap()), eager);
    eager
}

/// Everything that reads a tensor element by element, along axes and through tables.
fn programs() -> Vec<fn(&Tensor) -> Tensor> {
    vec![
        |x| x * 2.0,
        |x| x + &x.flip(&[0]),
        |x| x.sum_dim(&[0], false),
        |x| x.amax(&[1], true),
        |x| x.t().matmul(x),
        |x| x.matmul(&x.t()),
        |x| x.cumsum(0),
        |x| x.sort(1, true).0,
        |x| x.argmax_dim(0, false),
        |x| x.contiguous(),
        |x| x.t().reshape(&[-1]),
        |x| x.index((.., allotrope::ops::stepped(0.., 2))),
        |x| x.unfold(0, 1, 1).sum_dim(&[2], false),
        |x| x.gather(1, &x.argsort(1, false)),
        |x| cat(&[x, &x.flip(&[1])], 0),
        |x| x.to(DType::F32).exp().to(DType::I64),
        |x| x.narrow(0, x.size(0) as isize - 1, 1).expand(&[4, -1]) * 1.0,
        |x| {
            let y = x.contiguous() * 1.0;
            y.t().narrow(0, 0, 1).add_(1.0);
            y
        },
    ]
}

fn each(x: &Tensor) {
    for f in programs() {
        everywhere(f, x);
    }
}

#[test]
fn strides_of_any_sign_and_of_nothing() {
    let base = Tensor::from_vec((0..24).map(|i| i as f32).collect::<Vec<_>>(), &[4, 6]);
    each(&base);
    each(&base.t());
    each(&base.narrow(0, 3, 1));
    each(&base.narrow(1, 5, 1));
    each(&base.slice(1, Some(1), None, 2));
    each(&base.slice(0, None, None, 3));
    each(&base.narrow(0, 2, 2).narrow(1, 4, 2).t());
    each(&base.select(1, 5).unsqueeze(0).expand(&[3, 4]));
    each(&base.as_strided(&[5, 4], &[1, 1], 0));
    each(&base.as_strided(&[3, 2], &[0, 23], 0));
    each(&base.as_strided(&[2, 2], &[6, 17], 0));
    each(&base.diagonal(2, 0, 1).unsqueeze(1).expand(&[-1, 2]));
}

/// Strides of axes that have one element, or that no element is reached by.
#[test]
fn strides_that_lead_nowhere() {
    let base = Tensor::from_vec((0..6).map(|i| i as f32).collect::<Vec<_>>(), &[6]);
    for stride in [0, 1, 5, 7, 1 << 32, 1 << 62, isize::MAX as usize, 1 << 63, usize::MAX] {
        each(&base.as_strided(&[1, 4], &[stride, 1], 2));
        each(&base.as_strided(&[3, 1], &[2, stride], 1));
        each(&base.as_strided(&[1, 1], &[stride, stride], 5));
        for shape in [[0, 4], [4, 0]] {
            let none = base.as_strided(&shape, &[stride, stride], 0);
            for f in [
                |x: &Tensor| x * 2.0,
                |x: &Tensor| x.flip(&[0, 1]),
                |x: &Tensor| x.t().matmul(x),
                |x: &Tensor| x.cumsum(1),
            ] {
                everywhere(f, &none);
            }
        }
    }
}

#[test]
fn memory_of_an_array_of_somebody_else() {
    fn check<T: FromElement + From<u8> + Clone>() {
        let array = Array2::from_shape_fn((3, 4), |(i, j)| T::from((i * 4 + j) as u8));
        let want: Vec<f64> = (0..12).map(f64::from).collect();
        assert_eq!(numbers(&Tensor::from_ndarray(array.clone())), want);
        let mut back = array.clone();
        back.invert_axis(Axis(0));
        back.invert_axis(Axis(1));
        let reversed = Tensor::from_ndarray(back);
        assert_eq!(numbers(&reversed), want.iter().rev().copied().collect::<Vec<_>>());
        each(&reversed);
        let mut part = array.clone();
        part.slice_collapse(s![1..;2, ..;-2]);
        each(&Tensor::from_ndarray(part));
        each(&Tensor::from_ndarray(array.reversed_axes()));
    }
    check::<f32>();
    check::<f64>();
    check::<i64>();
}

#[test]
fn every_dtype_of_few_elements() {
    for dtype in [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64] {
        for n in [0usize, 1, 2, 3, 15, 16, 17, 63, 65] {
            let x = Tensor::arange(n).remainder(2).to(dtype);
            let want: Vec<f64> = (0..n).map(|i| (i % 2) as f64).collect();
            assert_eq!(everywhere(|x| x.contiguous(), &x), want);
            assert_eq!(everywhere(|x| x.flip(&[0]), &x), want.iter().rev().copied().collect::<Vec<_>>());
            assert_eq!(everywhere(|x| cat(&[x, x], 0), &x).len(), 2 * n);
            everywhere(|x| x.eq(x).to(DType::F32).sum(), &x);
            everywhere(|x| x.unsqueeze(1).expand(&[-1, 3]).t().reshape(&[-1]), &x);
        }
    }
}

#[test]
fn indices_from_outside_are_refused_and_touch_nothing() {
    let x = Tensor::arange(5).to(DType::F32);
    for i in [5, -6, i64::MAX, i64::MIN, 1 << 32, 1 << 62, (1 << 62) + 1] {
        let at = Tensor::from_vec(vec![0, i], &[2]);
        let ones = Tensor::ones(&[2], DType::F32);
        assert!(x.try_gather(0, &at).is_err());
        assert!(x.try_index_select(0, &at).is_err());
        assert!(x.try_scatter(0, &at, &ones).is_err());
        assert!(x.try_index_add(0, &at, &ones, 1.0).is_err());
        assert!(trace(|x: &Tensor, at: &Tensor| x.index_select(0, at)).call((&x, &at)).is_err());
        assert!(trace(|x: &Tensor, at: &Tensor| x.scatter_add(0, at, &x.narrow(0, 0, 2))).call((&x, &at)).is_err());
        assert!(trace_dynamic(|x: &Tensor, at: &Tensor| x.gather(0, at)).call((&x, &at)).is_err());
    }
    assert_eq!(numbers(&x), [0.0, 1.0, 2.0, 3.0, 4.0]);
}

/// Writing through views: what lies between their elements stays.
#[test]
fn views_that_are_written_to() {
    let whole = || Tensor::zeros(&[4, 5], DType::F32);
    let sum = |f: fn(&Tensor)| {
        let eager = whole();
        f(&eager);
        let traced = whole();
        trace(|x: &Tensor| f(x)).call(&traced).unwrap();
        assert_eq!(numbers(&traced), numbers(&eager));
        numbers(&eager).iter().sum::<f64>()
    };
    assert_eq!(sum(|x| drop(x.narrow(1, 4, 1).fill_(1.0).clone())), 4.0);
    assert_eq!(sum(|x| drop(x.t().select(0, 4).add_(1.0).clone())), 4.0);
    assert_eq!(sum(|x| drop(x.slice(0, Some(1), None, 2).t().copy_(&Tensor::ones(&[5, 2], DType::F32)).clone())), 10.0);
    assert_eq!(sum(|x| drop(x.narrow(0, 0, 0).fill_(1.0).clone())), 0.0);
    // Elements that share memory may all become one number, and nothing else.
    assert_eq!(sum(|x| drop(x.narrow(0, 0, 1).expand(&[2, 5]).fill_(1.0).clone())), 5.0);
    let windows = whole();
    windows.as_strided(&[3, 3], &[1, 1], 0).fill_(1.0);
    assert_eq!(numbers(&windows).iter().sum::<f64>(), 5.0);
    assert!(whole().as_strided(&[3, 3], &[1, 1], 0).try_add_(1.0).is_err());
    assert!(whole().narrow(0, 0, 1).expand(&[2, 5]).try_add_(1.0).is_err());
}
